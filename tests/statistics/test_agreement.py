import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.statistics.agreement import concordance
from xaibench.statistics.reliability import reliability


def _kendalls_w_by_hand(table: np.ndarray) -> float:
    """From the rank sums, with the textbook's correction for ties."""
    m, n = table.shape
    ranks = stats.rankdata(table, axis=1)
    spread = ((ranks.sum(axis=0) - m * (n + 1) / 2) ** 2).sum()
    ties = sum((count**3 - count) for row in table for count in np.unique(row, return_counts=True)[1])
    return 12 * spread / (m**2 * (n**3 - n) - m * ties)


@pytest.mark.parametrize("decimals", [6, 0])
def test_w_by_hand_with_and_without_ties(decimals):
    table = np.round(np.random.default_rng(0).normal(0, 1.5, (9, 5)) + np.arange(5), decimals)
    found = concordance(pd.DataFrame(table))
    assert found.kendalls_w == pytest.approx(_kendalls_w_by_hand(table), rel=1e-12)
    assert (found.n_images, found.n_arms) == (9, 5)
    assert found.p == stats.friedmanchisquare(*table.T).pvalue


def test_a_silent_arm_takes_no_part_and_reliability_says_the_same():
    values = pd.DataFrame(np.random.default_rng(3).normal(np.arange(4), 1, (9, 4)))
    values.loc[2, 1] = math.nan
    silent = values.assign(silent=math.nan)
    found = concordance(silent)
    assert found == concordance(values)
    assert (found.n_images, found.n_arms) == (8, 4)
    assert found.kendalls_w == reliability(silent).kendalls_w.estimate
    assert found.chi_square == pytest.approx(found.kendalls_w * 8 * 3, rel=1e-12)


def test_perfect_and_no_agreement():
    assert concordance(pd.DataFrame([[1, 2, 3]] * 4)).kendalls_w == pytest.approx(1)
    latin = pd.DataFrame([[1, 2, 3], [2, 3, 1], [3, 1, 2]])
    assert concordance(latin).kendalls_w == pytest.approx(0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], "2 arms"),
        ([[1.0, 2.0, 3.0]], "fewer than two images"),
        ([[1.0, 2.0, 3.0], [1.0, math.nan, 2.0]], "fewer than two images"),
        ([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], "ties all arms"),
    ],
)
def test_undefined_with_a_reason(values, reason):
    found = concordance(pd.DataFrame(values))
    assert math.isnan(found.kendalls_w)
    assert reason in found.reason
