"""Nemenyi's test of all mean ranks, and the critical difference that its diagram draws [1]_ [2]_.

The test looks at ranks alone, and its answer for two arms depends on which others are in the table [3]_. It is here as
the field's usual picture; what the report says of "best" rests on the paired tests of `paired` instead.

.. [1] P. B. Nemenyi, "Distribution-free Multiple Comparisons", PhD thesis, Princeton University, 1963.
.. [2] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, section 3.2.2.
.. [3] A. Benavoli, G. Corani, F. Mangili, "Should We Really Use Post-Hoc Tests Based on Mean-Ranks?", JMLR 17, 2016.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class CriticalDifference:
    """What a critical-difference diagram draws.

    Attributes
    ----------
    mean_ranks : dict of arm to float
        Best first; 1 is the best rank an image gives, and arms that tie on an image share the mean of their ranks.
    critical_difference : float
        Mean ranks further apart than this differ; NaN with a `reason` where undefined.
    groups : tuple of tuple of arms
        Arms that the test does not tell apart: each group is a run of two or more, as long as it can be, best first.
        An arm may be in several groups, or in none.
    p : DataFrame
        Nemenyi's p of every pair, arms in the order given on both axes; 1 on the diagonal.
    n_images : int
        Images on which every arm with values is defined.
    reason : str
        Why nothing can be said; "" otherwise.
    """

    mean_ranks: dict[Hashable, float]
    critical_difference: float
    groups: tuple[tuple[Hashable, ...], ...]
    p: pd.DataFrame = field(repr=False)
    n_images: int
    reason: str = ""


def critical_difference(values: pd.DataFrame, *, higher_is_better: bool, alpha: float = 0.05) -> CriticalDifference:
    """Mean ranks of the arms, and which of them Nemenyi's test tells apart.

    Parameters
    ----------
    values : DataFrame
        One column an arm, one row an image; NaN where undefined. Images with a NaN are left out, and so are arms
        without any value.
    higher_is_better : bool
        The metric's direction.
    alpha : float
        Family-wise error over all pairs, in (0, 1).

    Returns
    -------
    CriticalDifference
        NaN with a `reason` for fewer than two arms or two images. The p-values rest on the normal approximation of mean
        ranks, which wants ten images or more.

    Raises
    ------
    ValueError
        If `alpha` is no share.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a share between 0 and 1, such as 0.05; got {alpha}")
    arms = [arm for arm in values.columns if values[arm].notna().any()]
    complete = values[arms].dropna().to_numpy(float)
    n_images, n_arms = complete.shape
    if n_arms < 2 or n_images < 2:
        few = "arms with a value" if n_arms < 2 else "images on which all arms are defined"
        return _undefined(arms, n_images, f"fewer than two {few}")
    ranks = stats.rankdata(-complete if higher_is_better else complete, axis=1).mean(axis=0)
    error = math.sqrt(n_arms * (n_arms + 1) / (12 * n_images))  # of a mean rank, where no arm differs
    p, (first, second) = np.ones((n_arms, n_arms)), np.triu_indices(n_arms, k=1)
    apart = np.abs(ranks[first] - ranks[second])
    p[first, second] = np.where(apart > 0, stats.studentized_range.sf(apart / error, n_arms, math.inf), 1.0)
    p[second, first] = p[first, second]
    width = _critical_value(alpha, n_arms) * error
    order = np.argsort(ranks, kind="stable")
    mean_ranks = {arms[place]: float(ranks[place]) for place in order}
    groups = tuple(tuple(arms[order[place]] for place in run) for run in _runs(ranks[order], width))
    return CriticalDifference(mean_ranks, width, groups, _table(p, arms), n_images)


@lru_cache(maxsize=64)
def _critical_value(alpha: float, n_arms: int) -> float:
    """Upper quantile of the studentized range, which takes an integration for each step of a search."""
    return float(stats.studentized_range.isf(alpha, n_arms, math.inf))


def _runs(ascending: np.ndarray, width: float) -> list[range]:
    """Longest runs of two or more sorted values that lie within `width` of each other; none lies inside another."""
    ends = np.searchsorted(ascending, ascending + width, side="right")
    runs = [range(start, int(end)) for start, end in enumerate(ends) if start == 0 or end > ends[start - 1]]
    return [run for run in runs if len(run) > 1]


def _table(p: np.ndarray, arms: Sequence[Hashable]) -> pd.DataFrame:
    columns: list[Any] = list(arms)
    names = pd.Index(columns, tupleize_cols=False)  # an arm may be a tuple
    return pd.DataFrame(p, index=names, columns=names)


def _undefined(arms: Sequence[Hashable], n_images: int, reason: str) -> CriticalDifference:
    unknown = np.full((len(arms), len(arms)), math.nan)
    return CriticalDifference(dict.fromkeys(arms, math.nan), math.nan, (), _table(unknown, arms), n_images, reason)
