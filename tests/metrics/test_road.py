import dataclasses

import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric, perturbation_curves
from xaibench.metrics.road import FRACTIONS, ROAD, GivenFractions, ROADLeRF, ROADMoRF, authors_relevance

GOLDEN = Golden("road")
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
AUTHORS = {"baseline": NoisyLinear(noise=0), "lerf_counts": "kept"}


def normalized(images):
    return (images - MEAN[:, None, None]) / STD[:, None, None]


def prepared(maps):
    return authors_relevance(GOLDEN[maps].sum(dim=3), GOLDEN["jitter"])


class Recording(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self, network):
        super().__init__()
        self.inner, self.seen = network, []

    def forward(self, images):
        self.seen.append(images.clone())
        return self.inner(images)


@pytest.mark.parametrize("maps", ["maps", "maps_tied"])
@pytest.mark.parametrize(("order", "kind"), [("morf", ROADMoRF), ("lerf", ROADLeRF)])
class TestGolden:
    def test_masks_and_pixels(self, maps, order, kind):
        """Which pixels are left is exact for all fractions; those of fraction 0.3 are stored."""
        model = Recording(GOLDEN.network())
        images, relevance = normalized(GOLDEN["images_raw"]), prepared(maps)
        # one batch an image, so that what was seen is in the order of the fractions
        draw_metric(
            model, images, GOLDEN["predictions"], relevance[:, None], kind(**AUTHORS), batch_size=len(FRACTIONS)
        )
        assert len(model.seen) == len(images)
        known = GOLDEN[f"protocol/{maps}/{order}/known_masks"].bool()
        for b, seen in enumerate(model.seen):
            same = (seen == images[b]).all(dim=1)
            assert torch.equal(same, known[:, b])
            in_pixels = seen[2] * STD[:, None, None] + MEAN[:, None, None]
            expected = GOLDEN[f"protocol/{maps}/{order}/imputed_p0.3"][b]
            torch.testing.assert_close(in_pixels, expected, atol=5e-6, rtol=0)

    @pytest.mark.parametrize(
        ("score", "targets", "stored", "tolerance"),
        [("probability", "predictions", "mean_probability", 5e-6), ("correct", "labels", "accuracy", 1e-12)],
    )
    def test_scores(self, maps, order, kind, score, targets, stored, tolerance):
        images, relevance = normalized(GOLDEN["images_raw"]), prepared(maps)
        metric = kind(score=score, **AUTHORS)
        scores = draw_metric(GOLDEN.network(), images, GOLDEN[targets], relevance[:, None], metric, batch_size=5)
        expected = GOLDEN[f"protocol/{maps}/{order}/{stored}"]
        torch.testing.assert_close(scores.curve_y[:, 0].mean(dim=0).double(), expected, atol=tolerance, rtol=0)
        torch.testing.assert_close(scores.values.mean(), expected.mean(), atol=tolerance, rtol=0)
        assert scores.curve_x[0, 0].tolist() == [int(450 * fraction) / 450 for fraction in FRACTIONS]


def linear_case(seed=0, n_maps=2):
    generator = torch.Generator().manual_seed(seed)
    images, maps = torch.randn(3, 3, 8, 9, generator=generator), torch.randn(3, n_maps, 8, 9, generator=generator)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 72, 4, bias=False))
    model[1].weight.data = torch.randn(4, 3 * 72, generator=generator) / 10
    return model, images, torch.tensor([0, 1, 3]), maps


def test_combined_is_made_of_the_two_with_equally_many_removed():
    model, images, targets, maps = linear_case()
    score = {"fractions": (0.2, 0.7), "baseline": NoisyLinear(0)}
    combined, morf, lerf = (
        draw_metric(model, images, targets, maps, kind(**score)) for kind in (ROAD, ROADMoRF, ROADLeRF)
    )
    torch.testing.assert_close(combined.values, (lerf.values - morf.values) / 2)
    assert combined.curve_x[0, 0].tolist() == [14 / 72, 50 / 72]
    assert lerf.curve_x[0, 0].tolist() == [22 / 72, 58 / 72]  # kept
    torch.testing.assert_close(combined.curve_y, (lerf.curve_y.flip(-1) - morf.curve_y).double() / 2)
    torch.testing.assert_close(combined.values, combined.curve_y.mean(dim=-1))


def test_reversing_the_map_exchanges_morf_and_lerf():
    model, images, targets, maps = linear_case()
    combined = draw_metric(model, images, targets, maps, ROAD(score="logit"))
    negated = draw_metric(model, images, targets, -maps, ROAD(score="logit"))
    torch.testing.assert_close(combined.values, -negated.values, atol=1e-6, rtol=0)
    assert float(combined.values.abs().max()) > 0.01


def test_a_monotone_transform_of_the_map_changes_nothing():
    model, images, targets, maps = linear_case()
    expected = draw_metric(model, images, targets, maps, ROAD())
    torch.testing.assert_close(draw_metric(model, images, targets, maps.exp(), ROAD()).values, expected.values)


def test_all_three_share_their_passes_and_batches_change_nothing():
    model, images, targets, maps = linear_case()
    metrics = {"a": ROAD(), "b": ROADMoRF(), "c": ROADLeRF()}
    curves = {key: metric.curves(key) for key, metric in metrics.items()}
    drawn = perturbation_curves(model, images, targets, maps, [curve for each in curves.values() for curve in each])
    scores = {key: metrics[key].value([drawn[curve.name] for curve in curves[key]]) for key in metrics}
    assert sum(float(each.forward_passes.sum()) for each in scores.values()) == pytest.approx(3 * 2 * 2 * 7)
    alone = draw_metric(model, images[1:2], targets[1:2], maps[1:2, 1:], ROAD(), batch_size=3)
    torch.testing.assert_close(scores["a"].values[1:2, 1:], alone.values, atol=1e-6, rtol=0)


def test_the_number_removed_is_exact_whatever_the_ties():
    """On a map that is zero on 90 % of the pixels, 20 % means 20 %."""
    model, images, targets, maps = linear_case()
    maps = torch.zeros_like(maps)
    maps[..., 0, :7] = 1
    model = Recording(model)
    draw_metric(model, images, targets, maps, ROADMoRF(fractions=(0.2,)), batch_size=1)
    for seen, image in zip(model.seen, images.repeat_interleave(2, dim=0), strict=True):
        assert int((seen[0] != image).any(dim=0).sum()) == 14


def shares_of(scores):
    """What each curve of a metric was asked to remove, and removed of the first map."""
    return {one.name: (one.asked.tolist(), one.removed[0, 0].tolist()) for one in scores.removals}


def test_asked_and_removed_shares_differ_by_less_than_a_pixel():
    model, images, targets, maps = linear_case()
    maps[1, 0, 0, 0] = torch.nan
    fractions = {"fractions": (0.2, 0.9)}
    exact = [14 / 72, 64 / 72]  # 14.4 and 64.8 pixels
    combined = shares_of(draw_metric(model, images, targets, maps, ROAD(**fractions)))
    assert combined["morf"] == ([0.2, 0.9], pytest.approx(exact))
    assert combined["lerf"] == ([0.9, 0.2], pytest.approx(exact[::-1]))
    kept = draw_metric(model, images, targets, maps, ROADLeRF(**fractions, lerf_counts="kept"))
    asked, removed = shares_of(kept)[""]
    assert asked == pytest.approx([0.8, 0.1])
    assert removed == pytest.approx([1 - share for share in exact])
    (removal,) = draw_metric(model, images, targets, maps, ROADMoRF(**fractions)).removals
    assert removal.errors[1].isnan().tolist() == [True, False]
    assert removal.errors[0].tolist() == pytest.approx([-0.8 / 72] * 2)  # 64 pixels for 64.8


def test_undefined_maps():
    model, images, targets, maps = linear_case()
    maps[1, 0, 0, 0] = torch.nan
    scores = draw_metric(model, images, targets, maps, ROAD())
    assert scores.values.isnan().tolist() == [[False, False], [True, False], [False, False]]
    assert scores.reasons[1] == ("map holds NaN or infinity", "")
    assert scores.forward_passes.tolist() == [[14, 14], [0, 14], [14, 14]]


@pytest.mark.usefixtures("as_in_production")
def test_settings():
    assert GivenFractions((0.1, 0.5))(10) == (1, 5)
    assert GivenFractions((0.1, 0.5), of_unchanged=True)(10) == (5, 9)
    assert ROAD(fractions=[0.1]).curves("road")[0].counts(50) == (5,)
    for fractions in ((), (0.5, 0.2), (0.1, 1.2)):
        with pytest.raises(ValueError, match="fractions must ascend"):
            ROAD(fractions=fractions).curves("road")
    with pytest.raises(ValueError, match="unknown meaning of LeRF's fractions"):
        ROAD(lerf_counts="left")
    with pytest.raises(ValueError, match="two ends of one order"):
        ROAD(order=Order(first="least"))
    names = [curve.name for curve in ROAD().curves("mine")]
    assert all(name.startswith("mine") for name in names)
    assert dataclasses.replace(ROAD(), score="logit") == ROAD(score="logit")
