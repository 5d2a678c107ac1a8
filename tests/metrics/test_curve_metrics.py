"""Readings of curves: MoRF, LeRF, the area between them, AOPC and the flip fraction, on a model whose curves are known."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xaibench.metrics.aopc import AOPC
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.flip_fraction import NEVER_FLIPPED, NOT_PREDICTED, FlipFraction, flip_fractions
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric
from xaibench.metrics.removal_orders import AreaBetweenCurves, LeRF, MoRF
from xaibench.metrics.scores import SCORES
from xaibench.metrics.undefined import NOT_FINITE

IMAGES = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MAPS = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TARGETS = torch.zeros(3, dtype=torch.int64)


class Counts(nn.Module):
    """Logit 0 is the sum of the image, logit 1 a threshold; counts what it is asked."""

    def __init__(self, threshold=0.0):
        super().__init__()
        self.threshold, self.n_images = threshold, 0

    def forward(self, images):
        self.n_images += len(images)
        total = images.flatten(1).sum(dim=1)
        return torch.stack([total, torch.full_like(total, self.threshold)], dim=1)


def draw(metric, images=IMAGES, maps=MAPS, threshold=0.0):
    return draw_metric(Counts(threshold), images, TARGETS, maps, metric, batch_size=7)


def expected_curve(b, m, *, most_first, step=3):
    """Sum of what is left, by a loop."""
    pixels, order = IMAGES[b].flatten(), MAPS[b, m].flatten().argsort(descending=most_first)
    return [float(pixels[order[k:]].sum()) for k in [*range(0, 20, step), 20]]


def test_morf_and_lerf_by_a_loop():
    fractions = torch.tensor([*range(0, 20, 3), 20]) / 20
    for kind, most_first in ((MoRF, True), (LeRF, False)):
        drawn = draw(kind(step_px=3, score="logit"))
        for b in range(3):
            for m in range(2):
                curve = torch.tensor(expected_curve(b, m, most_first=most_first), dtype=torch.float64)
                torch.testing.assert_close(drawn.curve_y[b, m], curve, atol=1e-12, rtol=0)
                area = torch.trapezoid(curve, fractions.double())
                torch.testing.assert_close(drawn.values[b, m], area, atol=1e-7, rtol=0)


def test_area_between_curves_is_their_difference_and_turns_with_the_map():
    between = draw(AreaBetweenCurves(step_px=3, score="logit"))
    morf, lerf = draw(MoRF(step_px=3, score="logit")), draw(LeRF(step_px=3, score="logit"))
    torch.testing.assert_close(between.values, lerf.values - morf.values, atol=1e-12, rtol=0)
    torch.testing.assert_close(between.curve_y, lerf.curve_y - morf.curve_y, atol=1e-12, rtol=0)
    assert between.curve_y[..., [0, -1]].abs().max() == 0
    turned = draw(AreaBetweenCurves(step_px=3, score="logit"), maps=-MAPS)
    torch.testing.assert_close(turned.values, -between.values, atol=1e-12, rtol=0)
    assert (between.values.abs() > 1e-3).all()


def test_the_best_map_of_a_sum_is_the_image_itself():
    perfect = draw(AreaBetweenCurves(step_px=1, score="logit"), maps=IMAGES).values
    others = draw(AreaBetweenCurves(step_px=1, score="logit")).values
    assert (perfect > others).all()


def test_both_curves_share_their_ends():
    model = Counts()
    drawn = draw_metric(model, IMAGES, TARGETS, MAPS, AreaBetweenCurves(step_px=3))
    assert model.n_images == 3 * (2 + 2 * 2 * 6)
    assert float(drawn.forward_passes.sum()) == pytest.approx(model.n_images)


def test_aopc_is_first_less_mean():
    drawn = draw(AOPC(step_px=3, score="logit", baseline="zero"))
    curve = torch.tensor(expected_curve(1, 0, most_first=True), dtype=torch.float64)
    torch.testing.assert_close(drawn.values[1, 0], (curve[0] - curve).mean(), atol=1e-12, rtol=0)
    flat = torch.full_like(IMAGES, 0.5)
    even = draw(AOPC(step_px=5, score="logit", baseline="zero"), images=flat)  # falls by 2.5 a step, four steps
    torch.testing.assert_close(even.values, torch.full((3, 2), 5.0, dtype=torch.float64))


def test_flip_fraction_is_where_the_sum_falls_below_the_threshold():
    flat = torch.full_like(IMAGES, 0.5)  # sum 10, each pixel takes half of it
    drawn = draw(FlipFraction(step_px=1), images=flat, threshold=7.2)
    assert drawn.values.unique().tolist() == [6 / 20]  # after six pixels 7.0 are left
    coarse = draw(FlipFraction(step_px=8), images=flat, threshold=7.2)
    assert coarse.values.unique().tolist() == [8 / 20]


def test_flip_fraction_says_why_it_is_undefined():
    flat = torch.full_like(IMAGES, 0.5)
    maps = MAPS.clone()
    maps[1, 0, 0, 0] = torch.nan
    never = draw(FlipFraction(step_px=4), images=flat, maps=maps, threshold=-1.0)
    assert never.values.isnan().all()
    assert never.reasons == ((NEVER_FLIPPED,) * 2, (NOT_FINITE, NEVER_FLIPPED), (NEVER_FLIPPED,) * 2)
    other = draw(FlipFraction(step_px=4), images=flat, threshold=11.0)
    assert other.values.isnan().all()
    assert other.reasons[0][0] == NOT_PREDICTED


@settings(max_examples=50, deadline=None)
@given(hits=st.lists(st.booleans(), min_size=1, max_size=12))
def test_first_loss_of_any_sequence(hits):
    fractions = torch.linspace(0, 1, len(hits) + 1, dtype=torch.float64)
    curve = torch.tensor([1.0, *map(float, hits)])
    value = flip_fractions(fractions, curve).item()
    if all(hits):
        assert value != value
    else:
        assert value == fractions[1 + hits.index(False)]


def test_correct_is_undefined_where_a_logit_is():
    logits = torch.tensor([[2.0, 1.0], [1.0, 2.0], [1.0, 1.0], [torch.nan, 0.0], [0.0, torch.inf]])
    assert SCORES["correct"](logits, torch.zeros(5, dtype=torch.int64)).tolist()[:3] == [1, 0, 1]
    assert SCORES["correct"](logits, torch.zeros(5, dtype=torch.int64))[3:].isnan().all()


def test_steps_and_order_can_be_given_as_a_configuration_has_them():
    metric = Deletion(steps={"name": "chunks", "n_steps": 7}, order=Order(ties="raster"))
    assert metric.step_rule()(20) == (0, 3, 6, 9, 12, 15, 18, 20)
    assert metric.curves("key")[0].settings()["steps"] == "ChunkSteps(n_steps=7)"
    assert [curve.name for curve in AreaBetweenCurves().curves("key")] == ["key/morf", "key/lerf"]


def test_settings_that_contradict_the_metric():
    with pytest.raises(ValueError, match="AOPC is measured from the clean image; endpoints='end'"):
        AOPC(endpoints="end")
    with pytest.raises(ValueError, match=r"score must be 'correct'.*got 'logit'"):
        FlipFraction(score="logit")
    with pytest.raises(ValueError, match="'both' or 'start'"):
        replace(FlipFraction(), endpoints="neither")
