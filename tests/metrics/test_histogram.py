"""Histogram entropy and numbers of bins against NumPy, SciPy and closed forms."""

import math

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quantus_peer import n_bins_func as theirs
from scipy import stats

from xaibench.metrics.histogram import BIN_RULES, bin_counts, histogram_entropy

NUMPY_RULES = {"freedman_diaconis": "fd", "scott": "scott", "sturges": "sturges", "rice": "rice", "square_root": "sqrt"}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(0, 2**31), st.integers(2, 300))
@settings(deadline=None, max_examples=30)
def test_entropy_is_that_of_numpys_histogram(seed, bins):
    maps = noise(3, 9, 11, seed=seed)
    expected = [stats.entropy(numpy.histogram(values.numpy(), bins=bins)[0]) for values in maps]
    found = histogram_entropy(maps, bins=bins)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0)


def test_closed_forms():
    ramp = torch.arange(200.0).reshape(1, 10, 20)
    torch.testing.assert_close(histogram_entropy(ramp, bins=50), torch.tensor([math.log(50)], dtype=torch.float64))
    halves = torch.tensor([[[-1.0, -1.0, 3.0, 3.0]]])
    torch.testing.assert_close(histogram_entropy(halves), torch.tensor([math.log(2)], dtype=torch.float64))
    assert histogram_entropy(torch.full((1, 3, 3), 7.0)).item() == 0


def test_a_positive_factor_and_a_shift_change_no_histogram():
    maps = noise(2, 16, 16)
    for changed in (maps * 37.5, maps / maps.square().mean(dim=(1, 2), keepdim=True).sqrt(), maps - 4):
        torch.testing.assert_close(histogram_entropy(changed), histogram_entropy(maps), atol=1e-2, rtol=0)
    torch.testing.assert_close(histogram_entropy(maps * 4), histogram_entropy(maps), atol=0, rtol=0)


@pytest.mark.parametrize("rule", BIN_RULES)
@pytest.mark.parametrize("shape", [(13, 17), (30, 31)])
def test_rules_are_numpys_and_count_pixels(rule, shape):
    maps = torch.cat([noise(2, *shape), noise(1, *shape, seed=1).exp()])
    expected = [len(numpy.histogram_bin_edges(values.numpy(), bins=NUMPY_RULES[rule])) - 1 for values in maps]
    assert bin_counts(maps, rule).tolist() == expected
    entropies = [stats.entropy(numpy.histogram(v.numpy(), bins=n)[0]) for v, n in zip(maps, expected, strict=True)]
    found = histogram_entropy(maps, bins=rule)
    torch.testing.assert_close(found, torch.tensor(entropies, dtype=torch.float64), atol=1e-9, rtol=0)


def test_quantus_rules_count_array_dimensions_instead():
    """Whatever the map's size, its rules give a handful of bins, which it then raises to 10; ours grow with the map."""
    maps = noise(1, 224, 224)
    functions = {
        "freedman_diaconis": theirs.freedman_diaconis_rule,
        "scott": theirs.scotts_rule,
        "sturges": theirs.sturges_formula,
        "rice": theirs.rice_rule,
        "square_root": theirs.square_root_choice,
    }
    for rule, function in functions.items():
        ours = bin_counts(maps, rule).item()
        assert function(maps.numpy()) <= 10 < ours, rule
    assert bin_counts(maps, "square_root").item() == 224
    assert theirs.square_root_choice(maps.numpy()) == 1  # √2 dimensions


def test_a_rule_on_a_mostly_equal_map_gives_one_bin_and_never_more_bins_than_pixels():
    rectified = noise(1, 20, 20).sub(1).relu()
    assert bin_counts(rectified, "freedman_diaconis").item() == 1
    far = noise(1, 4, 4)
    far[0, 0, 0] = 1e9
    assert bin_counts(far, "freedman_diaconis").item() == 16
    for rule in BIN_RULES:
        assert bin_counts(torch.ones(1, 5, 5), rule).item() >= 1


def test_maps_that_are_not_finite_have_no_entropy_and_spoil_no_other():
    maps = noise(3, 8, 8)
    maps[0, 0, 0], maps[1, 2, 2] = torch.nan, torch.inf
    for bins in (100, *BIN_RULES):
        found = histogram_entropy(maps, bins=bins)
        assert found.isnan().tolist() == [True, True, False]
        torch.testing.assert_close(found[2:], histogram_entropy(maps[2:], bins=bins))


@pytest.mark.usefixtures("as_in_production")
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="did you mean sturges"):
        histogram_entropy(noise(1, 4, 4), bins="sturge")
    with pytest.raises(ValueError, match=r"bins must be at least 2, or a rule: freedman_diaconis.*; got 1"):
        histogram_entropy(noise(1, 4, 4), bins=1)
