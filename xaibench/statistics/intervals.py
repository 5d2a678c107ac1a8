"""Confidence intervals of means, medians, proportions and mean curves over images.

Means get the bias-corrected and accelerated bootstrap (BCa) [1]_ with the small-sample expansion of [2]_: the normal
quantile gives way to Student's, scaled by the square root of n/(n-1), as a bootstrap sample varies too little by
that factor. Proportions get Wilson's interval [3]_: it holds its level at 0 and 1, where every bootstrap sample is
alike.

.. [1] B. Efron, "Better Bootstrap Confidence Intervals", JASA 82, 1987.
.. [2] T. Hesterberg, "What Teachers Should Know About the Bootstrap", American Statistician 69, 2015, section 5.2.
.. [3] E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import ndtr, ndtri, stdtrit

from xaibench.statistics.resampling import bootstrap_means

N_RESAMPLES = 9999
FEW = 10


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; NaN where there are too few of them.
    n, n_undefined : int
        Values used, and those left out as NaN.
    note : str
        What to know before trusting the bounds; "" if nothing.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_undefined: int
    note: str = ""


@dataclass(frozen=True)
class Band:
    """A mean curve with a pointwise interval; `mean`, `low` and `high` have shape (points,)."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


def mean_interval(
    values: ArrayLike,
    *,
    proportion: bool = False,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of the values that are defined, with its interval.

    Parameters
    ----------
    values : array, shape (images,)
        NaN where undefined.
    proportion : bool
        Whether every value is 0 or 1 by its nature: then Wilson's interval. A difference of two such values is none.
    confidence : float
        Share of samples whose interval holds the true mean, in (0, 1).
    n_resamples, seed : int
        Of the bootstrap; the same seed gives the same interval.

    Returns
    -------
    Interval
        Bounds are NaN for fewer than two values, and the value itself where all are equal; `note` says so.
    """
    columns = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return mean_intervals(columns, proportion=proportion, confidence=confidence, n_resamples=n_resamples, seed=seed)[0]


def mean_intervals(
    values: Float[np.ndarray, "images columns"],
    *,
    proportion: bool = False,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """`mean_interval` of every column, at little more than the cost of one.

    Columns that are defined on as many images share their bootstrap samples.
    """
    check_confidence(confidence)
    defined = np.isfinite(values)
    sizes = defined.sum(axis=0)
    found: dict[int, Interval] = {}
    for size in np.unique(sizes).tolist():
        columns = np.flatnonzero(sizes == size).tolist()
        kept = np.column_stack([values[defined[:, column], column] for column in columns])
        undefined = len(values) - size
        if proportion:
            intervals = [_wilson(column, undefined, confidence) for column in kept.T]
        else:
            intervals = _expanded_bca(kept, undefined, confidence, n_resamples, seed)
        found.update(zip(columns, intervals, strict=True))
    return [found[column] for column in range(values.shape[1])]


def median_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Median of the defined values, with the exact interval between two order statistics.

    Distribution-free: its level is at least `confidence`. Fewer than six values cannot give 95 %: bounds are NaN.
    """
    check_confidence(confidence)
    kept, undefined = _defined(values)
    if not len(kept):
        return _nothing(undefined)
    bounds = stats.quantile_test(kept, q=float(np.median(kept)), p=0.5).confidence_interval(confidence)
    low, high = float(bounds.low), float(bounds.high)
    settled = math.isfinite(low) and math.isfinite(high)
    note = "" if settled else f"{len(kept)} values are too few for an interval of the median"
    return Interval(
        float(np.median(kept)), low if settled else math.nan, high if settled else math.nan, len(kept), undefined, note
    )


def wilson_interval(share: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of `n` trials, in [0, 1]; conservative where some trials count half."""
    z = float(ndtri((1 + confidence) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # at a share of exactly 0 or 1 the bound is that share; rounding must not put it beside
    return (0.0 if share == 0 else middle - half), (1.0 if share == 1 else middle + half)


def mean_curve_band(
    curves: Float[np.ndarray, "images points"],
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Band:
    """Mean curve over images with a pointwise percentile-bootstrap band; whole curves are resampled.

    Curves with a NaN are left out; fewer than two leave the band NaN.
    """
    check_confidence(confidence)
    kept = curves[np.isfinite(curves).all(axis=1)]
    if len(kept) < 2:
        nothing = np.full(curves.shape[1], math.nan)
        return Band(kept[0] if len(kept) else nothing, nothing, nothing, len(kept))
    means = bootstrap_means(kept, n_resamples=n_resamples, seed=seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Band(kept.mean(axis=0), low, high, len(kept))


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no share."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a share between 0 and 1, such as 0.95; got {confidence}")


def _expanded_bca(
    values: Float[np.ndarray, "images columns"], undefined: int, confidence: float, n_resamples: int, seed: int
) -> list[Interval]:
    n = len(values)
    if n < 2:
        return [_too_few(column, undefined) for column in values.T]
    means = bootstrap_means(values, n_resamples=n_resamples, seed=seed)
    note = f"{n} values are few: the interval may be too narrow" if n < FEW else ""
    intervals = []
    for column, drawn in zip(values.T, means.T, strict=True):
        estimate = float(column.mean())
        if np.ptp(column) == 0:
            intervals.append(
                Interval(float(column[0]), float(column[0]), float(column[0]), n, undefined, "all values are equal")
            )
        else:
            low, high = np.quantile(drawn, bca_levels(column, drawn, expanded_quantile(n, confidence)))
            intervals.append(Interval(estimate, float(low), float(high), n, undefined, note))
    return intervals


def expanded_quantile(n: int, confidence: float) -> float:
    """What stands for the normal quantile, so that the bootstrap of `n` values gives the wanted confidence."""
    return float(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + confidence) / 2))


def bca_levels(values: Sequence[float] | np.ndarray, drawn: np.ndarray, quantile: float) -> tuple[float, float]:
    """Quantiles of the bootstrap means `drawn` that bound the mean (equations 6.6 of Efron's paper)."""
    values = np.asarray(values)
    estimate, slack = values.mean(), 1e-12 * np.abs(values).max()  # means that differ by rounding alone are ties
    below = ((drawn < estimate - slack).mean() + (drawn <= estimate + slack).mean()) / 2
    bias = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    pull = estimate - values  # the jackknife's deviations of a mean, but for a factor that cancels
    acceleration = -(pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    ends = bias + np.array([-quantile, quantile])
    # few, very skewed values: a pole of the formula, beyond which the bound is the extreme of the bootstrap means
    scale = 1 - acceleration * ends
    shifted = np.where(scale > 0, ends / np.where(scale > 0, scale, 1), np.copysign(math.inf, ends))
    low, high = ndtr(bias + shifted)
    return float(low), float(high)


def _wilson(values: np.ndarray, undefined: int, confidence: float) -> Interval:
    if not np.isin(values, (0.0, 1.0)).all():
        odd = values[~np.isin(values, (0.0, 1.0))][0]
        raise ValueError(f"a proportion's values are 0 or 1; got {odd}. Leave proportion=False for other values")
    if not len(values):
        return _nothing(undefined)
    share = float(values.mean())
    return Interval(share, *wilson_interval(share, len(values), confidence=confidence), len(values), undefined)


def _defined(values: ArrayLike) -> tuple[np.ndarray, int]:
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    return values[finite], int((~finite).sum())


def _nothing(undefined: int) -> Interval:
    return Interval(math.nan, math.nan, math.nan, 0, undefined, "no value is defined")


def _too_few(values: np.ndarray, undefined: int) -> Interval:
    if not len(values):
        return _nothing(undefined)
    return Interval(float(values[0]), math.nan, math.nan, 1, undefined, "a single value has no interval")
