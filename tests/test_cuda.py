"""The GPU's maps and curves are the CPU's, up to the rounding of float32."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from own_models import SMALL_RUN
from torchvision.models import resnet18

from xaibench.cli import main
from xaibench.explainers.cams import GradCAM
from xaibench.explainers.catalogue import EXPLAINERS
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.inference import Inference, float32_products
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.memory_limits import halving
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.similarity import SIMILARITIES
from xaibench.metrics.units import randomization_units
from xaibench.records.run_folder import RunFolder
from xaibench.timing.cells import Replayed
from xaibench.timing.clock import clock_for
from xaibench.timing.grid import Cell
from xaibench.timing.memory import meter_for
from xaibench.timing.phases import time_explanation_path
from xaibench.timing.sweep import time_sweep
from xaibench.timing.vocabulary import INFERENCE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

LAYERS = ("layer2.1", "layer4.1")


def on(device, maps=None):
    """Maps (B, M, H, W), and the probabilities of the curves of `maps`, or of the own ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet18(num_classes=10).eval().to(device)
        images, targets = torch.randn(2, 3, 64, 64).to(device), torch.tensor([3, 7], device=device)
    with float32_products("ieee"):
        found = torch.stack(list(GradCAM(LAYERS)(network, images, targets).values()), dim=1)
    curves = [kind(n_steps=8).curve(kind.__name__) for kind in (Deletion, Insertion)]
    ordering = found if maps is None else maps.to(device)
    drawn = perturbation_curves(Inference()(network), images, targets, ordering, curves, batch_size=8)
    return found.cpu(), torch.stack([curve.scores for curve in drawn.values()]).cpu()


def test_maps_and_curves_are_those_of_the_cpu():
    maps, scores = on("cpu")
    found, drawn = on("cuda", maps)  # the same maps, as rounding may put near-equal pixels in another order
    for mine, theirs in zip(found.unbind(1), maps.unbind(1), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * theirs.abs().max().item())
    torch.testing.assert_close(drawn, scores, rtol=1e-3, atol=0)


def compared(work, *, atol=0.0, rtol=0.0, relative_to_largest=0.0):
    """Hold what `work(device)` gives on the GPU against the CPU's; a list of tensors on the CPU."""
    with float32_products("ieee"):
        here, there = work("cpu"), work("cuda")
    for mine, theirs in zip(there, here, strict=True):
        largest = theirs[theirs.isfinite()].abs().max().item() if relative_to_largest else 0.0
        tolerance = atol + relative_to_largest * largest
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=tolerance, equal_nan=True)


def given(device):
    """Network, images (2, 3, 64, 64), targets and maps (2, 2, 64, 64)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet18(num_classes=10).eval().to(device)
        images, maps = torch.randn(2, 3, 64, 64), torch.randn(2, 2, 64, 64)
    return network, images.to(device), torch.tensor([3, 7], device=device), maps.to(device)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_explainers_are_those_of_the_cpu(name):
    kind = EXPLAINERS[name]
    wanted = {"layers": LAYERS, "n_steps": 4}
    explainer = kind(**{key: value for key, value in wanted.items() if key in kind.__dataclass_fields__})

    def work(device):
        network, images, targets, _ = given(device)
        return [values.cpu() for values in explainer.maps(network, images, targets).values()]

    compared(work, relative_to_largest=1e-3 if name in ("guided_backprop", "guided_grad_cam") else 1e-4)


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-5), ("tf32", 5e-3), ("float16", 5e-3), ("bfloat16", 5e-2)])
def test_curves_in_every_precision(dtype, atol):
    network, images, targets, maps = given("cuda")
    curves = [Deletion(n_steps=4).curve("deletion"), Insertion(n_steps=4).curve("insertion")]
    exact = perturbation_curves(network.double(), images.double(), targets, maps.double(), curves, batch_size=4)
    network.float()
    found = perturbation_curves(Inference(dtype)(network), images, targets, maps, curves, batch_size=4)
    for name, scores in exact.items():
        torch.testing.assert_close(found[name].scores.double(), scores.scores.double(), rtol=0, atol=atol)


def test_flags_of_products_are_put_back():
    flags = [torch.backends.cudnn.conv, torch.backends.cuda.matmul]
    before = [flag.fp32_precision for flag in flags]
    network, images, _, _ = given("cuda")
    with torch.inference_mode():
        Inference("tf32")(network)(images.contiguous(memory_format=torch.channels_last))
    assert [flag.fp32_precision for flag in flags] == before


def test_road_imputation_is_that_of_the_cpu():
    def work(device):
        _, images, _, maps = given(device)
        return [NoisyLinear().fill(images[:1], maps[:, :1] > 0).cpu()]

    compared(work, atol=1e-4)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarities_are_those_of_the_cpu(name):
    def work(device):
        maps = given(device)[3]
        return [SIMILARITIES[name](maps[:, 0], maps[:, 1]).cpu()]

    compared(work, atol=1e-6)


def test_the_cascade_draws_the_same_weights():
    settings = ParameterRandomization(granularity="stage", similarities=("spearman",))

    def work(device):
        network, images, targets, _ = given(device)
        units = randomization_units(network, images[:1], granularity="stage")
        cams = {"grad_cam": EXPLAINERS["grad_cam"](LAYERS)}
        steps = randomization_similarities(network, images, targets, cams, units=units, settings=settings, seed=0)
        return [value.float().cpu() for step in steps for value in step.similarities.values()]

    compared(work, atol=0.02)  # near-equal pixels change ranks by rounding


def test_phases_are_timed_by_events_and_memory_is_the_allocator_s():
    network, images, targets, _ = given("cuda")
    timings = time_explanation_path(network, images, LAYERS, targets=targets, repeats=2, warmup=1, max_seconds=20.0)
    assert {timing.clock for timing in timings} == {"CUDA events"}
    assert all(duration > 0 for timing in timings for duration in timing.milliseconds)
    assert all(timing.peak_memory_mib >= 0 and timing.reserved_memory_mib > 0 for timing in timings)
    assert max(timing.peak_memory_mib for timing in timings) > 1


def test_the_memory_meter_sees_a_block_that_is_gone():
    with meter_for("cuda") as meter:
        block = torch.ones(64 * 2**20, dtype=torch.uint8, device="cuda")
        del block
        assert meter.peak_mib() == pytest.approx(64, abs=2)
        assert meter.peak_mib() == pytest.approx(0, abs=2)


def test_a_cuda_graph_gives_what_the_network_gives():
    network, images, _, _ = given("cuda")
    replayed = Replayed(network, images)
    with torch.inference_mode():
        for scale in (1.0, 2.0):
            torch.testing.assert_close(replayed(scale * images), network(scale * images), rtol=1e-4, atol=1e-4)


def test_a_cuda_graph_cell_is_timed():
    network, images, targets, _ = given("cuda")
    base = Cell(LAYERS, 2, "grad_cam", 2, 64, "float32", "channels_last", False, False, 1)
    cells = [base, replace(base, cuda_graph=True), replace(base, dtype="tf32"), replace(base, dtype="float16")]
    rows = time_sweep(
        network,
        images,
        targets,
        cells,
        score="logit",
        upsampling="bilinear",
        repeats=2,
        warmup=1,
        max_seconds=30,
        clock=clock_for("cuda"),
        meter=meter_for("cuda"),
    )
    assert {row.cell for row in rows if row.phase == INFERENCE and row.status == "ok"} == set(cells)


def test_memory_that_runs_out_halves_the_batch():
    free, _ = torch.cuda.mem_get_info()

    def work(size):
        return torch.empty(size * (free // 4), dtype=torch.uint8, device="cuda").numel()

    fitted = halving(8, work)
    assert fitted.batch_size in (1, 2)
    assert "memory ran out at batch size 8" in fitted.reason


def test_a_whole_run_is_that_of_the_cpu(tmp_path):
    tables = {}
    for device in ("cpu", "cuda"):
        words = [*SMALL_RUN[:-1], f"out={tmp_path / device}", f"device={device}", "batch_size=8"]
        assert main(words) == 0
        keys = ["shard", "image", "explainer", "layer", "metric", "variant", "module", "step", "seed"]
        tables[device] = RunFolder.open(tmp_path / device).records().set_index(keys)["value"].sort_index()
    assert tables["cpu"].index.equals(tables["cuda"].index)
    curves = tables["cpu"].index.get_level_values("metric").isin(["deletion", "insertion", "confidence"])
    np.testing.assert_allclose(tables["cuda"][curves], tables["cpu"][curves], atol=1e-3)
