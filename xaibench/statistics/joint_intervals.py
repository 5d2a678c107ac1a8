"""Means and intervals of columns that are defined on different images, at the cost of one bootstrap for all of them."""

import math

import numpy as np
from jaxtyping import Float

from xaibench.statistics.intervals import (
    FEW,
    N_RESAMPLES,
    Interval,
    bca_levels,
    check_confidence,
    expanded_quantile,
)
from xaibench.statistics.resampling import seeded_counts


def joint_bootstrap_means(
    values: Float[np.ndarray, "images columns"], *, n_resamples: int, seed: int
) -> Float[np.ndarray, "resamples columns"]:
    """Mean of every column's defined values in every bootstrap sample of the rows; all columns share the samples.

    Parameters
    ----------
    values : array, shape (images, columns)
        NaN where undefined. A sample without any defined value of a column gives NaN.
    n_resamples, seed : int
        As in `bootstrap_means`, whose result this is where nothing is undefined.
    """
    defined = np.isfinite(values)
    both = np.concatenate([np.where(defined, values, 0.0), defined], axis=1)
    counts = seeded_counts(len(values), n_resamples=n_resamples, seed=seed)
    sums, sizes = np.split(np.concatenate([chunk @ both for chunk in counts]), 2, axis=1)
    with np.errstate(invalid="ignore"):
        return sums / sizes


def joint_mean_intervals(
    values: Float[np.ndarray, "images columns"],
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """`mean_intervals` of columns of which each has undefined values of its own.

    Samples are drawn from all images, and a column's mean in a sample is over those of them on which it is defined: what
    is undefined is left out of every mean, and how many are left varies as it would in another sample.

    Returns
    -------
    list of Interval
        As `mean_intervals`, with which columns without undefined values agree.
    """
    check_confidence(confidence)
    drawn = joint_bootstrap_means(values, n_resamples=n_resamples, seed=seed)
    return [_interval(column, means, confidence) for column, means in zip(values.T, drawn.T, strict=True)]


def _interval(column: np.ndarray, drawn: np.ndarray, confidence: float) -> Interval:
    kept = column[np.isfinite(column)]
    n, undefined = len(kept), len(column) - len(kept)
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, undefined, "no value is defined")
    if n == 1:
        return Interval(float(kept[0]), math.nan, math.nan, 1, undefined, "a single value has no interval")
    if np.ptp(kept) == 0:
        return Interval(float(kept[0]), float(kept[0]), float(kept[0]), n, undefined, "all values are equal")
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, bca_levels(kept, drawn, expanded_quantile(n, confidence)))
    note = f"{n} values are few: the interval may be too narrow" if n < FEW else ""
    return Interval(float(kept.mean()), float(low), float(high), n, undefined, note)
