"""The perturbation engine beside the bare model and beside other programs; equal results are asserted.

pytest tests/benchmarks/test_curves.py --benchmark-only -k small     # a narrow network at 64 px: seconds
pytest tests/benchmarks/test_curves.py --benchmark-only -k full      # resnet50 at 224 px, 56 steps: twelve minutes or so

Contenders take turns, so that whatever else the machine does hits all alike. Their times, ratios and the targets, which
are for the full size, are in the benchmark's ``extra_info``; no time is a pass or a fail.
"""

import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pytest
import torch
from taking_turns import in_turn
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.metrics.baselines import RiseBlur
from xaibench.metrics.batch_size import fastest_batch_size
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.inference import Inference
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.pixel_flipping import PixelFlipping
from xaibench.metrics.precision_error import precision_error
from xaibench.metrics.presets import preset_settings
from xaibench.metrics.steps import ChunkSteps
from xaibench.timing.memory import meter_for
from xaibench.timing.predicted import TensorMeter

HAS_BFLOAT16 = torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX2"


class Work(NamedTuple):
    """Images with maps (B, M, H, W), and how finely curves are drawn."""

    network: nn.Module
    images: torch.Tensor
    targets: torch.Tensor
    maps: torch.Tensor
    n_steps: int
    full: bool

    @property
    def step_px(self):
        return self.images.shape[2] * self.images.shape[3] // self.n_steps

    def part(self, n_images, n_maps):
        return self._replace(
            images=self.images[:n_images], targets=self.targets[:n_images], maps=self.maps[:n_images, :n_maps]
        )

    def only(self, i):
        return self._replace(images=self.images[[i]], targets=self.targets[[i]], maps=self.maps[[i]])

    def passes(self):
        """Deletion and insertion: the inner points of each map, and three ends of each image."""
        n_images, n_maps = self.maps.shape[:2]
        return n_images * (3 + 2 * n_maps * (self.n_steps - 1))


def work_of(full):
    """Random weights and maps; 4 images of 4 maps."""
    side, n_steps = (224, 56) if full else (64, 8)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    width = {} if full else {"width_per_group": 16, "num_classes": 10}
    network = ResNet(Bottleneck, [3, 4, 6, 3], **width).eval().requires_grad_(False)
    torch.set_rng_state(state)
    generator = torch.Generator().manual_seed(0)
    images, maps = (torch.randn(4, n, side, side, generator=generator) for n in (3, 4))
    return Work(network.to(memory_format=torch.channels_last), images, torch.arange(1, 5), maps, n_steps, full)


@pytest.fixture(scope="module", params=["small", "full"])
def work(request):
    return work_of(request.param == "full")


@pytest.fixture(scope="module")
def batch_size(work):
    """The best of the bare eager channels-last model."""
    return fastest_batch_size(work.network, work.images[0], sizes=(8, 16, 32), repeats=2)


def engine(work, batch_size, network=None):
    curves = [Deletion(step_px=work.step_px).curve("deletion"), Insertion(step_px=work.step_px).curve("insertion")]
    drawn = perturbation_curves(
        network or work.network, work.images, work.targets, work.maps, curves, batch_size=batch_size
    )
    assert sum(curve.forward_passes.sum() for curve in drawn.values()).item() == pytest.approx(work.passes())
    return torch.stack([drawn[name].areas for name in ("deletion", "insertion")], dim=2)


def bare(work, batch_size):
    """As many images through the model as the engine needs, in the same batches, and nothing else."""
    batch = torch.zeros(batch_size, *work.images.shape[1:]).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for done in range(0, work.passes(), batch_size):
            work.network(batch[: work.passes() - done])


# ── the bare model ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.benchmark(group="curves")
def test_engine_against_the_bare_model(benchmark, work, batch_size):
    image = work.images[0]
    copies = {"folded": Inference()(work.network), "fused": Inference(fuse=True)(work.network, image=image)}
    if HAS_BFLOAT16:
        copies["bfloat16"] = Inference("bfloat16")(work.network)
    areas = {}

    def draw(name):
        def one(i):
            areas[name, i] = engine(work.only(i), batch_size, copies[name])

        return one

    for network in (work.network, *copies.values()):  # warm-up
        engine(work.part(1, 1)._replace(n_steps=2), batch_size, network)
    contenders = {"bare": lambda i: bare(work.only(i), batch_size), **{name: draw(name) for name in copies}}
    targets = {"folded": "at most 1.0", "bfloat16": "at most 0.5"}
    in_turn(benchmark, "bare", contenders, rounds=len(work.images), targets=targets)
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info.update(batch_size=batch_size, passes=work.passes())
    for name in copies:
        for i in range(len(work.images)):
            tolerance = 5e-3 if name == "bfloat16" else 1e-5
            torch.testing.assert_close(areas[name, i], areas["folded", i], atol=tolerance, rtol=0)


def peak_mib(name, full, batch_size):
    """Most MiB held above what network, images and a first batch have left behind: resident, and of tensors alone."""
    work = work_of(full)
    some, folded = work.part(1, 2), Inference()(work.network)
    few = some._replace(n_steps=some.n_steps // 2)
    pieces = {
        "bare": lambda: bare(some, batch_size),
        "engine": lambda: engine(few, batch_size, folded),
        "twice the steps": lambda: engine(some, batch_size, folded),
        "twice the images": lambda: engine(work.part(2, 2)._replace(n_steps=few.n_steps), batch_size, folded),
        "twice the maps": lambda: engine(work.part(1, 4)._replace(n_steps=few.n_steps), batch_size, folded),
    }
    with torch.inference_mode():
        (work.network if name == "bare" else folded)(work.images[:1])
    found = []
    for kind in (lambda: meter_for("cpu"), TensorMeter):
        with kind() as meter:
            meter.reset()
            pieces[name]()
            found.append(meter.peak_mib())
    return found


@pytest.mark.benchmark(group="curves")
def test_memory(benchmark, work, batch_size):
    """Each in a process of its own, as freed pages of other work would hide a peak of the resident set.

    The resident set varies by a fifth from run to run; what steps, images and maps add is told by the tensors.
    """
    resident, tensors = {}, {}
    for name in ("bare", "engine", "twice the steps", "twice the images", "twice the maps"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            resident[name], tensors[name] = process.submit(peak_mib, name, work.full, batch_size).result()
    benchmark.extra_info.update(peak_mib=resident, tensors_mib=tensors, batch_size=batch_size)
    benchmark.pedantic(lambda: None, rounds=1)
    if work.full:  # where batches are full at half of the steps, too
        twice = [name for name in tensors if name.startswith("twice")]
        assert max(tensors[name] for name in twice) <= 1.05 * tensors["engine"]
        assert max(resident.values()) <= 1.3 * resident["bare"]


@pytest.mark.benchmark(group="curves")
def test_twice_the_images_take_twice_the_time(benchmark, work, batch_size):
    folded = Inference()(work.network)
    one, two = work.part(1, 1), work.part(2, 1)
    in_turn(
        benchmark,
        "one",
        {"one": lambda _: engine(one, batch_size, folded), "two": lambda _: engine(two, batch_size, folded)},
        rounds=4,
        targets={"two": "2, within 5 %"},
    )
    benchmark.pedantic(lambda: None, rounds=1)


# ── other programs ───────────────────────────────────────────────────────────────────────────────────────────────


def rise(work, batch_size):
    """Areas (B, M, 2) as the authors' program draws them: step by step, the pixels copied as numpy arrays."""
    pairs = [(b, m) for b in range(len(work.images)) for m in range(work.maps.shape[1])]
    blurred = RiseBlur()(work.images)
    starts_ends = {0: (work.images, torch.zeros_like(work.images)), 1: (blurred, work.images)}
    areas = torch.zeros(*work.maps.shape[:2], 2, dtype=torch.float64)
    for first in range(0, len(pairs), batch_size):
        rows = pairs[first : first + batch_size]
        orders = [np.flip(np.argsort(work.maps[b, m].flatten().numpy(), kind="stable")) for b, m in rows]
        for which, (starts, ends) in starts_ends.items():
            now, end = (torch.stack([pictures[b] for b, _ in rows]).contiguous() for pictures in (starts, ends))
            scores = np.empty((len(rows), work.n_steps + 1))
            for i in range(work.n_steps + 1):
                with torch.no_grad():
                    probabilities = work.network(now).softmax(dim=1)
                for row, (b, _) in enumerate(rows):
                    scores[row, i] = probabilities[row, work.targets[b]].item()
                    chosen = orders[row][work.step_px * i : work.step_px * (i + 1)].copy()
                    there, here = (picture[row].numpy().reshape(3, -1) for picture in (end, now))
                    here[:, chosen] = there[:, chosen]
            for (b, m), curve in zip(rows, scores, strict=True):
                areas[b, m, which] = float((curve.sum() - (curve[0] + curve[-1]) / 2) / work.n_steps)
    return areas


@pytest.mark.benchmark(group="curves of others")
def test_against_rise(benchmark, work, batch_size):
    some, folded, found = work.part(1, 2), Inference()(work.network), {}

    def keeping(name, function):
        return lambda _: found.update({name: function()})

    in_turn(
        benchmark,
        "ours",
        {
            "floor": lambda _: bare(some, batch_size),
            "ours": keeping("ours", lambda: engine(some, batch_size, folded)),
            "rise, batch 1": keeping("rise, batch 1", lambda: rise(some, 1)),
            "rise, batch 8": keeping("rise, batch 8", lambda: rise(some, 8)),
        },
        rounds=3,
        targets={"rise, batch 1": "above 1", "rise, batch 8": "above 1"},
    )
    benchmark.pedantic(lambda: None, rounds=1)
    for areas in found.values():
        torch.testing.assert_close(areas, found["ours"], atol=1e-5, rtol=0)


@pytest.mark.benchmark(group="curves of others")
def test_against_torchcam(benchmark, work, batch_size):
    """Its metric takes one map an image, which is given to it; logits, exact fractions, the first of equal pixels."""
    from torchcam import metrics
    from torchcam.methods import GradCAM

    some, folded, found = work.part(2, 1), Inference()(work.network), {}
    curves = [
        preset_settings("torchcam", name, steps=ChunkSteps(work.n_steps)).curve(name)
        for name in ("deletion", "insertion")
    ]

    def ours(_):
        drawn = perturbation_curves(folded, some.images, some.targets, some.maps, curves, batch_size=batch_size)
        found["ours"] = [curve.areas.mean().item() for curve in drawn.values()]

    def theirs(_):
        with GradCAM(work.network, "layer4") as extractor, pytest.MonkeyPatch.context() as patch:
            patch.setattr(metrics, "_get_cam", lambda *_: (some.maps[:, 0], some.targets))
            metric = metrics.DeletionInsertionMetric(extractor, steps=work.n_steps)
            metric.update(some.images)
            found["torchcam"] = [metric.summary()[f"{name}_auc"] for name in ("deletion", "insertion")]

    contenders = {"ours": ours, "torchcam": theirs}
    in_turn(benchmark, "ours", contenders, rounds=3, targets={"torchcam": "above 1"})
    benchmark.pedantic(lambda: None, rounds=1)
    scale = max(map(abs, found["ours"]))
    assert found["ours"] == pytest.approx(found["torchcam"], abs=1e-5 * max(scale, 1))


@pytest.mark.benchmark(group="curves of others")
def test_against_quantus(benchmark, work, batch_size):
    """Pixel flipping, which flips channel values one by one; its step has to divide the number of pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        some, folded, found = work.part(4, 1), Inference()(work.network), {}
        step = 1792 if work.full else 512  # 84 or 24 steps
        generator = torch.Generator().manual_seed(1)
        n_values = some.images[0].numel()
        ranks = torch.stack([torch.randperm(n_values, generator=generator) for _ in some.images])  # no two are equal
        values = ranks.view(some.images.shape).float()
        metric = quantus.PixelFlipping(features_in_step=step, normalise=False, disable_warnings=True)
        settings = PixelFlipping(features_in_step=step)

        def ours(_):
            drawn = settings.flip_channel_values(
                folded, some.images, some.targets, values[:, None], batch_size=batch_size
            )
            found["ours"] = drawn.curve_y[:, 0].float()

        def theirs(_):
            curves = metric(
                work.network, some.images.numpy(), some.targets.numpy(), a_batch=values.numpy(), softmax=True,
                device="cpu", channel_first=True,
            )  # fmt: skip
            found["quantus"] = torch.tensor(np.array(curves)).float()

        contenders = {"ours": ours, "quantus": theirs}
        in_turn(benchmark, "ours", contenders, rounds=3, targets={"quantus": "above 1"})
        benchmark.pedantic(lambda: None, rounds=1)
    torch.testing.assert_close(found["ours"], found["quantus"], atol=1e-5, rtol=0)


# ── less precision ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.benchmark(group="precision")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "tf32"])
@pytest.mark.parametrize("n_images", [pytest.param(1, id="small"), pytest.param(4, id="full")])
def test_errors_of_the_packaged_network(benchmark, n_images, dtype):
    """Areas of the trained network against float64, for Grad-CAM at its four stages and images of shapes."""
    from xaibench.data.shapes import Shapes
    from xaibench.explainers.cams import GradCAM
    from xaibench.models.zoo import load_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype in ("float16", "tf32") and device == "cpu":
        pytest.skip(f"{dtype} needs a CUDA device")
    classifier = load_model("shapes_resnet50", device=device)
    samples = Shapes(n=n_images)
    images = torch.stack([classifier.preprocessing.image(samples[i].image) for i in range(n_images)]).to(device)
    targets = classifier.network(images).argmax(dim=1)
    explainer = GradCAM(("layer1.2", "layer2.3", "layer3.5", "layer4.2"))
    maps = torch.stack(list(explainer(classifier.network, images, targets).values()), dim=1)
    curves = [Deletion(n_steps=4 * n_images).curve("deletion"), Insertion(n_steps=4 * n_images).curve("insertion")]
    fast = Inference(dtype)(classifier.network)
    result = precision_error(
        classifier.network, fast, images, targets, maps, curves, batch_size=16, repeats=1 + n_images // 2
    )
    benchmark.extra_info.update(device=device, errors=result.rows())
    benchmark.pedantic(lambda: None, rounds=1)
    for error in result.errors:
        assert error.maps == 4 * n_images
        assert error.largest < (1e-5 if dtype == "float32" else 0.02)
