import itertools
import math

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.split_half import split_half


def test_the_mean_over_splits_is_that_of_all_splits():
    values = np.random.default_rng(0).random((8, 5)) + 0.1 * np.arange(5)
    spearman, kendall = [], []
    for half in itertools.combinations(range(8), 4):
        rest = np.setdiff1d(range(8), half)
        first, second = values[list(half)].mean(axis=0), values[rest].mean(axis=0)
        spearman.append(stats.spearmanr(first, second).statistic)
        kendall.append(stats.kendalltau(first, second).statistic)
    found = split_half(values, n_splits=20_000, seed=1)
    error = 4 / math.sqrt(20_000)  # four standard errors of a mean of values of spread 1 or less
    assert found.spearman == pytest.approx(np.mean(spearman), abs=error * np.std(spearman))
    assert found.kendall == pytest.approx(np.mean(kendall), abs=error * np.std(kendall))
    assert (found.low, found.high) == pytest.approx(np.quantile(spearman, [0.025, 0.975]), abs=0.101)


def test_spearman_brown_extrapolates_the_mean():
    found = split_half(np.random.default_rng(1).random((20, 6)) + 0.05 * np.arange(6))
    assert 0 < found.spearman < found.spearman_brown < 1
    assert found.spearman_brown == pytest.approx(2 * found.spearman / (1 + found.spearman))


@pytest.mark.slow
def test_spearman_brown_gives_the_correlation_of_whole_sets():
    # scores that are an arm's own value and noise: two whole sets of images correlate as the formula says
    rng = np.random.default_rng(2)
    arms = rng.normal(size=400)
    one, other = (arms + rng.normal(size=(10, 400)) * math.sqrt(10) for _ in range(2))
    whole = stats.spearmanr(one.mean(axis=0), other.mean(axis=0)).statistic
    assert split_half(one, n_splits=300).spearman_brown == pytest.approx(whole, abs=0.06)


def test_chunks_do_not_change_the_splits(monkeypatch):
    values = np.random.default_rng(3).random((7, 4))
    whole = split_half(values, n_splits=50)
    monkeypatch.setattr("xaibench.statistics.split_half._CHUNK", 7 * 13)
    assert split_half(values, n_splits=50) == whole


def test_an_odd_image_goes_to_the_second_half():
    # one image of three alone makes the first half: its means are its scores
    values = np.array([[0.0, 1.0, 2.0], [0.1, 2.0, 1.0], [1.5, 1.0, 0.4]])
    seen = {round(split_half(values, n_splits=1, seed=seed).spearman, 6) for seed in range(30)}
    expected = {
        round(float(stats.spearmanr(values[i], np.delete(values, i, axis=0).mean(axis=0)).statistic), 6)
        for i in range(3)
    }
    assert seen == expected


def test_halves_that_never_agree_have_nothing_to_extrapolate():
    values = np.tile([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]], (1, 1))
    found = split_half(values)
    assert found.spearman == pytest.approx(-1)
    assert math.isnan(found.spearman_brown)
    assert "do not agree" in found.reason


def test_ties_of_all_arms_say_nothing():
    found = split_half(np.full((6, 3), 0.1))
    assert math.isnan(found.spearman)
    assert "tie all arms" in found.reason
