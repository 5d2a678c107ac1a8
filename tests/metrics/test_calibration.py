"""Similarities of unrelated maps against exact variances and expectations."""

import itertools
import math

import pytest
import torch

from xaibench.explainers.upsample import upsample
from xaibench.metrics.calibration import PAIRS_AT_ONCE, other_image_pairs, random_map_pairs
from xaibench.metrics.similarity import SIMILARITIES


def draw(map_size, image_size, names=("spearman",), *, n_pairs=64, seed=0, rectify=False, upsampling="bilinear"):
    return random_map_pairs(
        map_size,
        image_size,
        similarities=names,
        n_pairs=n_pairs,
        generator=torch.Generator().manual_seed(seed),
        rectify=rectify,
        upsampling=upsampling,
    )


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rank_correlation_of_white_noise_has_its_exact_variance():
    pixels, pairs = 16 * 20, 600
    values = draw((16, 20), (16, 20), n_pairs=pairs)["spearman"]
    deviation = 1 / math.sqrt(pixels - 1)  # of the rank correlation of two independent orders
    assert values.shape == (pairs,)
    assert abs(values.mean().item()) < 4 * deviation / math.sqrt(pairs)
    assert values.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * pairs))


def test_blocks_of_one_value_correlate_as_their_few_cells_do():
    """Nearest upsampling repeats every cell equally often, so Pearson is that of h · w independent cells: variance
    1 / (h w − 1) for normal values, whatever the image's size."""
    pairs = 600
    values = draw((3, 4), (48, 64), ("pearson",), n_pairs=pairs, upsampling="nearest")["pearson"]
    assert values.std().item() == pytest.approx(1 / math.sqrt(3 * 4 - 1), rel=4 / math.sqrt(2 * pairs))


@pytest.mark.parametrize("name", ["spearman", "pearson", "ssim"])
def test_coarse_maps_have_a_far_wider_band(name):
    coarse, fine = (draw((side, side), (64, 64), (name,))[name].std().item() for side in (2, 64))
    assert coarse > 10 * fine


def test_strongest_pixels_overlap_by_their_share():
    pairs, pixels, k = 600, 400, 40
    values = draw((20, 20), (20, 20), ("top_10_percent",), n_pairs=pairs)["top_10_percent"]
    variance = k * 0.1 * 0.9 * (pixels - k) / (pixels - 1) / k**2  # hypergeometric hits, as a share of k
    assert values.mean().item() == pytest.approx(0.1, abs=4 * math.sqrt(variance / pairs))


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_maps_are_rectified_and_upsampled_as_an_explainers_are(upsampling):
    names = ("spearman", "pearson", "ssim")
    found = draw((5, 6), (15, 18), names, n_pairs=PAIRS_AT_ONCE + 3, rectify=True, upsampling=upsampling)
    generator = torch.Generator().manual_seed(0)
    for pair in range(PAIRS_AT_ONCE + 3):
        maps = upsample(torch.randn(2, 5, 6, generator=generator).relu(), (15, 18), mode=upsampling)
        for name in names:
            expected = SIMILARITIES[name](maps[:1], maps[1:])
            torch.testing.assert_close(found[name][pair : pair + 1], expected, atol=1e-6, rtol=0)


def test_more_pairs_begin_with_the_same_ones():
    torch.testing.assert_close(
        draw((3, 3), (9, 9), n_pairs=40)["spearman"][:7], draw((3, 3), (9, 9), n_pairs=7)["spearman"]
    )


def test_small_rectified_maps_are_often_constant_and_then_undefined():
    values = draw((1, 2), (8, 8), n_pairs=400, rectify=True)["spearman"]
    share = 1 - (3 / 4) ** 2  # each map is all zero with probability 1/4
    assert values.isnan().double().mean().item() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 400))


@pytest.mark.parametrize(("images", "n_partners"), [(5, 1), (5, 2), (5, 9), (4, 2), (2, 1), (3, 1)])
def test_each_image_meets_the_next_ones_and_no_pair_comes_twice(images, n_partners):
    attributions = noise(images, 12, 14)
    pairs, values = other_image_pairs(attributions, ["pearson"], n_partners=n_partners)["pearson"]
    found = [frozenset(pair) for pair in pairs.tolist()]
    expected = {
        frozenset((a, b))
        for a, b in itertools.combinations(range(images), 2)
        if min(b - a, images - (b - a)) <= n_partners
    }
    assert len(found) == len(set(found))
    assert set(found) == expected
    for (a, b), value in zip(pairs.tolist(), values.tolist(), strict=True):
        by_hand = torch.corrcoef(attributions[[a, b]].flatten(1).double())[0, 1].item()
        assert value == pytest.approx(by_hand, abs=1e-9)


def test_identical_images_give_one_and_bad_ones_spoil_only_their_pairs():
    attributions = noise(1, 48, 64).repeat(4, 1, 1)
    for name, (_, values) in other_image_pairs(attributions, tuple(SIMILARITIES)).items():
        torch.testing.assert_close(values, torch.ones(4, dtype=torch.float64), msg=name)
    attributions[1] = 3.0
    pairs, values = other_image_pairs(attributions, ["spearman"])["spearman"]
    assert values.isnan().tolist() == [1 in pair for pair in pairs.tolist()] == [True, True, False, False]


def test_one_image_has_no_pair():
    pairs, values = other_image_pairs(noise(1, 4, 4), ["spearman"])["spearman"]
    assert pairs.shape == (0, 2)
    assert values.shape == (0,)


@pytest.mark.usefixtures("as_in_production")
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="did you mean spearman"):
        draw((2, 2), (4, 4), ("spearmen",))
    with pytest.raises(ValueError, match="n_pairs of a calibration must be at least 1; got 0"):
        draw((2, 2), (4, 4), n_pairs=0)
    with pytest.raises(ValueError, match="n_partners of a calibration must be at least 1; got 0"):
        other_image_pairs(noise(3, 4, 4), ["spearman"], n_partners=0)
