"""How far do images agree on the arms: Krippendorff's alpha [1]_, Kendall's W, split-half agreement of the ranking.

Images are raters and arms are what they rate. Alpha is 1 where all images say the same, 0 where they agree as if arms
were dealt at random, below 0 where less than that. *Ordinal* takes the ranks that each image gives the arms; *interval*
takes the scores themselves, and so counts it as disagreement that one image is harder than another [2]_.

Intervals are Student's with the jackknife over images [3]_, on Fisher's scale. They are not bootstrapped, as a bootstrap
sample holds images twice, which agree with themselves: in simulation such intervals were too high and held the truth too
seldom where these held it in 93 to 97 % of the runs (docs/statistics.md).

.. [1] K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", University of Pennsylvania, 2011.
.. [2] R. Tomsett et al., "Sanity Checks for Saliency Metrics", AAAI 2020, uses alpha of ranks for metrics of maps.
.. [3] J. N. Arvesen, "Jackknifing U-Statistics", Annals of Mathematical Statistics 40, 1969.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from xaibench.statistics.agreement import complete_images, kendalls_w
from xaibench.statistics.intervals import Interval, check_confidence
from xaibench.statistics.split_half import SplitHalf, split_half

Level = Literal["ordinal", "interval"]

FEWEST_ARMS = 3
"""Two arms are ordered the one way or the other: there is no order of some length to agree on."""

FEWEST_IMAGES = 3
"""Without one of them there must still be two to agree."""


@dataclass(frozen=True)
class Reliability:
    """Agreement of the images on the arms; NaN with a `reason` where undefined.

    Attributes
    ----------
    alpha_ordinal, alpha_interval : Interval
        Krippendorff's alpha of each image's ranks of the arms, and of the scores themselves.
    kendalls_w : Interval
        Concordance of the images' rankings, in [0, 1]; as many images as here that agree on nothing have 1 / n_images
        on average.
    halves : SplitHalf
        Whether two halves of the images rank the arms' means alike.
    n_images, n_arms : int
        Images on which every arm with values is defined, and these arms.
    reason : str
    """

    alpha_ordinal: Interval
    alpha_interval: Interval
    kendalls_w: Interval
    halves: SplitHalf
    n_images: int
    n_arms: int
    reason: str = ""


def reliability(values: pd.DataFrame, *, confidence: float = 0.95, n_splits: int = 1000, seed: int = 0) -> Reliability:
    """Agreement of the images (rows; those with NaN are left out) on at least three arms (columns).

    Parameters
    ----------
    values : DataFrame
        One column an arm, one row an image. Arms without any value take no part.
    confidence : float
        Of the intervals of alpha and W, in (0, 1).
    n_splits, seed : int
        Number of random splits into halves, and the seed of their draw.
    """
    check_confidence(confidence)
    complete = complete_images(values)
    n_images, n_arms = complete.shape
    left_out = len(values) - n_images
    reason = _reason(complete)
    if reason:
        nothing = Interval(math.nan, math.nan, math.nan, n_images, left_out, reason)
        halves = SplitHalf(math.nan, math.nan, math.nan, math.nan, math.nan, reason)
        return Reliability(nothing, nothing, nothing, halves, n_images, n_arms, reason)
    ranks = stats.rankdata(complete, axis=1)
    w = _interval(*_rank_correlation(ranks), confidence, left_out)
    low, high = (max((1 + (n_images - 1) * one) / n_images, 0.0) for one in (w.low, w.high))
    return Reliability(
        _interval(*_alpha(_pooled(ranks)), confidence, left_out),
        _interval(*_alpha(complete), confidence, left_out),
        Interval(kendalls_w(complete), low, high, n_images, left_out, w.note),
        split_half(complete, n_splits=n_splits, seed=seed),
        n_images,
        n_arms,
    )


def krippendorff_alpha(ratings: Float[np.ndarray, "raters units"], *, level: Level) -> float:
    """Krippendorff's alpha; NaN where no unit has two ratings, or all ratings are equal.

    At the ordinal level the distance of two ratings is that of their mean ranks among all ratings, so that alpha is the
    interval alpha of those ranks. The package ``krippendorff`` gives the same numbers, from a matrix that grows with
    the square of the number of different ratings: too large for scores.

    Parameters
    ----------
    ratings : array, shape (raters, units)
        NaN where a rater did not rate. A unit with a single rating counts in nothing.
    level : "ordinal" or "interval"
    """
    paired = np.where(np.isfinite(ratings).sum(axis=0) > 1, ratings, math.nan)
    return _alpha(_pooled(paired) if level == "ordinal" else paired)[0]


def _reason(complete: np.ndarray) -> str:
    n_images, n_arms = complete.shape
    if n_arms < FEWEST_ARMS:
        return f"{n_arms} arms with a value: agreement on an order wants three or more"
    if n_images < FEWEST_IMAGES:
        return f"{n_images} images on which all arms are defined: agreement wants three or more"
    if (np.ptp(complete, axis=1) > 0).sum() < 2:
        return "all images but one tie all arms" if np.ptp(complete, axis=1).any() else "every image ties all arms"
    return ""


def _pooled(ratings: np.ndarray) -> np.ndarray:
    """Ranks of the ratings among all of them."""
    return np.asarray(stats.rankdata(ratings.ravel(), nan_policy="omit")).reshape(ratings.shape)


def _alpha(ratings: np.ndarray) -> tuple[float, np.ndarray]:
    """Interval alpha, and what it is when each rater in turn is left out."""
    known = np.isfinite(ratings)
    if not known.any():
        return math.nan, np.full(len(ratings), math.nan)
    centred = np.where(known, ratings - ratings[known].mean(), 0.0)  # changes nothing but the rounding
    parts = known.astype(np.float64), centred, centred**2
    counts, sums, squares = (part.sum(axis=0) for part in parts)
    without = _alpha_of_sums(*(part.sum(axis=0) - part for part in parts))
    return float(_alpha_of_sums(counts, sums, squares)), without


def _alpha_of_sums(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Alpha from the number of each unit's ratings, their sum and that of their squares, (..., units)."""
    counts, sums, squares = (np.where(counts > 1, part, 0.0) for part in (counts, sums, squares))
    n = counts.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(counts > 1, (squares - sums**2 / counts) * counts / (counts - 1), 0.0)
        within = spread.sum(axis=-1) / n
        overall = (squares.sum(axis=-1) - sums.sum(axis=-1) ** 2 / n) / (n - 1)
        return np.asarray(1 - within / overall)


def _rank_correlation(ranks: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean rank correlation of two images, and what it is when each image in turn is left out.

    Kendall's W of n images is (1 + (n - 1) r) / n, ties corrected for. r does not depend on n, as W does.
    """
    n = len(ranks)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    sizes, total = (centred**2).sum(axis=1), centred.sum(axis=0)
    size = sizes.sum()
    r = ((total**2).sum() - size) / ((n - 1) * size)
    rest = size - sizes
    return float(r), (((total - centred) ** 2).sum(axis=1) - rest) / ((n - 2) * rest)


def _interval(estimate: float, without: np.ndarray, confidence: float, left_out: int) -> Interval:
    """Student's interval with the jackknife's standard error, on Fisher's scale: within [-1, 1], skewed near its ends."""
    n = len(without)
    if estimate >= 1 - 1e-12:
        return Interval(estimate, estimate, estimate, n, left_out, "all images agree entirely")
    error = math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error / (1 - estimate**2)
    low, high = np.tanh(np.arctanh(estimate) + np.array([-half, half]))
    return Interval(estimate, float(low), float(high), n, left_out)
