"""Is a mean below a bound? What its interval allows to say, and how many images would decide it."""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float

from xaibench.statistics.intervals import Interval
from xaibench.statistics.sample_size import SampleSize

Outcome = Literal["met", "not met", "undecided", "undefined"]


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


def images_to_clear(values: Float[np.ndarray, "seeds images"], interval: Interval, bound: float) -> SampleSize:
    """Images with which the interval would no longer hold the bound, if the estimate is the true mean.

    The half of the interval that faces the bound is made of what images and what seeds contribute. Only the first
    shrinks with the square root of the number of images; how much of the squared half it is, is judged by the
    variances of the images' and of the seeds' means.

    Parameters
    ----------
    values : array, shape (seeds, images)
        What the interval was made of; NaN where undefined.
    interval : Interval
        From `two_way_interval`, holding `bound`.
    bound : float

    Returns
    -------
    SampleSize
        NaN with a reason where no number of images would do, or none can be named.
    """
    estimate = interval.estimate
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return SampleSize(math.nan, "the spread is unknown: more images and seeds are needed to see it")
    distance = abs(estimate - bound)
    half = interval.high - estimate if estimate < bound else estimate - interval.low
    if distance <= 1e-12 * max(abs(bound), 1e-300):
        return SampleSize(math.nan, "the estimate lies on the bound: no number of images would settle it")
    share = image_share(values)
    left = distance**2 - (1 - share) * half**2
    n_images = int(np.isfinite(values).any(axis=0).sum())
    if left <= 0:
        seeds, images = (math.ceil(n * (half / distance) ** 2) for n in (len(values), n_images))
        why = f"more images alone would not do, as the seeds differ; about {seeds} seeds and {images} images might"
        return SampleSize(math.nan, why)
    needed = n_images * share * half**2 / left
    return SampleSize(float(max(math.ceil(needed * (1 - 1e-9)), n_images + 1)))  # rounding adds no image


def image_share(values: Float[np.ndarray, "seeds images"]) -> float:
    """Share of the mean's variance that comes from the images, the rest coming from the seeds; 1 for a single seed."""
    of_images, of_seeds = (_squared_error(values, axis) for axis in (0, 1))
    return of_images / (of_images + of_seeds) if of_images + of_seeds else 1.0


def _squared_error(values: np.ndarray, axis: int) -> float:
    """Squared standard error of the mean over the other axis' means."""
    kept = np.isfinite(values)
    counts = kept.sum(axis=axis)
    means = np.where(kept, values, 0.0).sum(axis=axis)[counts > 0] / counts[counts > 0]
    return float(means.var(ddof=1) / len(means)) if len(means) > 1 else 0.0
