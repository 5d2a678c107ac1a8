"""Do two halves of the images rank the arms alike? Split-half agreement of the means, over many random halvings.

Half as many images rank less surely than all do. What two whole sets of that size would agree is extrapolated by the
formula of Spearman [1]_ and Brown [2]_, which is derived for correlations of sums, and so is an approximation for ranks.

.. [1] C. Spearman, "Correlation Calculated from Faulty Data", British Journal of Psychology 3, 1910.
.. [2] W. Brown, "Some Experimental Results in the Correlation of Mental Abilities", British Journal of Psychology 3,
   1910.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from xaibench.statistics.kendall import kendall_tau
from xaibench.statistics.rank_agreement import spearman_by_image

_CHUNK = 2**22


@dataclass(frozen=True)
class SplitHalf:
    """Agreement of the two halves' rankings of the arms' means.

    Attributes
    ----------
    spearman, kendall : float
        Mean rank correlation over the splits, in [-1, 1].
    low, high : float
        The middle 95 % of the splits' Spearman correlations: how much it hangs on which half an image falls into. No
        confidence interval.
    spearman_brown : float
        `spearman` extrapolated to all images, in (0, 1]; NaN where the halves do not agree at all.
    reason : str
        Why something is NaN; "" otherwise.
    """

    spearman: float
    low: float
    high: float
    kendall: float
    spearman_brown: float
    reason: str = ""


def split_half(values: Float[np.ndarray, "images arms"], *, n_splits: int = 1000, seed: int = 0) -> SplitHalf:
    """Rank correlation of the arms' means between random halves of the images.

    Parameters
    ----------
    values : array, shape (images, arms)
        Without NaN, at least two images and three arms. Of an odd number of images one half has one more.
    n_splits, seed : int
        Number of splits, and the seed of their draw.

    Returns
    -------
    SplitHalf
        Splits in which a half's means tie all arms say nothing, and are left out.
    """
    n_images = len(values)
    values = values / max(np.abs(values).max(), 1e-300)  # so that the same rounding suits every unit
    first = np.concatenate([half @ values for half in _halves(n_images, n_splits, seed)])
    second = values.sum(axis=0) - first
    n_first = n_images // 2
    means = np.round((first / n_first, second / (n_images - n_first)), 12)  # equal but for rounding is a tie
    spearman, kendall = spearman_by_image(*means), kendall_tau(*means)
    known = spearman[np.isfinite(spearman)]
    if not len(known):
        return SplitHalf(math.nan, math.nan, math.nan, math.nan, math.nan, "the means of a half tie all arms")
    low, high = np.quantile(known, [0.025, 0.975])
    mean = float(known.mean())
    disagree = "" if mean > 0 else "the halves do not agree: nothing to extrapolate to all images"
    corrected = math.nan if disagree else 2 * mean / (1 + mean)
    return SplitHalf(mean, float(low), float(high), float(np.nanmean(kendall)), corrected, disagree)


def _halves(n_images: int, n_splits: int, seed: int) -> Iterator[np.ndarray]:
    """Random halves, (splits, images): 1 for an image in the first half, else 0; some splits at a time."""
    rng = np.random.default_rng(seed)
    half = np.arange(n_images) < n_images // 2
    per_chunk = max(1, _CHUNK // n_images)
    for start in range(0, n_splits, per_chunk):
        chunk = np.tile(half, (min(per_chunk, n_splits - start), 1))
        yield rng.permuted(chunk, axis=1).astype(np.float64)
