"""Intervals of means over images that go in groups: classes that share their traits, seeds with images of their own.

Images of a group resemble each other, so that many of them say less than as many from other groups. Whole groups are
what is taken for independent: the variance is the cluster-robust one with the adjustment of [1]_ ("CR2"), and the
quantile is Student's with the degrees of freedom of [1]_ and [2]_. Among few groups this held its level in simulation,
where resampling groups did not (docs/statistics.md).

.. [1] R. M. Bell, D. F. McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples",
   Survey Methodology 28, 2002.
.. [2] G. W. Imbens, M. Kolesár, "Robust Standard Errors in Small Samples: Some Practical Advice", Review of Economics
   and Statistics 98, 2016.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from xaibench.statistics.intervals import Interval, check_confidence

FEW = 5
"""Fewer groups than this are worth a warning."""


def cluster_intervals(
    values: Float[np.ndarray, "images columns"],
    groups: Sequence[object] | np.ndarray,
    *,
    confidence: float = 0.95,
    of: str = "group",
) -> list[Interval]:
    """Mean of every column with the interval that takes images of a group for dependent.

    Parameters
    ----------
    values : array, shape (images, columns)
        NaN where undefined; those are left out.
    groups : sequence, length images
        The group of each image, such as its class.
    confidence : float
        In (0, 1).
    of : str
        What a group is, in the note's words.

    Returns
    -------
    list of Interval
        The mean over images, whatever their groups; bounds are NaN, with a note, where fewer than two groups have a
        value. With one image a group it is Student's interval of the mean.

    Raises
    ------
    ValueError
        If there is not one group for each image.
    """
    check_confidence(confidence)
    if len(groups) != len(values):
        raise ValueError(f"give the {of} of each image: got {len(groups)} for {len(values)} images")
    codes, names = pd.factorize(np.asarray(groups, dtype=object))
    member = np.zeros((len(names), len(values)))
    member[codes, np.arange(len(values))] = 1.0
    defined = np.isfinite(values)
    sizes, sums = member @ defined, member @ np.where(defined, values, 0.0)
    return [
        _interval(sizes[:, column], sums[:, column], int((~defined[:, column]).sum()), confidence, of)
        for column in range(values.shape[1])
    ]


def _interval(sizes: np.ndarray, sums: np.ndarray, undefined: int, confidence: float, of: str) -> Interval:
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    n, n_groups = int(sizes.sum()), len(sizes)
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, undefined, "no value is defined")
    mean = float(sums.sum() / n)
    if n_groups < 2:
        return Interval(mean, math.nan, math.nan, n, undefined, f"one {of} only: how they differ is not seen")
    leverage = 1 / (1 - sizes / n)
    variance = float((leverage * (sums - sizes * mean) ** 2).sum() / n**2)
    half = stats.t.ppf((1 + confidence) / 2, degrees_of_freedom(sizes)) * math.sqrt(variance)
    note = f"{n_groups} of them are few: each {of} weighs much" if n_groups < FEW else ""
    return Interval(mean, float(mean - half), float(mean + half), n, undefined, note)


def degrees_of_freedom(sizes: Float[np.ndarray, " groups"]) -> float:
    """Of the variance that groups of these sizes give: one less than the groups where they are alike, else fewer.

    The variance is a quadratic form of the values; its first two moments, were all values independent and equally
    spread, are those of a chi-square with so many degrees of freedom.
    """
    n = sizes.sum()
    shared = sizes**2 / (n - sizes)
    return float(n**2 / ((sizes**2).sum() + shared.sum() ** 2 - (shared**2).sum()))
