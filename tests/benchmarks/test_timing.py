"""Whether the phases add up, and whether our clock agrees with torch's own; run with ``--benchmark-only``."""

import pytest
import torch
from torch.utils.benchmark import Timer
from torchvision.models import resnet18

from xaibench.timing.clock import clock_for
from xaibench.timing.conditions import conditions
from xaibench.timing.phases import PhaseTiming, time_explanation_path
from xaibench.timing.vocabulary import BACKWARD, EXPLANATION, EXPLANATION_PATH, FULL_BACKWARD, INFERENCE

LAYERS = ["layer2.1", "layer4.1"]


@pytest.fixture
def network() -> torch.nn.Module:
    return resnet18(weights=None).eval()


def fastest(rows: list[PhaseTiming]) -> dict[tuple[str, str], float]:
    """Least milliseconds of each phase: other programs only ever add to it."""
    return {(row.layer, row.phase): min(row.milliseconds) * row.n_images for row in rows}


def fastest_path(rows: list[PhaseTiming], layer: str) -> float:
    """Least sum of the path's phases within one run; minima of different runs would not belong together."""
    path = [row for row in rows if row.layer == layer and row.phase in EXPLANATION_PATH]
    return min(map(sum, zip(*(row.milliseconds for row in path), strict=True))) * path[0].n_images


def test_phases_add_up_to_the_whole(benchmark, network):
    images, targets = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    rows = benchmark.pedantic(
        time_explanation_path,
        args=(network, images, LAYERS),
        kwargs={"targets": targets, "repeats": 20, "max_seconds": 15.0},
        rounds=1,
    )
    found = fastest(rows)
    sums = {layer: fastest_path(rows, layer) for layer, _ in found if layer}
    ratios = {layer: total / found[layer, EXPLANATION] for layer, total in sums.items()}
    benchmark.extra_info |= {
        "sum_of_phases_to_whole": ratios,
        "last_backward_to_inference": found["layer4.1", BACKWARD] / found["", INFERENCE],
        "full_backward_to_inference": found["", FULL_BACKWARD] / found["", INFERENCE],
        "conditions": conditions(network, images, clock=clock_for("cpu")),
    }
    assert all(0.9 < ratio < 1.1 for ratio in ratios.values()), ratios


def test_inference_agrees_with_torch_s_own_timer(benchmark, network):
    images, targets = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])

    def infer() -> None:
        with torch.inference_mode():
            network(images)

    timer = Timer("infer()", globals={"infer": infer}, num_threads=torch.get_num_threads())
    theirs = min(1e3 * timer.timeit(1).mean for _ in range(20))
    ours = fastest(time_explanation_path(network, images, LAYERS, targets=targets, max_seconds=10.0))["", INFERENCE]
    benchmark(infer)
    benchmark.extra_info["ours_to_torch_timer"] = ours / theirs
    assert 0.8 < ours / theirs < 1.25
