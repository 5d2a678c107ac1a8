"""The perturbation engine beside a plain loop like RISE's: one map and one curve at a time. Equal results are asserted.

pytest tests/benchmarks/test_curves.py --benchmark-only
"""

import pytest
import torch
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.metrics.baselines import RiseBlur
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.inference import fast_copy
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.perturbation import perturbation_curves

STEP_PX, BATCH_SIZE = 512, 32


@pytest.fixture(scope="module")
def work():
    """A narrow ResNet-50, two images of 64 px and four maps each."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    model = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=10, width_per_group=16).eval()
    torch.set_rng_state(state)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 64, generator=generator)
    maps = torch.randn(2, 4, 64, 64, generator=generator)
    return model, images, torch.tensor([1, 2]), maps


def plain_loop(model, images, targets, maps):
    """Deletion and insertion areas as the authors' program draws them, its 2 (n_steps + 1) passes in batches."""
    areas = {"deletion": [], "insertion": []}
    with torch.inference_mode():
        for image, target, attributions in zip(images, targets, maps, strict=True):
            blurred = RiseBlur()(image[None])[0]
            for attribution in attributions:
                order = attribution.flatten().argsort(stable=True).flip(0)
                for name, start, finish in (
                    ("deletion", image, torch.zeros_like(image)), ("insertion", blurred, image),
                ):  # fmt: skip
                    areas[name].append(plain_curve(model, start, finish, order, target))
    return {name: torch.stack(values).view(maps.shape[:2]) for name, values in areas.items()}


def plain_curve(model, start, finish, order, target):
    current, pictures = start.flatten(1).clone(), [start]
    for first in range(0, len(order), STEP_PX):
        chosen = order[first : first + STEP_PX]
        current[:, chosen] = finish.flatten(1)[:, chosen]
        pictures.append(current.view_as(start).clone())
    batches = torch.stack(pictures).split(BATCH_SIZE)
    scores = torch.cat([model(batch).softmax(dim=1)[:, target] for batch in batches])
    return (scores.sum() - (scores[0] + scores[-1]) / 2) / (len(scores) - 1)


def engine(model, images, targets, maps):
    curves = [Deletion(step_px=STEP_PX).curve(), Insertion(step_px=STEP_PX).curve()]
    drawn = perturbation_curves(model, images, targets, maps, curves, batch_size=BATCH_SIZE)
    return {name: curve.areas for name, curve in drawn.items()}


def run(benchmark, function, model, work):
    _, *inputs = work
    areas = benchmark.pedantic(function, (model, *inputs), warmup_rounds=1, rounds=3)
    expected = plain_loop(*work)
    for name in expected:
        torch.testing.assert_close(areas[name].float(), expected[name], atol=1e-5, rtol=0)


def test_plain_loop(benchmark, work):
    run(benchmark, plain_loop, work[0], work)


def test_engine(benchmark, work):
    run(benchmark, engine, work[0], work)


def test_engine_with_fast_copy(benchmark, work):
    run(benchmark, engine, fast_copy(work[0]), work)


def test_bare_model(benchmark, work):
    """The floor: as many images through the fast copy as the engine needs, nothing else."""
    model, images, _, maps = work
    fast = fast_copy(model)
    n_inner = 64 * 64 // STEP_PX - 1
    n_batches = -(-len(images) * (3 + 2 * maps.shape[1] * n_inner) // BATCH_SIZE)
    batch = torch.zeros(BATCH_SIZE, 3, 64, 64).contiguous(memory_format=torch.channels_last)

    def passes():
        with torch.inference_mode():
            return [fast(batch) for _ in range(n_batches)]

    assert len(benchmark.pedantic(passes, warmup_rounds=1, rounds=3)) == n_batches
