"""Whether the phases add up, and whether our clock agrees with torch's own; run with ``--benchmark-only``."""

import numpy as np
import pytest
import torch
from torch.utils.benchmark import Timer
from torchvision.models import resnet18

from xaibench.report.cost.limits import median_interval
from xaibench.timing.clock import clock_for
from xaibench.timing.conditions import conditions
from xaibench.timing.derived import hook_milliseconds, phases_to_whole
from xaibench.timing.laps import timed
from xaibench.timing.phases import PhaseTiming, time_explanation_path
from xaibench.timing.vocabulary import BACKWARD, FULL_BACKWARD, INFERENCE
from xaibench.timing.works import inference

LAYERS = ["layer2.1", "layer4.1"]


@pytest.fixture
def network() -> torch.nn.Module:
    return resnet18(weights=None).eval()


def fastest(rows: list[PhaseTiming]) -> dict[tuple[str, str], float]:
    """Least milliseconds of each phase: other programs only ever add to it."""
    return {(row.layer, row.phase): min(row.milliseconds) * row.n_images for row in rows}


def test_phases_add_up_to_the_whole(benchmark, network):
    """Round by round: a path and the whole that ran right after each other saw the same machine."""
    images, targets = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    rows = benchmark.pedantic(
        time_explanation_path,
        args=(network, images, LAYERS),
        kwargs={"targets": targets, "repeats": 40, "max_seconds": 30.0},
        rounds=1,
    )
    found = fastest(rows)
    ratios = {layer: np.asarray(values) for layer, values in phases_to_whole(rows).items()}
    hooks = {layer: np.asarray(values) for layer, values in hook_milliseconds(rows).items()}
    intervals = {layer: median_interval(values) for layer, values in ratios.items()}
    benchmark.extra_info |= {
        "sum_of_phases_to_whole": {layer: float(np.median(values)) for layer, values in ratios.items()},
        "sum_of_phases_to_whole_interval": intervals,
        "hook_milliseconds": {layer: float(np.median(values)) for layer, values in hooks.items()},
        "hook_milliseconds_interval": {layer: median_interval(values) for layer, values in hooks.items()},
        "last_backward_to_inference": found["layer4.1", BACKWARD] / found["", INFERENCE],
        "full_backward_to_inference": found["", FULL_BACKWARD] / found["", INFERENCE],
        "conditions": conditions(network, images, clock=clock_for("cpu")),
    }
    # a difference of more than 5 % must not be established; on a busy machine the interval is wide and says little
    assert all(low < 1.05 and high > 0.95 for low, high in intervals.values()), intervals


def test_inference_agrees_with_torch_s_own_timer(benchmark, network):
    images = torch.randn(2, 3, 64, 64)

    def infer() -> None:
        with torch.inference_mode():
            network(images)

    clock, work = clock_for("cpu"), inference(network, images)
    timer = Timer("infer()", globals={"infer": infer}, num_threads=torch.get_num_threads())
    pairs = [(timed(work, clock)[INFERENCE], 1e3 * timer.timeit(1).mean) for _ in range(41)][1:]
    ratios = np.array([ours / theirs for ours, theirs in pairs])
    low, high = median_interval(ratios)
    benchmark(infer)
    benchmark.extra_info |= {"ours_to_torch_timer": float(np.median(ratios)), "interval": (low, high)}
    assert low < 1.05, (low, high)
    assert high > 0.95, (low, high)
