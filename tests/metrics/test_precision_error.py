import math

import pytest
import torch
from torch import nn

from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.inference import fast_copy
from xaibench.metrics.precision_error import AreaError, area_error, precision_error, speed_up
from xaibench.metrics.steps import PixelSteps

GENERATOR = torch.Generator().manual_seed(0)
IMAGES, MAPS = torch.randn(3, 3, 8, 8, generator=GENERATOR), torch.randn(3, 2, 8, 8, generator=GENERATOR)
TARGETS = torch.tensor([0, 1, 2])
CURVES = [Curve(name, name, steps=PixelSteps(16)) for name in ("deletion", "insertion")]


@pytest.fixture(scope="module")
def network():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3))
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator)
    return network.eval()


def scores(*areas):
    shape = (1, len(areas))
    return CurveScores(
        torch.zeros(2), torch.zeros(*shape, 2), torch.tensor([areas], dtype=torch.float64), torch.zeros(shape),
        (("",) * len(areas),),
    )  # fmt: skip


def test_differences_are_summed_up():
    wanted, found = scores(0.5, 0.5, 0.5, 0.5, math.nan), scores(0.5, 0.6, 0.2, math.nan, 0.5)
    error = area_error("c", wanted, found)
    assert (error.curve, error.maps, error.lost) == ("c", 3, 1)
    assert error.mean == pytest.approx(0.4 / 3)
    assert error.largest == pytest.approx(0.3)
    assert error.percentile_95 == pytest.approx(0.1 + 0.9 * 0.2)  # between 0.1 and 0.3, at 1.9 of two steps


def test_nothing_to_compare_is_undefined():
    error = area_error("c", scores(0.5), scores(math.nan))
    assert (error.maps, error.lost) == (0, 1)
    assert all(math.isnan(value) for value in (error.mean, error.percentile_95, error.largest))


def test_float64_has_no_error_and_bfloat16_has_more_than_float32(network):
    found = {
        name: precision_error(network, fast, IMAGES, TARGETS, MAPS, CURVES, batch_size=4, repeats=1)
        for name, fast in (
            ("float64", fast_copy(network).double()),
            ("float32", fast_copy(network)),
            ("bfloat16", fast_copy(network, dtype="bfloat16")),
        )
    }
    for error in found["float64"].errors:
        assert error.largest < 1e-12
        assert error.maps == 6
    for low, high in zip(found["float32"].errors, found["bfloat16"].errors, strict=True):
        assert 0 < low.mean <= low.largest < 1e-6
        assert 1e-4 < high.mean <= high.percentile_95 <= high.largest < 0.05
    assert next(network.parameters()).dtype == torch.float32


def test_rows_are_fit_for_a_table(network):
    result = precision_error(network, network, IMAGES, TARGETS, MAPS, CURVES[:1], batch_size=4, repeats=1)
    (row,) = result.rows()
    assert row == {
        "curve": "deletion", "maps": 6, "lost": 0, "mean": result.errors[0].mean,
        "percentile_95": result.errors[0].percentile_95, "largest": result.errors[0].largest,
        "speed_up": result.speed_up,
    }  # fmt: skip
    assert isinstance(result.errors[0], AreaError)


def test_medians_are_compared_in_turn_after_a_warm_up():
    now, order = [0.0], []

    class Taking(nn.Module):
        def __init__(self, name, seconds):
            super().__init__()
            self.name, self.seconds = name, list(seconds)

        def forward(self, images):
            order.append(self.name)
            now[0] += self.seconds.pop(0)
            return images

    slow, fast = Taking("slow", [50, 6, 6, 60]), Taking("fast", [0.1, 2, 30, 2])
    assert speed_up(slow, fast, IMAGES[0], batch_size=2, repeats=3, clock=lambda: now[0]) == 3
    assert order == ["slow", "fast"] * 4
