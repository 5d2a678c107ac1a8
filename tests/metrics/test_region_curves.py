"""The engine on regions, random orders and imputers: closed forms of a linear model, and exact counts."""

from dataclasses import dataclass

import pytest
import torch
from linear_models import LinearModel, linear_case
from region_cases import StoredRegions, regions_in_order, slow_curve
from torch import nn

from xaibench.metrics.baselines import Mean, Zero
from xaibench.metrics.curve import Curve
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.regions import Grid, Patches, Superpixels
from xaibench.metrics.steps import SingleSteps, SpacedSteps
from xaibench.metrics.undefined import NOT_FINITE

MODEL, IMAGES, TARGETS, _ = linear_case(n_images=3, size=(7, 9))
MAPS = torch.randn(3, 2, 7, 9, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
RASTER = Order(ties="raster")
UNEVEN = torch.randint(0, 5, (3, 7, 9), generator=torch.Generator().manual_seed(3))
UNEVEN[1] = UNEVEN[1] % 3  # three regions where the others have five
STORED = StoredRegions(IMAGES, UNEVEN)


def curve(name="c", direction="deletion", **choices):
    given = {"steps": SingleSteps(), "order": RASTER, "score": "logit", "area": "trapezoid", "regions": Patches(4)}
    return Curve(name, direction, **{**given, **choices})


def draw(*curves, maps=MAPS, images=IMAGES, targets=TARGETS, model=MODEL, batch_size=7):
    drawn = perturbation_curves(model, images, targets, maps, curves, batch_size=batch_size)
    return drawn if len(curves) > 1 else drawn[curves[0].name]


@pytest.mark.parametrize("regions", [Patches(4), Patches(3), Patches(50), Grid(2, 4), STORED], ids=type)
@pytest.mark.parametrize("direction", ["deletion", "insertion"])
@pytest.mark.parametrize("score", ["mean", "sum"])
def test_linear_model_has_a_known_curve(regions, direction, score):
    baseline = Mean()
    drawn = draw(curve(direction=direction, regions=regions, region_score=score, baseline=baseline))
    labels = regions(IMAGES)
    for b, image in enumerate(IMAGES):
        start, end = image, baseline(image[None])[0]
        if direction == "insertion":
            start, end = end, start
        n = int(labels[b].max()) + 1
        for m in range(2):
            order = regions_in_order(MAPS[b, m], labels[b], score=score)
            weights = MODEL.weights[TARGETS[b]]
            expected, shares = slow_curve(
                lambda x, w=weights: (w * x).sum(), start, end, labels[b], order, range(n + 1)
            )
            torch.testing.assert_close(drawn.scores[b, m, : n + 1].tolist(), expected, atol=1e-12, rtol=0)
            torch.testing.assert_close(drawn.fractions[b, m, : n + 1].tolist(), shares, atol=1e-15, rtol=0)
            area = sum(
                (before + after) / 2 * (x1 - x0)
                for before, after, x0, x1 in zip(expected, expected[1:], shares, shares[1:], strict=False)
            )
            torch.testing.assert_close(float(drawn.areas[b, m]), area, atol=1e-12, rtol=0)


def test_mean_and_sum_rank_unequal_regions_differently():
    by_mean, by_sum = draw(curve("mean"), curve("sum", region_score="sum")).values()
    assert (by_mean.scores - by_sum.scores).abs().max() > 1e-3


def test_shorter_curves_are_filled_up_with_nan_and_keep_their_area():
    drawn = draw(curve(regions=STORED))
    for b, n_points in enumerate((6, 4, 6)):
        for values in (drawn.fractions, drawn.scores):
            assert values[b].isfinite().all(dim=0).tolist() == [True] * n_points + [False] * (6 - n_points)
        alone = draw(curve(regions=STORED), images=IMAGES[b : b + 1], targets=TARGETS[b : b + 1], maps=MAPS[b : b + 1])
        assert alone.scores.shape[2] == n_points
        torch.testing.assert_close(alone.areas[0], drawn.areas[b], atol=1e-12, rtol=0)
    assert drawn.areas.isfinite().all()
    assert drawn.reasons == (("", ""),) * 3


@pytest.mark.parametrize("area", ["uniform_trapezoid", "trapezoid", "span_trapezoid", "mean", "mean_drop"])
def test_every_area_rule_takes_each_curves_own_points(area):
    drawn = draw(curve(regions=STORED, area=area))
    for b, n_points in enumerate((6, 4, 6)):
        alone = draw(
            curve(regions=STORED, area=area), images=IMAGES[b : b + 1], targets=TARGETS[b : b + 1], maps=MAPS[b : b + 1]
        )
        assert n_points == alone.scores.shape[2]
        torch.testing.assert_close(alone.areas[0], drawn.areas[b], atol=1e-12, rtol=0)


def test_negating_the_map_exchanges_most_and_least_relevant_first():
    most, least = draw(curve("most"), curve("least", order=Order(ties="raster", first="least"))).values()
    turned = draw(curve("most"), maps=-MAPS)
    torch.testing.assert_close(turned.scores, least.scores, atol=1e-12, rtol=0)
    torch.testing.assert_close(turned.fractions, least.fractions, atol=0, rtol=0)
    assert (most.scores - least.scores).abs().max() > 1e-3


def test_deleting_and_inserting_in_opposite_orders_mirror_each_other():
    down = curve("down", baseline=Mean())
    up = curve("up", "insertion", baseline=Mean(), order=Order(ties="raster", first="least"))
    drawn = draw(down, up)
    torch.testing.assert_close(drawn["down"].scores, drawn["up"].scores.flip(2), atol=1e-12, rtol=0)
    torch.testing.assert_close(drawn["down"].fractions, 1 - drawn["up"].fractions.flip(2), atol=1e-12, rtol=0)


def test_a_scale_and_a_shift_change_nothing_but_another_monotone_transform_may():
    """A region's mean commutes with what is linear only; pixel by pixel any monotone transform leaves the order."""
    before = draw(curve())
    torch.testing.assert_close(draw(curve(), maps=2 * MAPS + 3).scores, before.scores, atol=1e-12, rtol=0)
    assert (draw(curve(), maps=torch.exp(3 * MAPS)).scores - before.scores).abs().max() > 1e-3
    pixels = curve(regions=None)
    torch.testing.assert_close(draw(pixels, maps=torch.exp(3 * MAPS)).scores, draw(pixels).scores, atol=1e-12, rtol=0)


def test_every_pixel_its_own_region_is_the_pixel_curve():
    """Regions are numbered row by row, so ties go the same way too."""
    maps = MAPS.round()
    by_pixel, by_region = draw(curve("pixels", regions=None), curve("regions", regions=Patches(1)), maps=maps).values()
    torch.testing.assert_close(by_pixel.scores, by_region.scores, atol=1e-12, rtol=0)
    torch.testing.assert_close(by_pixel.fractions.expand(3, 2, -1), by_region.fractions, atol=1e-15, rtol=0)


def test_negative_relevance_is_cut_off_before_it_is_averaged():
    maps = torch.zeros(1, 1, 2, 4, dtype=torch.float64)
    maps[..., :2], maps[..., 2:] = torch.tensor([4.0, -5.0]), torch.tensor([1.0, 1.0])  # left: mean -0.5, rectified 2
    model = LinearModel(torch.ones(2, 1, 2, 4, dtype=torch.float64))
    images = torch.tensor([1.0, 1.0, 10.0, 10.0], dtype=torch.float64).expand(1, 1, 2, 4)
    drawn = draw(
        curve("signed", regions=Grid(1, 2)),
        curve("rectified", regions=Grid(1, 2), order=Order(ties="raster", rectify=True)),
        maps=maps, images=images, targets=torch.tensor([0]), model=model,
    )  # fmt: skip
    assert drawn["signed"].scores.flatten().tolist() == [44.0, 4.0, 0.0]
    assert drawn["rectified"].scores.flatten().tolist() == [44.0, 40.0, 0.0]


def test_the_signed_map_decides_among_equal_regions():
    maps = torch.tensor([[[[-3.0, -2.0, -1.0]]]], dtype=torch.float64)
    model = LinearModel(torch.ones(2, 1, 1, 3, dtype=torch.float64))
    images = torch.tensor([[[[1.0, 10.0, 100.0]]]], dtype=torch.float64)
    order = Order(ties="signed", rectify=True)
    drawn = draw(
        curve(regions=Patches(1), order=order), maps=maps, images=images, targets=torch.tensor([0]), model=model
    )
    assert drawn.scores.flatten().tolist() == [111.0, 11.0, 1.0, 0.0]


# ── random orders ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("regions", [None, Patches(3)], ids=str)
def test_a_random_order_depends_on_seed_and_image_alone(regions):
    random = curve(regions=regions, order=Order(first="random", seed=4))
    drawn = draw(random)
    torch.testing.assert_close(drawn.scores[:, 0], drawn.scores[:, 1], atol=1e-12, rtol=0)
    torch.testing.assert_close(draw(random, maps=MAPS.flip(0)).scores, drawn.scores, atol=1e-12, rtol=0)
    mixed = draw(random, images=IMAGES[[2, 0]], targets=TARGETS[[2, 0]], maps=MAPS[[2, 0]], batch_size=100)
    torch.testing.assert_close(mixed.scores, drawn.scores[[2, 0]], atol=1e-12, rtol=0)
    other = draw(curve(regions=regions, order=Order(first="random", seed=5)))
    assert (other.scores - drawn.scores).flatten(1).abs().max(dim=1).values.min() > 1e-3
    steps = drawn.scores.diff(dim=2).flatten(1)
    assert (steps[0] - steps[1]).abs().max() > 1e-3


def test_a_random_curve_is_drawn_once_for_all_maps_of_an_image():
    MODEL.n_seen = 0
    drawn = draw(curve("random", order=Order(first="random")), curve("map"))
    n_inner = 5  # six patches
    assert MODEL.n_seen == 3 * (2 + n_inner + 2 * n_inner)
    assert sum(float(one.forward_passes.sum()) for one in drawn.values()) == pytest.approx(MODEL.n_seen)
    assert float(drawn["random"].forward_passes[0, 0]) == pytest.approx(n_inner / 2 + 2 / 4)


@pytest.mark.usefixtures("as_in_production")
def test_a_random_order_needs_the_images():
    with pytest.raises(ValueError, match="needs images="):
        Order(first="random")(MAPS[:, 0])
    with pytest.raises(ValueError, match="did you mean random"):
        Order(first="randm")


# ── imputers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ZeroFill:
    """The zero baseline as an imputer."""

    def fill(self, image, removed):
        return torch.where(removed, torch.zeros_like(image), image)


@dataclass(frozen=True)
class CountFill:
    """Puts the share of removed pixels into every removed pixel."""

    def fill(self, image, removed):
        share = removed.to(image).mean(dim=(1, 2, 3), keepdim=True)
        return torch.where(removed, share, image)


@pytest.mark.parametrize("regions", [None, Patches(3)], ids=str)
@pytest.mark.parametrize("direction", ["deletion", "insertion"])
def test_an_imputer_that_needs_no_neighbours_is_a_baseline(regions, direction):
    picture, imputer = (curve(str(b), direction, regions=regions, baseline=b) for b in (Zero(), ZeroFill()))
    drawn = draw(picture, imputer, batch_size=4)
    torch.testing.assert_close(*(one.scores for one in drawn.values()), atol=1e-12, rtol=0)


@pytest.mark.parametrize("direction", ["deletion", "insertion"])
def test_an_imputer_is_told_what_is_removed(direction):
    drawn = draw(curve(direction=direction, baseline=CountFill()))
    labels, n = Patches(4)(IMAGES[:1])[0], 6
    order = regions_in_order(MAPS[0, 1], labels)
    for k in range(n + 1):
        gone = torch.isin(labels, torch.tensor(order[:k] if direction == "deletion" else order[k:], dtype=labels.dtype))
        filled = torch.where(gone, gone.double().mean(), IMAGES[0])
        expected = float((MODEL.weights[TARGETS[0]] * filled).sum())
        assert float(drawn.scores[0, 1, k]) == pytest.approx(expected, abs=1e-12)


# ── nothing depends on how the work is cut ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
def test_cutting_the_work_otherwise_changes_nothing(batch_size):
    state = torch.get_rng_state()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 7, 5)).eval()
    torch.set_rng_state(state)
    images, maps = IMAGES.float(), MAPS.float()
    curves = [
        curve("segments", score="probability", regions=Superpixels(8)),
        curve("random", score="probability", order=Order(first="random"), baseline=CountFill()),
        curve("pixels", regions=None, steps=SpacedSteps(), baseline=CountFill()),
    ]
    together = draw(*curves, model=network, images=images, maps=maps)
    for b in range(3):
        alone = draw(
            *curves, model=network, images=images[b : b + 1], targets=TARGETS[b : b + 1], maps=maps[b : b + 1, 1:],
            batch_size=batch_size,
        )  # fmt: skip
        for name, drawn in together.items():
            n = alone[name].scores.shape[2]
            torch.testing.assert_close(drawn.scores[b, 1, :n], alone[name].scores[0, 0], atol=1e-6, rtol=0)
            torch.testing.assert_close(drawn.areas[b, 1], alone[name].areas[0, 0], atol=1e-6, rtol=0)


def test_points_of_equal_divisions_are_scored_once():
    MODEL.n_seen = 0
    drawn = draw(curve("a"), curve("b", steps=SpacedSteps(3)), curve("c", regions=Patches(4), score="probability"))
    assert MODEL.n_seen == 3 * (2 + 2 * 5)
    assert sum(float(one.forward_passes.sum()) for one in drawn.values()) == pytest.approx(MODEL.n_seen)


def test_a_curve_may_stop_before_everything_is_removed():
    MODEL.n_seen = 0
    drawn = draw(curve(steps=SingleSteps(2)), curve("none", steps=SingleSteps(2), endpoints="end"))
    assert MODEL.n_seen == 3 * (1 + 2 * 2)
    assert drawn["c"].scores.shape == (3, 2, 3)
    assert drawn["none"].scores.shape == (3, 2, 2)
    assert (drawn["c"].fractions[..., -1] < 0.6).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_map_without_order_is_undefined_and_the_others_go_on(bad):
    good = draw(curve("map"), curve("random", order=Order(first="random")))
    maps = MAPS.clone()
    maps[1, 0, 3, 3] = bad
    MODEL.n_seen = 0
    drawn = draw(curve("map"), curve("random", order=Order(first="random")), maps=maps)
    assert MODEL.n_seen == 3 * (2 + 5) + 5 * 5
    for name, one in drawn.items():
        assert one.reasons == (("", ""), (NOT_FINITE, ""), ("", ""))
        assert one.scores[1, 0].isnan().all()
        assert one.fractions[1, 0].isnan().all()
        rest = ~one.areas.isnan()
        assert rest.sum() == 5
        torch.testing.assert_close(one.scores[rest], good[name].scores[rest], atol=1e-12, rtol=0)
    assert sum(float(one.forward_passes.sum()) for one in drawn.values()) == pytest.approx(MODEL.n_seen)


@pytest.mark.parametrize("regions", [Patches(3), Grid(), Superpixels()], ids=type)
def test_one_pixel(regions):
    model, images, targets, exact = linear_case(n_images=2, size=(1, 1))
    drawn = draw(curve(regions=regions), model=model, images=images, targets=targets, maps=exact[:, None])
    torch.testing.assert_close(drawn.scores[:, 0, 0], exact.flatten(), atol=1e-12, rtol=0)
    assert drawn.scores[:, 0, 1].tolist() == [0.0, 0.0]
    assert drawn.fractions[0, 0].tolist() == [0.0, 1.0]


def test_settings_tell_regions_apart():
    texts = {
        str(one.settings())
        for one in (curve(), curve(regions=None), curve(regions=Patches(5)), curve(region_score="sum"))
    }
    assert len(texts) == 4


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="did you mean mean"):
        curve(region_score="meen")
    with pytest.raises(ValueError, match="no point on an image of 1 regions"):
        draw(curve(regions=Patches(50), endpoints="neither"))
