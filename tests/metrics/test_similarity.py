"""Map similarities against closed forms, SciPy, scikit-image and the goldens of the paper's code."""

import math
import warnings

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_goldens import Golden
from quantus_peer import similarity_func
from scipy import stats
from skimage.feature import hog
from skimage.metrics import structural_similarity

from xaibench.metrics.similarity import (
    SIMILARITIES,
    average_ranks,
    correlation,
    hog_correlation,
    pearson,
    spearman,
    top_k_overlap,
    why_undefined,
)
from xaibench.metrics.structure import HOG_CELL_PX, HOG_CELLS_IN_BLOCK, hog_descriptors, ssim

GOLDEN = Golden("mprt_similarity")
FIRST, SECOND = GOLDEN["a"].float(), GOLDEN["b"].float()
TOLERANCE = GOLDEN.cases["pairs"]["tolerance"]


THREE_CHANNEL_HOG = {  # of each pixel the channel with the largest gradient
    "orientations": 9,
    "pixels_per_cell": (HOG_CELL_PX,) * 2,
    "cells_per_block": (HOG_CELLS_IN_BLOCK,) * 2,
    "channel_axis": -1,
}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("function", "output", "tolerance"),
    [
        (SIMILARITIES["spearman_abs"], "spearman_abs", TOLERANCE["correlations_abs"]),
        (SIMILARITIES["spearman"], "spearman_signed", TOLERANCE["correlations_abs"]),
        (SIMILARITIES["pearson"], "quantus_pearson", TOLERANCE["correlations_abs"]),
        (SIMILARITIES["ssim_paper"], "ssim_authors", TOLERANCE["ssim_abs"]),
        (SIMILARITIES["ssim"], "ssim_wang_range1", TOLERANCE["ssim_abs"]),
        (SIMILARITIES["hog"], "hog_spearman", TOLERANCE["hog_spearman_abs"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_golden_pairs_including_ties_and_undefined_ones(function, output, tolerance):
    expected = GOLDEN[f"pairs/{output}"]
    assert expected.isnan().any()
    assert expected.isfinite().any()
    torch.testing.assert_close(function(FIRST, SECOND), expected, atol=tolerance, rtol=0, equal_nan=True)


def by_percentile(maps, *, signed):
    """Channels reduced as the paper's code does for display: scaled by the 99th percentile, and clipped."""
    summed = maps.sum(dim=-1) if signed else maps.abs().sum(dim=-1)
    high = torch.stack([torch.quantile(values.flatten(), 0.99) for values in summed])[:, None, None]
    low = summed.amin(dim=(1, 2), keepdim=True)
    return ((summed + high.abs()) / (2 * high.abs()) if signed else (summed - low) / (high - low)).clamp(
        -1 if signed else 0, 1
    )


def test_golden_three_channel_maps():
    """Per-pixel maps of three channels, which the paper reduces in a way of its own before each comparison."""
    sides, tolerance = (GOLDEN["gradient_a"], GOLDEN["gradient_b"]), GOLDEN.cases["three_channel"]["tolerance"]
    for name, signed in (("abs", False), ("signed", True)):
        first, second = (by_percentile(maps, signed=signed) for maps in sides)
        stored = GOLDEN[f"three_channel/normalised_{name}_a"]
        torch.testing.assert_close(first[:1], stored, atol=1e-6, rtol=0)
        expected = GOLDEN[f"three_channel/spearman_{name}"]
        torch.testing.assert_close(spearman(first, second), expected, atol=tolerance["correlations_abs"], rtol=0)
    low, high = (torch.stack([getattr(m, f"a{e}")(dim=(1, 2, 3)) for m in sides]) for e in ("min", "max"))
    scaled = [
        (m - a[:, None, None, None]) / (b - a)[:, None, None, None] for m, a, b in zip(sides, low, high, strict=True)
    ]
    channels = [
        ssim(a, b, scaled=False, data_range=2.0, sample_covariance=True)
        for a, b in zip(*(m.unbind(dim=-1) for m in scaled), strict=True)
    ]
    expected = GOLDEN["three_channel/ssim_authors"]
    torch.testing.assert_close(torch.stack(channels).mean(dim=0), expected, atol=tolerance["ssim_abs"], rtol=0)
    descriptors = [
        torch.stack([torch.from_numpy(hog(one.numpy(), **THREE_CHANNEL_HOG)) for one in side]).double()
        for side in scaled
    ]
    expected = GOLDEN["three_channel/hog_spearman"]
    found = correlation(*map(average_ranks, descriptors))
    torch.testing.assert_close(found, expected, atol=tolerance["hog_spearman_abs"], rtol=0)


@pytest.mark.parametrize(
    ("name", "function"),
    [("spearman", similarity_func.correlation_spearman), ("pearson", similarity_func.correlation_pearson)],
)
def test_correlations_are_quantus(name, function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        expected = [
            function(a.double().numpy().ravel(), b.double().numpy().ravel()) for a, b in zip(FIRST, SECOND, strict=True)
        ]
        magnitudes = [
            function(abs(a.numpy().ravel()), abs(b.numpy().ravel())) for a, b in zip(FIRST, SECOND, strict=True)
        ]
    expected, magnitudes = (torch.tensor(values, dtype=torch.float64) for values in (expected, magnitudes))
    torch.testing.assert_close(SIMILARITIES[name](FIRST, SECOND), expected, atol=1e-9, rtol=0, equal_nan=True)
    if name == "spearman":  # its randomization test takes magnitudes first
        found = spearman(FIRST, SECOND, absolute=True)
        torch.testing.assert_close(found, magnitudes, atol=1e-9, rtol=0, equal_nan=True)


def test_ssim_is_not_quantus_of_flattened_maps():
    """Its metrics hand flattened maps to SSIM: a window of 7 neighbours in a row, over row ends. Moving both maps' rows
    about changes what is near what, hence any structure of the map, but hardly that number."""
    shuffled = torch.randperm(FIRST.shape[1], generator=torch.Generator().manual_seed(0))
    a, b = FIRST[1:2], SECOND[1:2]  # signed, moderately similar
    moved = a[:, shuffled], b[:, shuffled]
    flat, flat_moved = (similarity_func.ssim(*(m.numpy().ravel() for m in pair)) for pair in ((a, b), moved))
    assert flat == pytest.approx(GOLDEN["pairs/quantus_ssim_flattened"][1].item(), abs=1e-6)
    assert abs(flat - flat_moved) < 0.01
    ours, ours_moved = (ssim(*pair).item() for pair in ((a, b), moved))
    assert abs(ours - ours_moved) > 0.05


def test_golden_hog_descriptors():
    for side, name in ((FIRST, "a"), (SECOND, "b")):
        expected = GOLDEN[f"pairs/hog_descriptor_{name}"]
        torch.testing.assert_close(hog_descriptors(side[:3]), expected, atol=TOLERANCE["hog_abs"], rtol=0)


few_values = hnp.arrays(numpy.float64, (2, 5, 6), elements=st.integers(-2, 2).map(float))  # many ties
any_values = hnp.arrays(numpy.float64, (2, 5, 6), elements=st.floats(-1e3, 1e3, width=32))


@settings(deadline=None)
@given(few_values | any_values)
def test_spearman_is_scipys(pair):
    first, second = torch.from_numpy(pair[:1]), torch.from_numpy(pair[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        expected = stats.spearmanr(pair[0].ravel(), pair[1].ravel()).statistic
        magnitudes = stats.spearmanr(abs(pair[0]).ravel(), abs(pair[1]).ravel()).statistic
    assert spearman(first, second).item() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert spearman(first, second, absolute=True).item() == pytest.approx(magnitudes, abs=1e-12, nan_ok=True)


@given(few_values | any_values)
@settings(deadline=None)
def test_average_ranks_are_scipys(pair):
    expected = stats.rankdata(pair.reshape(2, -1), axis=1)
    torch.testing.assert_close(average_ranks(torch.from_numpy(pair).flatten(1)), torch.from_numpy(expected))


@given(few_values)
@settings(deadline=None)
def test_pearson_is_scipys(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        expected = stats.pearsonr(pair[0].ravel(), pair[1].ravel()).statistic
    found = pearson(torch.from_numpy(pair[:1]), torch.from_numpy(pair[1:])).item()
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(st.integers(0, 2**31), st.integers(11, 20), st.integers(11, 20), st.booleans(), st.sampled_from([1.0, 2.0]))
@settings(deadline=None, max_examples=25)
def test_ssim_is_scikit_images(seed, height, width, sample, data_range):
    first, second = noise(2, height, width, seed=seed), noise(2, height, width, seed=seed + 1)
    expected = [
        structural_similarity(
            a.numpy(), b.numpy(), gaussian_weights=True, use_sample_covariance=sample, data_range=data_range
        )
        for a, b in zip(first, second, strict=True)
    ]
    found = ssim(first, second, scaled=False, data_range=data_range, sample_covariance=sample)
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", SIMILARITIES)
class TestAllSimilarities:
    def test_identical_maps_have_similarity_one(self, name):
        maps = noise(3, 48, 64)
        torch.testing.assert_close(SIMILARITIES[name](maps, maps), torch.ones(3, dtype=torch.float64))

    def test_symmetric(self, name):
        a, b = noise(2, 48, 64), noise(2, 48, 64, seed=1)
        torch.testing.assert_close(SIMILARITIES[name](a, b), SIMILARITIES[name](b, a))

    def test_positive_scaling_and_shift_change_nothing(self, name):
        a, b = noise(2, 48, 64), noise(2, 48, 64, seed=1)
        shift = 0 if name == "spearman_abs" else 5
        tolerance = 5e-3 if name == "hog" else 1e-9  # HOG works in single precision and ranks clipped values
        torch.testing.assert_close(
            SIMILARITIES[name](3 * a + shift, b), SIMILARITIES[name](a, b), atol=tolerance, rtol=0
        )

    def test_one_bad_map_is_undefined_with_a_reason_and_spoils_no_other(self, name):
        trained, randomized = noise(4, 48, 64).float(), noise(4, 48, 64, seed=1).float()
        alone = SIMILARITIES[name](trained[3:], randomized[3:])
        trained[0], randomized[1], randomized[2, 5, 5] = 2.0, 0.0, torch.inf
        found = SIMILARITIES[name](trained, randomized)
        assert found[:2].isnan().all()
        torch.testing.assert_close(found[3:], alone)
        assert why_undefined(name, trained, randomized) == [
            "constant map (trained model)",
            "constant map (randomized model)",
            "map holds NaN or infinity (randomized model)",
            "",
        ]


def test_sign_flip_is_seen_by_signed_similarities_only():
    maps = noise(1, 48, 64)
    assert spearman(maps, -maps).item() == pytest.approx(-1)
    assert pearson(maps, -maps).item() == pytest.approx(-1)
    assert spearman(maps, -maps, absolute=True).item() == pytest.approx(1)
    assert hog_correlation(maps, -maps).item() == pytest.approx(1, abs=5e-3)
    assert top_k_overlap(maps, -maps).item() == 0


def test_magnitudes_may_be_constant_where_the_map_is_not():
    signs, other = noise(1, 6, 6).sign(), noise(1, 6, 6, seed=1)
    assert spearman(signs, other).isfinite().all()
    assert spearman(signs, other, absolute=True).isnan().all()
    assert why_undefined("spearman_abs", signs, other) == ["constant map (trained model)"]


def test_infinity_leaves_no_similarity_defined_silently():
    a, b = noise(1, 48, 64), noise(1, 48, 64, seed=1)
    a[0, 0, 0] = torch.inf
    for name, similarity in SIMILARITIES.items():
        assert similarity(a, b).isnan().all(), name


def test_independent_maps_correlate_within_the_analytic_standard_error():
    pixels, pairs = 32 * 32, 400
    values = spearman(noise(pairs, 32, 32), noise(pairs, 32, 32, seed=1))
    standard_error = 1 / math.sqrt(pixels - 1)  # exact for the rank correlation of independent orders
    assert abs(values.mean().item()) < 4 * standard_error / math.sqrt(pairs)
    assert values.std().item() == pytest.approx(standard_error, rel=4 / math.sqrt(2 * pairs))


def test_overlap_of_disjoint_nested_and_tied_maps():
    first = torch.arange(10.0).reshape(1, 2, 5)
    assert top_k_overlap(first, first.flip(1, 2), fraction=0.3).item() == 0
    assert top_k_overlap(first, first**3, fraction=0.3).item() == 1
    # two of four equal pixels get in by half each; both of the other map's two strongest are among the four
    tied = torch.tensor([[[0.0, 0, 0, 0, 0], [0, 1, 1, 1, 1]]])
    assert top_k_overlap(first, tied, fraction=0.2).item() == pytest.approx(0.5)


def test_independent_maps_overlap_by_the_fraction():
    values = top_k_overlap(noise(400, 20, 20), noise(400, 20, 20, seed=1), fraction=0.25)
    # hypergeometric: k of P drawn, share of k hit
    deviation = math.sqrt(0.25 * 0.75 * 0.75 * 400 / 399 * 400 * 0.25) / 100
    assert values.mean().item() == pytest.approx(0.25, abs=4 * deviation / 20)


def test_too_small_maps_and_bad_fractions_are_told():
    with pytest.raises(ValueError, match=r"\(10, 30\) pixels are smaller than SSIM's window, 11"):
        ssim(noise(1, 10, 30), noise(1, 10, 30))
    with pytest.raises(ValueError, match="smaller than a HOG block, 48"):
        hog_correlation(noise(1, 47, 60), noise(1, 47, 60))
    with pytest.raises(ValueError, match="between 0 and 1; got 1"):
        top_k_overlap(noise(1, 4, 4), noise(1, 4, 4), fraction=1.0)


def test_inputs_are_not_changed():
    a, b = noise(2, 48, 64), noise(2, 48, 64, seed=1)
    copies = a.clone(), b.clone()
    for similarity in SIMILARITIES.values():
        similarity(a, b)
    assert torch.equal(a, copies[0])
    assert torch.equal(b, copies[1])
