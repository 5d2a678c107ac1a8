import numpy as np
import pytest
import torch
from torch import nn

from xaibench.metrics.baselines import Mean, Zero
from xaibench.metrics.curve import Curve
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.refinement import Refinement
from xaibench.metrics.steps import EqualSteps

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 2, 1])


class Counting(nn.Module):
    """A small network that counts the images it sees."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)
        )
        self.seen, self.batches = 0, []

    def forward(self, images):
        self.seen += len(images)
        self.batches.append(len(images))
        return 6 * self.layers(images)


def both(precision, **choices):
    """The same two curves, whole and to a precision."""
    found = []
    for wanted in (None, precision):
        model = Counting()
        curves = [
            Curve("d", "deletion", Zero(), EqualSteps(128), precision=wanted, **choices),
            Curve("i", "insertion", Mean(), EqualSteps(128), precision=wanted, **choices),
        ]
        found.append((perturbation_curves(model, IMAGES, TARGETS, MAPS, curves, batch_size=16), model))
    return found


@pytest.mark.parametrize("area", ["uniform_trapezoid", "mean"])
def test_areas_are_as_precise_as_asked_for_and_cost_less(area):
    (whole, exact), (near, model) = both(0.01, area=area)
    for name in ("d", "i"):
        difference = (whole[name].areas - near[name].areas).abs()
        assert (difference <= 0.01).double().mean() >= 0.95
        assert (near[name].errors >= 0).all()
        assert near[name].errors.max() <= 0.01  # smooth curves: none ends early
    assert model.seen < exact.seen / 4


def test_a_tiny_precision_draws_the_whole_curve():
    rule = Refinement(1e-12, most=10**6)
    values = np.random.default_rng(0).uniform(size=40)
    places = rule.first(40)
    while len(more := rule.more(places, values[places], 40)):
        assert not set(more) & set(places)
        places = np.union1d(places, more)
    assert list(places) == list(range(40))
    assert rule.error(places, values, 40) == 0


def test_forward_passes_are_those_that_the_model_saw():
    _, (near, model) = both(0.01)
    assert float(sum(scores.forward_passes.sum() for scores in near.values())) == pytest.approx(model.seen)
    assert all(size == 16 for size in model.batches[: len(model.batches) // 4])  # the first round is full batches


def test_points_are_points_of_the_whole_curve():
    (whole, _), (near, _) = both(0.01)
    for name in ("d", "i"):
        for b in range(3):
            for m in range(4):
                x = near[name].fractions[b, m]
                known = ~x.isnan()
                places = torch.searchsorted(whole[name].fractions, x[known])
                expected = whole[name].scores[b, m, places].double()
                torch.testing.assert_close(near[name].scores[b, m, known], expected, atol=1e-6, rtol=0)


def test_a_straight_curve_needs_no_more_than_the_first_points():
    line = np.linspace(1, 0, 225)
    rule = Refinement(0.005)
    places = rule.first(225)
    assert len(places) == rule.first_intervals + 1
    assert len(rule.more(places, np.full(len(places), 0.3), 225)) == 0  # a constant one
    coarse = Refinement(0.05)
    assert len(coarse.more(places, line[places], 225)) == 0


def test_a_jump_is_closed_in_on():
    """The points that are added lie in the interval with the jump."""
    curve = (np.arange(225) < 100).astype(float)
    rule = Refinement(0.001)
    places = rule.first(225)
    for _ in range(5):
        more = rule.more(places, curve[places], 225)
        jump = np.searchsorted(places, 100)
        assert ((more > places[max(jump - 2, 0)]) & (more < places[min(jump + 1, len(places) - 1)])).any()
        places = np.union1d(places, more)
    jump = np.searchsorted(places, 100)
    assert places[jump] - places[jump - 1] <= 4  # from 32 to begin with


def test_batches_change_nothing():
    (_, _), (together, _) = both(0.01)
    curves = [Curve("d", "deletion", Zero(), EqualSteps(128), precision=0.01)]
    alone = [
        perturbation_curves(Counting(), IMAGES[b : b + 1], TARGETS[b : b + 1], MAPS[b : b + 1], curves, batch_size=5)
        for b in range(3)
    ]
    areas = torch.cat([one["d"].areas for one in alone])
    torch.testing.assert_close(areas, together["d"].areas, atol=1e-6, rtol=0)


def test_an_undefined_map_has_no_curve_and_costs_nothing():
    maps = MAPS.clone()
    maps[1, 2, 0, 0] = torch.nan
    curves = [Curve("d", "deletion", Zero(), EqualSteps(64), precision=0.01)]
    found = perturbation_curves(Counting(), IMAGES, TARGETS, maps, curves)["d"]
    assert found.areas[1, 2].isnan()
    assert found.reasons[1][2]
    assert found.forward_passes[1, 2] == 0
    assert found.areas.isfinite().sum() == 11


def test_the_setting_reaches_the_curve_and_is_checked():
    assert Deletion(precision=0.005).curve("d").precision == 0.005
    with pytest.raises(ValueError, match="precision must be above 0"):
        Deletion(precision=0.0).curve("d")
    with pytest.raises(ValueError, match="both ends"):
        Curve("d", "deletion", endpoints="start", precision=0.01)
