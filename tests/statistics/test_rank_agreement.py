"""Rank agreement and joint intervals against SciPy, closed forms, and the plain functions where nothing is undefined."""

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.intervals import mean_intervals
from xaibench.statistics.joint_intervals import joint_bootstrap_means, joint_mean_intervals
from xaibench.statistics.rank_agreement import SpreadOfMeans, spearman_by_image, spearman_of_means
from xaibench.statistics.resampling import bootstrap_means


def test_the_same_ranking_is_one_and_its_reverse_minus_one():
    scores = np.random.default_rng(0).random((6, 5))
    assert np.allclose(spearman_by_image(scores, np.exp(scores)), 1, atol=1e-15)
    assert np.allclose(spearman_by_image(scores, -scores), -1, atol=1e-15)


def test_each_row_is_scipys_spearman_ties_and_gaps_included():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 4, (40, 8)).astype(float), rng.integers(0, 3, (40, 8)).astype(float)
    one[rng.random(one.shape) < 0.2] = np.nan
    found = spearman_by_image(one, other)
    for value, a, b in zip(found, one, other, strict=True):
        kept = np.isfinite(a) & np.isfinite(b)
        expected = stats.spearmanr(a[kept], b[kept]).statistic
        assert value == pytest.approx(expected, abs=1e-14)


def test_ties_of_all_arms_and_two_arms_are_undefined():
    assert np.isnan(spearman_by_image(np.ones((1, 4)), np.arange(4.0)[None]))[0]
    assert np.isnan(spearman_by_image(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]])))[0]
    assert np.isnan(spearman_by_image(np.array([[1.0, 2.0, np.nan]]), np.array([[1.0, 2.0, 3.0]])))[0]


def test_random_rankings_agree_by_nothing():
    rng = np.random.default_rng(2)
    found = spearman_by_image(rng.random((4000, 7)), rng.random((4000, 7)))
    assert abs(found.mean()) < 5 * np.sqrt(1 / 6 / 4000)  # a correlation of n random ranks has variance 1 / (n - 1)


def test_without_gaps_joint_intervals_are_the_plain_ones():
    values = np.random.default_rng(3).beta(0.5, 2, (30, 3))
    assert joint_mean_intervals(values, n_resamples=500) == mean_intervals(values, n_resamples=500)
    assert np.array_equal(
        joint_bootstrap_means(values, n_resamples=50, seed=1), bootstrap_means(values, n_resamples=50, seed=1)
    )


def test_gaps_are_left_out_and_counted():
    values = np.column_stack([np.arange(20.0), np.full(20, 3.0), np.full(20, np.nan), np.full(20, np.nan)])
    values[::2, 0] = np.nan
    values[0, 3] = 5
    ranged, equal, nothing, single = joint_mean_intervals(values, n_resamples=400)
    assert (ranged.estimate, ranged.n, ranged.n_undefined) == (10.0, 10, 10)
    assert ranged.low < 10 < ranged.high
    assert (equal.low, equal.high, equal.note) == (3.0, 3.0, "all values are equal")
    assert (nothing.n, nothing.note) == (0, "no value is defined")
    assert (single.estimate, single.note) == (5.0, "a single value has no interval")
    assert np.isnan(single.low)


def test_rankings_by_means():
    rng = np.random.default_rng(4)
    arms = np.arange(5.0)
    first = arms + 0.01 * rng.random((12, 5))
    values = np.stack([first, first**2, -first, rng.random((12, 5))])
    same, reverse, chance = spearman_of_means(values, [(0, 1), (0, 2), (0, 3)], n_resamples=300)
    assert (same.estimate, same.low, same.high, same.n) == (1.0, 1.0, 1.0, 5)
    assert (reverse.estimate, reverse.low, reverse.high) == (-1.0, -1.0, -1.0)
    assert chance.low < chance.high
    assert isinstance(chance, SpreadOfMeans)  # what bootstrapped ranks have is no Interval
    expected = stats.spearmanr(values[0].mean(axis=0), values[3].mean(axis=0)).statistic
    assert chance.estimate == pytest.approx(expected)
