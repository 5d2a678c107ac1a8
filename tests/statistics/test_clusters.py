import math

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.clusters import cluster_intervals, degrees_of_freedom
from xaibench.statistics.intervals import Interval


def _one(values, groups, **options) -> Interval:
    return cluster_intervals(np.asarray(values, float)[:, None], groups, **options)[0]


def _reference_bell_mccaffrey(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom by the matrices of the paper, for a regression on nothing but a constant."""
    n = len(values)
    ones = np.ones((n, 1))
    residual_maker = np.eye(n) - ones @ ones.T / n
    residuals = residual_maker @ values
    variance, directions = 0.0, []
    for name in np.unique(groups):
        inside = groups == name
        # the symmetric inverse square root of the group's own block of I - H
        eigenvalues, vectors = np.linalg.eigh(residual_maker[np.ix_(inside, inside)])
        adjustment = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        variance += float((ones[inside].T @ adjustment @ residuals[inside]).item()) ** 2 / n**2
        directions.append(residual_maker[:, inside] @ adjustment @ ones[inside] / n)
    stacked = np.hstack(directions)
    eigenvalues = np.linalg.eigvalsh(stacked.T @ stacked)
    return variance, eigenvalues.sum() ** 2 / (eigenvalues**2).sum()


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (2, 3, 9, 5, 1), (1, 1, 1, 12)])
def test_against_the_papers_matrices(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(0).beta(0.5, 2, len(groups)) + 0.1 * groups
    variance, freedom = _reference_bell_mccaffrey(values, groups)
    found = _one(values, groups, confidence=0.9)
    half = stats.t.ppf(0.95, freedom) * math.sqrt(variance)
    assert degrees_of_freedom(np.array(sizes, float)) == pytest.approx(freedom, rel=1e-9)
    assert found.estimate == pytest.approx(values.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-9)


def test_groups_of_one_size_are_statsmodels():
    # there the usual correction, groups / (groups - 1), is the same
    api = pytest.importorskip("statsmodels.api")
    groups = np.repeat(np.arange(6), 5)
    values = np.random.default_rng(1).random(30) + 0.2 * groups
    fit = api.OLS(values, np.ones(30)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int(0.05)[0]
    found = _one(values, groups)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_one_image_a_group_is_students_interval():
    values = np.random.default_rng(2).random(12)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = _one(values, [f"class {index}" for index in range(12)])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_groups_of_copies_are_worth_one_image_each():
    values = np.random.default_rng(3).random(8)
    alone = _one(values, range(8))
    copied = _one(np.repeat(values, 5), np.repeat(np.arange(8), 5))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert (alone.n, copied.n) == (8, 40)


def test_undefined_values_are_left_out_of_their_own_column_alone():
    rng = np.random.default_rng(4)
    values, groups = rng.random((20, 2)), np.arange(20) % 7
    values[[0, 7, 14], 1] = math.nan  # all of group 0
    first, second = cluster_intervals(values, groups)
    kept = np.isfinite(values[:, 1])
    assert first == _one(values[:, 0], groups)
    alone = _one(values[kept, 1], groups[kept])
    assert (second.low, second.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert (second.n, second.n_undefined) == (17, 3)


def test_one_group_or_no_value_has_no_interval():
    alone = _one([0.1, 0.4], ["cat", "cat"], of="class")
    assert alone.estimate == 0.25
    assert math.isnan(alone.low)
    assert "one class only" in alone.note
    nothing = _one([math.nan, math.nan], ["cat", "dog"])
    assert math.isnan(nothing.estimate)
    assert (nothing.n, nothing.n_undefined, nothing.note) == (0, 2, "no value is defined")


def test_few_groups_are_said():
    assert "3 of them are few" in _one(np.arange(9.0), np.arange(9) % 3, of="class").note
    assert _one(np.arange(10.0), np.arange(10) % 5).note == ""


def test_a_group_for_each_image():
    with pytest.raises(ValueError, match="got 2 for 3 images"):
        _one([1.0, 2.0, 3.0], ["a", "b"])


def _beta(share: float, a: float, b: float):
    """Draws of beta-distributed scores of images whose normal scores have `share` of their variance in the class."""

    def draw(rng: np.random.Generator, groups: np.ndarray, runs: int) -> np.ndarray:
        of_groups = rng.normal(size=(groups.max() + 1, runs))[groups]
        normal = math.sqrt(share) * of_groups + math.sqrt(1 - share) * rng.normal(size=(len(groups), runs))
        return stats.beta.ppf(stats.norm.cdf(normal), a, b)

    return draw


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [8, 10])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
@pytest.mark.parametrize(("a", "b"), [(0.5, 2), (5, 1)])
def test_coverage_with_eight_to_ten_classes(n_groups, even, share, a, b):
    weights = np.ones(n_groups) if even else np.linspace(1, 4, n_groups)
    groups = np.repeat(np.arange(n_groups), np.round(50 * weights / weights.sum()).astype(int))
    values = _beta(share, a, b)(np.random.default_rng(5), groups, 3000)
    found = np.mean([one.low <= a / (a + b) <= one.high for one in cluster_intervals(values, groups)])
    # eight or ten skewed numbers are what there is where classes are half of the spread
    assert (0.93 if share < 0.5 else 0.92) <= found <= 0.97, found
