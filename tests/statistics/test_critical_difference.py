import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.statistics.critical_difference import critical_difference

# Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, table 6: ranks (in the table
# beside the areas, of which two are printed alike but were ranked before rounding)
DEMSAR = pd.DataFrame(
    [
        [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1],
        [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3],
        [3, 1, 4, 2],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)  # fmt: skip


def test_demsars_example_at_five_percent():
    found = critical_difference(DEMSAR, higher_is_better=False)
    published = {"C4.5+m+cf": 1.964, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert list(found.mean_ranks) == list(published)
    assert found.mean_ranks == pytest.approx(published, abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert found.groups == (tuple(published),)
    assert found.n_images == 14


def test_demsars_example_at_ten_percent():
    found = critical_difference(DEMSAR, higher_is_better=False, alpha=0.1)
    assert found.critical_difference == pytest.approx(1.12, abs=5e-3)
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


@pytest.mark.parametrize(("n_arms", "five", "ten"), [(2, 1.960, 1.645), (5, 2.728, 2.459), (10, 3.164, 2.920)])
def test_critical_values_of_demsars_table_5(n_arms, five, ten):
    values = pd.DataFrame(np.random.default_rng(0).random((12, n_arms)))
    for alpha, expected in ((0.05, five), (0.1, ten)):
        found = critical_difference(values, higher_is_better=True, alpha=alpha)
        scale = math.sqrt(n_arms * (n_arms + 1) / (6 * 12))
        assert found.critical_difference / scale == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("decimals", [6, 1])
def test_p_is_scikit_posthocs(decimals):
    posthocs = pytest.importorskip("scikit_posthocs")
    values = np.round(np.random.default_rng(2).random((25, 6)) + 0.05 * np.arange(6), decimals)
    expected = posthocs.posthoc_nemenyi_friedman(values)
    for higher_is_better in (True, False):
        found = critical_difference(pd.DataFrame(values), higher_is_better=higher_is_better)
        np.testing.assert_allclose(found.p, expected, rtol=1e-9, atol=1e-12)


def test_groups_are_what_p_does_not_tell_apart():
    values = pd.DataFrame(np.random.default_rng(5).random((30, 9)) + 0.07 * np.arange(9))
    found = critical_difference(values, higher_is_better=True, alpha=0.05)
    together = {(one, other) for group in found.groups for one in group for other in group}
    for one in values.columns:
        for other in values.columns:
            if one != other:
                assert ((one, other) in together) == (found.p.loc[one, other] >= 0.05)
    assert len(found.groups) > 1


def test_direction_turns_the_ranks_round():
    values = pd.DataFrame({"a": [3.0, 2.0], "b": [1.0, 1.0], "c": [2.0, 3.0]})
    high, low = (critical_difference(values, higher_is_better=better).mean_ranks for better in (True, False))
    assert high == {"a": 1.5, "c": 1.5, "b": 3.0}
    assert {arm: 4 - rank for arm, rank in low.items()} == high
    assert list(low) == ["b", "a", "c"]


def test_arms_far_apart_have_no_group():
    values = pd.DataFrame(np.tile([1.0, 2.0, 3.0], (40, 1)))
    found = critical_difference(values, higher_is_better=True)
    assert found.groups == ()
    assert found.mean_ranks == {2: 1.0, 1: 2.0, 0: 3.0}


def test_images_with_a_gap_and_silent_arms_are_left_out():
    arms = [("cam", "a"), ("cam", "b"), ("silent", "")]
    values = pd.DataFrame([[1.0, 2.0], [2.0, 3.0], [math.nan, 1.0], [5.0, 1.0]]).assign(silent=math.nan)
    values.columns = pd.Index(arms, tupleize_cols=False)
    found = critical_difference(values, higher_is_better=True)
    assert found.n_images == 3
    assert set(found.mean_ranks) == {("cam", "a"), ("cam", "b")}
    assert found.p.loc[[("cam", "a")], [("cam", "b")]].shape == (1, 1)


def test_two_arms_give_the_normal_sign_test():
    # mean ranks of two arms differ by (wins - losses) / n: its z is (wins - losses) / sqrt(n)
    values = pd.DataFrame({"a": [1.0] * 12 + [0.0] * 4, "b": [0.5] * 16})
    p = critical_difference(values, higher_is_better=True).p.loc["a", "b"]
    assert p == pytest.approx(2 * stats.norm.sf(8 / math.sqrt(16)), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"a": [1.0, 2.0, 3.0]}, "fewer than two arms"),
        ({"a": [1.0, 2.0], "b": [math.nan, math.nan]}, "fewer than two arms"),
        ({"a": [1.0, math.nan], "b": [2.0, 1.0]}, "fewer than two images"),
        ({}, "fewer than two arms"),
    ],
)
def test_undefined_with_a_reason(values, reason):
    found = critical_difference(pd.DataFrame(values), higher_is_better=True)
    assert math.isnan(found.critical_difference)
    assert found.groups == ()
    assert found.p.isna().all().all()
    assert reason in found.reason


def test_alpha_is_a_share():
    with pytest.raises(ValueError, match="alpha is a share between 0 and 1"):
        critical_difference(DEMSAR, higher_is_better=False, alpha=5.0)
