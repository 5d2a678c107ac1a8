import math

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.intervals import (
    expanded_quantile,
    mean_curve_band,
    mean_interval,
    mean_intervals,
    median_interval,
    wilson_interval,
)


def _reference_scipy_bca(values: np.ndarray, confidence: float, n_resamples: int, seed: int) -> tuple[float, float]:
    """SciPy's BCa from the same bootstrap samples, at the level that the expansion for small samples amounts to."""
    level = 1 - 2 * stats.norm.sf(expanded_quantile(len(values), confidence))
    rng = np.random.default_rng(seed)
    found = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=n_resamples, method="BCa", rng=rng, vectorized=True
    )
    return found.confidence_interval.low, found.confidence_interval.high


@pytest.mark.parametrize("n", [5, 12, 50, 300])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_mean_interval_is_scipys_bca_with_the_expanded_level(n, confidence):
    # in 64ths: their sums are exact, so that SciPy too sees which bootstrap means tie with the estimate
    values = np.round(np.random.default_rng(n).beta(0.6, 3, size=n) * 64) / 64
    interval = mean_interval(values, confidence=confidence, n_resamples=999, seed=4)
    low, high = _reference_scipy_bca(values, confidence, 999, 4)
    assert interval.estimate == pytest.approx(values.mean(), rel=1e-14)
    assert interval.low == pytest.approx(low, rel=1e-10)
    assert interval.high == pytest.approx(high, rel=1e-10)


def test_expansion_makes_the_normal_interval_students():
    # for symmetric values without bias or acceleration the tail is that of Student's t over the plug-in standard error
    n = 8
    z = expanded_quantile(n, 0.95)
    assert z * math.sqrt(1 / n) == pytest.approx(stats.t.ppf(0.975, n - 1) / math.sqrt(n - 1), rel=1e-12)


def test_undefined_values_are_left_out_and_counted():
    values = np.array([0.2, math.nan, 0.5, 0.9, math.nan, 0.4])
    interval = mean_interval(values)
    assert (interval.n, interval.n_undefined) == (4, 2)
    assert _bounds(interval) == _bounds(mean_interval(values[np.isfinite(values)]))
    assert "few" in interval.note


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_no_value_gives_nan_and_a_note(values):
    for interval in (mean_interval(values), median_interval(values), mean_interval(values, proportion=True)):
        assert math.isnan(interval.estimate)
        assert math.isnan(interval.low)
        assert interval.n == 0
        assert interval.n_undefined == len(values)
        assert interval.note == "no value is defined"


def test_one_value_has_an_estimate_but_no_interval():
    interval = mean_interval([0.3])
    assert interval.estimate == 0.3
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert interval.note


@pytest.mark.parametrize("values", [[0.3, 0.9], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_very_few_values_give_bounds_within_them(values, confidence):
    interval = mean_interval(values, confidence=confidence)
    assert min(values) <= interval.low <= interval.estimate <= interval.high <= max(values)
    assert "few" in interval.note


def test_equal_values_give_a_point_and_a_note():
    interval = mean_interval([0.1] * 30)
    assert (interval.estimate, interval.low, interval.high) == (0.1, 0.1, 0.1)
    assert interval.note == "all values are equal"


def _bounds(interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def test_columns_together_are_the_columns_alone():
    rng = np.random.default_rng(0)
    values = rng.random((20, 3))
    values[4, 1] = math.nan
    together = mean_intervals(values, n_resamples=500, seed=2)
    for interval, column in zip(together, values.T, strict=True):
        assert _bounds(interval) == pytest.approx(_bounds(mean_interval(column, n_resamples=500, seed=2)), rel=1e-12)


def test_chunks_do_not_change_the_samples(monkeypatch):
    values = np.random.default_rng(0).random(40)
    whole = mean_interval(values, n_resamples=300)
    monkeypatch.setattr("xaibench.statistics.resampling._CHUNK", 40 * 7)
    assert _bounds(mean_interval(values, n_resamples=300)) == pytest.approx(_bounds(whole), rel=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 11), (3, 11), (11, 11), (20, 50)])
def test_wilson_is_scipys(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    interval = mean_interval([1.0] * hits + [0.0] * (n - hits), proportion=True)
    assert interval.low == pytest.approx(expected.low, abs=1e-12)
    assert interval.high == pytest.approx(expected.high, abs=1e-12)
    assert (interval.low, interval.high) == wilson_interval(hits / n, n)


def test_a_proportion_of_other_values_is_refused():
    with pytest.raises(ValueError, match=r"0 or 1; got 0\.5"):
        mean_interval([0.0, 0.5], proportion=True)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        mean_interval([1.0, 2.0], confidence=confidence)


def test_median_interval_by_order_statistics():
    # n = 10: P(2 <= Binomial(10, 1/2) <= 8) = 0.979, between the 2nd and the 9th value; one step in it is 0.891
    interval = median_interval(np.arange(1.0, 11.0))
    assert (interval.estimate, interval.low, interval.high) == (5.5, 2.0, 9.0)


def test_five_values_are_too_few_for_a_median():
    # even the full range holds the median with 1 - 2 / 2**5 = 0.9375 only
    interval = median_interval([1, 2, 3, 4, 5])
    assert interval.estimate == 3
    assert math.isnan(interval.low)
    assert "too few" in interval.note
    assert math.isfinite(median_interval([1, 2, 3, 4, 5, 6]).low)


def test_curve_band_is_the_percentile_bootstrap_of_each_point():
    rng = np.random.default_rng(1)
    curves = rng.random((15, 4)).cumsum(axis=1)
    curves[3, 2] = math.nan
    band = mean_curve_band(curves, n_resamples=800, seed=5)
    kept = np.delete(curves, 3, axis=0)
    picks = np.random.default_rng(5).integers(0, 14, (800, 14))
    means = kept[picks].mean(axis=1)
    assert band.n == 14
    np.testing.assert_allclose(band.mean, kept.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(band.low, np.quantile(means, 0.025, axis=0), rtol=1e-12)
    np.testing.assert_allclose(band.high, np.quantile(means, 0.975, axis=0), rtol=1e-12)


def test_one_curve_has_no_band():
    band = mean_curve_band(np.array([[1.0, 2.0], [math.nan, 1.0]]))
    np.testing.assert_array_equal(band.mean, [1.0, 2.0])
    assert np.isnan(band.low).all()
    assert band.n == 1


def coverage(draw, truth: float, *, n: int, runs: int, seed: int, **options) -> float:
    """Share of `runs` samples of size n whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    samples = draw(rng, (n, runs))
    intervals = mean_intervals(samples, n_resamples=1999, seed=seed, **options)
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


SKEWED = {
    "beta(0.5, 2)": (lambda rng, size: rng.beta(0.5, 2, size), 0.2),
    "beta(5, 1)": (lambda rng, size: rng.beta(5, 1, size), 5 / 6),
    "beta(1, 4)": (lambda rng, size: rng.beta(1, 4, size), 0.2),
    "zero in a third, else beta(1, 2)": (
        lambda rng, size: (rng.random(size) > 1 / 3) * rng.beta(1, 2, size),
        2 / 9,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SKEWED)
def test_coverage_of_means_of_skewed_scores(name):
    draw, truth = SKEWED[name]
    found = coverage(draw, truth, n=50, runs=4000, seed=1)
    assert 0.93 <= found <= 0.97, found


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_coverage_of_proportions(share):
    found = coverage(
        lambda rng, size: (rng.random(size) < share) * 1.0, share, n=50, runs=4000, seed=1, proportion=True
    )
    assert 0.93 <= found <= 0.98, found
