"""Is a mean below a bound? What its interval allows to say, and how many images would decide it."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

from xaibench.statistics.crossed import CrossedSpread, crossed_spread
from xaibench.statistics.hierarchy import crossed_interval
from xaibench.statistics.intervals import Interval
from xaibench.statistics.sample_size import SampleSize

Outcome = Literal["met", "not met", "undecided", "undefined"]

WITHOUT_END = 10**15
"""So many images that they add nothing any more."""
ON_THE_BOUND = 1e-5
"""Distance from the bound, in half-widths, below which no number of images or seeds is named."""


def is_below(interval: Interval, bound: float) -> Outcome:
    """Whether the mean is below `bound`.

    Parameters
    ----------
    interval : Interval
        The mean's estimate and bounds.
    bound : float
        NaN where there is none.

    Returns
    -------
    str
        ``met`` where the whole interval lies below, ``not met`` where all of it lies at the bound or above,
        ``undecided`` where it holds the bound or has no ends, ``undefined`` where there is no mean or no bound.
    """
    if not (math.isfinite(interval.estimate) and math.isfinite(bound)):
        return "undefined"
    if interval.high < bound:
        return "met"
    return "not met" if interval.low >= bound else "undecided"


def images_to_clear(values: Float[np.ndarray, "seeds images"], bound: float, *, confidence: float = 0.95) -> SampleSize:
    """Images with which the interval would no longer hold the bound, if the estimate is the true mean.

    Student's quantile and what images add shrink with more of them, and so does what an image and a seed have only
    together. What seeds add by themselves does not: where that alone is too wide, more of both are needed.

    Parameters
    ----------
    values : array, shape (seeds, images)
        What the interval of the mean was made of, by `crossed_interval` with a single seed or image taken as given;
        NaN where undefined. The interval holds `bound`.
    bound : float
    confidence : float
        Of the interval.

    Returns
    -------
    SampleSize
        NaN with a reason where no number of images would do, or none can be named.
    """
    interval = crossed_interval(values, confidence=confidence, given_single=True)
    distance, half = abs(interval.estimate - float(bound)), interval.high - interval.estimate
    if not math.isfinite(interval.low):
        return SampleSize(math.nan, "the spread is unknown: more images and seeds are needed to see it")
    if distance <= ON_THE_BOUND * half:
        return SampleSize(math.nan, "the estimate lies on the bound: no number of images would settle it")
    spread = crossed_spread(values)

    def clears(seeds: int, images: int) -> bool:
        return spread.half_width(confidence=confidence, n_seeds=seeds, n_images=images) < distance

    if clears(spread.n_seeds, WITHOUT_END):
        return SampleSize(float(_least(spread.n_images, lambda images: clears(spread.n_seeds, images))))
    together = _least(spread.n_seeds, lambda seeds: clears(seeds, _alike(spread, seeds)))
    why = (
        f"more images alone would not do, as the seeds differ; about {together:,} seeds and "
        f"{_alike(spread, together):,} images might"
    )
    return SampleSize(math.nan, why)


def _alike(spread: CrossedSpread, seeds: int) -> int:
    """Images that are to the present ones what `seeds` are to the present seeds."""
    return math.ceil(spread.n_images * seeds / spread.n_seeds)


def _least(now: int, clears: Callable[[int], bool]) -> int:
    """The least number above `now` that clears, of a condition that stays met."""
    high = 2 * now
    while not clears(high):
        high *= 2
    return bisect_left(range(high), True, lo=now + 1, key=clears)
