import numpy as np
import pytest
import torch
from linear_models import LinearModel
from metric_goldens import Golden

from xaibench.metrics.information_curves import (
    AIC,
    GRID,
    READINGS,
    SIC,
    THRESHOLDS,
    information_curve,
    information_curves,
)
from xaibench.metrics.information_evidence import why_no_curve
from xaibench.metrics.map_scores import ModelMetric
from xaibench.metrics.scattered import Normalization, keep_most_relevant, random_mask, rebuilt, webp_bytes, with_corners
from xaibench.metrics.scores import SCORES

GOLDEN = Golden("pic")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZATION = Normalization(MEAN, STD)


def stored(b, name):
    return GOLDEN.arrays[f"image{b}/{name}"]


@pytest.mark.parametrize("b", range(3))
@pytest.mark.parametrize(("score", "reading"), READINGS.items())
def test_curves_from_stored_pictures_and_sizes_agree_with_the_authors(b, score, reading):
    pictures = torch.from_numpy(stored(b, "blurred_images")).float() / 255  # the authors normalized in float32
    images = ((pictures - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).double()
    target = torch.full((len(images),), int(stored(b, "class_index")))
    with torch.no_grad():
        scores = SCORES[score](GOLDEN.network()(images), target).numpy()
    np.testing.assert_allclose(scores, stored(b, f"{reading}/predictions"), atol=1e-9)
    curve = information_curve(scores, stored(b, "webp_bytes"))
    np.testing.assert_allclose(curve, stored(b, f"{reading}/curve_y"), atol=1e-6)
    assert np.trapezoid(curve, GRID) == pytest.approx(stored(b, f"{reading}/auc"), abs=1e-6)


@pytest.mark.parametrize("method", ["mean", "median"])
@pytest.mark.parametrize("reading", ["sic", "aic"])
def test_curves_of_images_are_aggregated_as_by_the_authors(method, reading):
    curve = getattr(np, method)([stored(b, f"{reading}/curve_y") for b in range(3)], axis=0)
    expected = GOLDEN[f"aggregate/{reading}_{method}/auc"].item()
    assert np.trapezoid(curve, GRID) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("b", range(3))
def test_rebuilt_pictures_agree_but_for_a_grey_level_here_and_there(b):
    seeds = with_corners(stored(b, "random_mask"))
    masks = [seeds] + [keep_most_relevant(stored(b, "map"), share, seeds) for share in THRESHOLDS]
    for mask, expected in zip(masks, stored(b, "blurred_images")[:-1], strict=True):
        difference = np.abs(rebuilt(stored(b, "image"), mask).astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.006


def golden_batch():
    images = torch.stack([NORMALIZATION.image(stored(b, "image")) for b in range(3)])
    targets = torch.tensor([int(stored(b, "class_index")) for b in range(3)])
    maps = torch.stack([torch.from_numpy(stored(b, "map")) for b in range(3)]).double()
    masks = torch.stack([torch.from_numpy(stored(b, "random_mask")) for b in range(3)])
    return GOLDEN.network(), images, targets, maps, masks


def test_the_whole_way_comes_close_to_the_authors():
    network, images, targets, maps, masks = golden_batch()
    found = information_curves(network, images, targets, maps[:, None], mean=MEAN, std=STD, seed_masks=masks)
    for reading in ("sic", "aic"):
        expected = [float(stored(b, f"{reading}/auc")) for b in range(3)]
        # a grey level more or less moves a size by a few of some thousand bytes, whatever the encoder's version
        assert found[reading].values[:, 0].tolist() == pytest.approx(expected, abs=0.01)
        assert found[reading].curve_y.shape == found[reading].curve_x.shape == (3, 1, 1001)
    assert found["sic"].forward_passes.tolist() == [[15.0]] * 3


def test_both_readings_share_the_passes_and_maps_share_the_ends():
    network, images, targets, maps, masks = golden_batch()
    seen = []
    network.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    both = torch.stack([maps[:2], -maps[:2], torch.ones_like(maps[:2])], dim=1)
    options = {"mean": MEAN, "std": STD, "thresholds": (0.1, 0.5), "seed_masks": masks[:2]}
    found = information_curves(network, images[:2], targets[:2], both, batch_size=5, **options)
    assert found["sic"].forward_passes[0].tolist() == pytest.approx([2 + 2 / 3, 2 + 2 / 3, 2 / 3])
    assert sum(seen) == round(found["sic"].forward_passes.sum().item()) == 12
    assert found["sic"].reasons == (("", "", "constant map"),) * 2
    for b in range(2):
        for m in range(2):
            alone = information_curves(
                network, images[b : b + 1], targets[b : b + 1], both[b : b + 1, m : m + 1],
                **{**options, "seed_masks": masks[b : b + 1]},
            )  # fmt: skip
            for reading in ("sic", "aic"):
                assert alone[reading].values[0, 0].item() == pytest.approx(found[reading].values[b, m].item(), abs=1e-9)


def test_the_settings_choose_the_reading_and_draw_their_own_pixels():
    network, images, targets, maps, _ = (
        part[:2] if isinstance(part, torch.Tensor) else part for part in golden_batch()
    )
    options = {"mean": MEAN, "std": STD, "thresholds": (0.2,), "seed_share": 0.02}
    both = information_curves(network, images, targets, maps[:, None], **options)
    for kind in (SIC, AIC):
        metric = kind(**options)
        assert isinstance(metric, ModelMetric)
        found = metric.scores(network, images, targets, maps[:, None])
        torch.testing.assert_close(found.values, both[metric.reading].values, equal_nan=True)
    flipped = SIC(**options).scores(network, images.flip(0), targets.flip(0), maps.flip(0)[:, None]).values.flip(0)
    torch.testing.assert_close(flipped, both["sic"].values, equal_nan=True)
    other = SIC(**options, seed=1).scores(network, images, targets, maps[:, None]).values
    assert (other != both["sic"].values).any()


@pytest.mark.parametrize(
    ("scores_and_sizes", "reason"),
    [
        ((0.9, 0.1, 900, 100), ""),
        ((0.79, 0.1, 900, 100), "clean score below 0.8"),
        ((0.9, 0.1, 900, 900), "blurred picture holds as much information as the picture"),
        ((0.9, 0.9, 900, 100), "blurred picture scores no lower than the picture"),
        ((np.nan, 0.9, 900, 100), "model output holds NaN or infinity"),
    ],
)
def test_images_without_a_curve_are_told(scores_and_sizes, reason):
    assert why_no_curve(*scores_and_sizes, least_score=0.8) == reason


def test_a_wrong_prediction_costs_two_passes_and_is_undefined_with_its_reason():
    network, images, targets, maps, masks = golden_batch()
    wrong = (targets + 1) % 4
    found = information_curves(network, images, wrong, maps[:, None], mean=MEAN, std=STD, seed_masks=masks)
    for scores in found.values():
        assert scores.values.isnan().all()
        assert scores.curve_y.isnan().all()
        assert scores.reasons == (("clean score below 0.8",),) * 3
        assert scores.forward_passes.tolist() == [[2.0]] * 3


def test_the_curve_is_what_interpolation_by_hand_gives():
    scores = np.array([0.2, 0.4, 0.3, 0.7, 1.0])
    sizes = np.array([100, 150, 200, 250, 300])
    curve = information_curve(scores, sizes)  # (0, 0), (.25, .25), (.5, .25), (.75, .625), (1, 1)
    assert curve[[0, 125, 250, 400, 500, 625, 1000]] == pytest.approx([0, 0.125, 0.25, 0.25, 0.25, 0.4375, 1])
    falling = information_curve(scores, sizes, monotone=False)
    assert falling[[250, 500]] == pytest.approx([0.25, 0.125])
    beyond = information_curve(np.array([0.2, 0.1, 1.5, 1.0]), np.array([100, 50, 400, 300]))
    assert beyond[[0, 500, 1000]] == pytest.approx([0, 0.5, 1])


def test_an_affine_picture_is_rebuilt_from_few_pixels_and_bytes():
    rows, columns = np.mgrid[:20, :30]
    picture = np.stack([4 * rows + 2 * columns, 200 - 3 * columns, 7 * rows], axis=2).astype(np.uint8)
    kept = with_corners(random_mask((20, 30), 0.02, torch.Generator().manual_seed(0)))
    assert 12 <= kept.sum() <= 16
    assert np.array_equal(rebuilt(picture, kept), picture)
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(rebuilt(noise, np.ones((20, 30), dtype=bool)), noise)
    blurred = rebuilt(noise, kept)
    assert np.array_equal(blurred[kept], noise[kept])
    assert webp_bytes(blurred) < webp_bytes(noise)


def test_most_relevant_pixels_come_from_the_quantile_on():
    attribution = np.arange(12.0).reshape(3, 4)
    none = np.zeros((3, 4), dtype=bool)
    assert keep_most_relevant(attribution, 0.25, none).sum() == 3
    assert keep_most_relevant(np.minimum(attribution, 5), 0.25, none).sum() == 7  # the tie enters as a whole


def test_pictures_survive_the_normalization():
    picture = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    assert np.array_equal(NORMALIZATION.picture(NORMALIZATION.image(picture).float()), picture)


def test_settings_are_checked():
    model = LinearModel(torch.randn(4, 3, 8, 9))
    arguments = (model, torch.randn(1, 3, 8, 9), torch.tensor([0]), torch.randn(1, 1, 8, 9))
    with pytest.raises(ValueError, match="give mean= and std="):
        SIC().scores(*arguments)
    with pytest.raises(ValueError, match="give both"):
        SIC(mean=MEAN)
    with pytest.raises(ValueError, match="three numbers each"):
        SIC(mean=(0.5,), std=(0.5,)).scores(*arguments)
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        AIC(thresholds=(0.0, 0.5))
