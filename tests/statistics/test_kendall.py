import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.kendall import kendall_tau


def test_equals_scipy_ties_included():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, (40, 6)).astype(float), rng.integers(0, 4, (40, 6)).astype(float)
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert kendall_tau(one, other) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_same_reversed_and_one_swap():
    order = np.arange(5.0)
    swapped = np.array([1.0, 0.0, 2.0, 3.0, 4.0])
    assert kendall_tau(order, np.exp(order)) == 1
    assert kendall_tau(order, -order) == -1
    assert kendall_tau(order, swapped) == pytest.approx(1 - 2 / 10)


def test_undefined_without_an_order():
    assert np.isnan(kendall_tau(np.arange(3.0), np.ones(3)))
    assert np.isnan(kendall_tau(np.ones(1), np.ones(1)))
    assert np.isnan(kendall_tau(np.arange(3.0), np.array([0.0, np.nan, 1.0])))
