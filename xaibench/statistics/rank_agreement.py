"""Do two rankings of the same arms agree, image by image and in the mean? Spearman's rank correlation [1]_.

.. [1] C. Spearman, "The Proof and Measurement of Association between Two Things", American Journal of Psychology 15,
   1904; with the mean rank for ties, as in M. G. Kendall, "Rank Correlation Methods", Griffin 1948, section 3.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from xaibench.statistics.intervals import N_RESAMPLES, check_confidence
from xaibench.statistics.joint_intervals import joint_bootstrap_means

FEWEST_ARMS = 3
"""Two arms are ordered the one way or the other: no correlation to speak of."""


@dataclass(frozen=True)
class SpreadOfMeans:
    """Rank correlation of two metrics' means of the arms.

    Attributes
    ----------
    estimate : float
        In [-1, 1].
    low, high : float
        Its spread: the middle share over bootstrap samples of the images. No confidence interval, as the bootstrap gives
        none for ranks: it is off where arms are close.
    n : int
        Arms with both means.
    """

    estimate: float
    low: float
    high: float
    n: int


def spearman_by_image(
    one: Float[np.ndarray, "images arms"], other: Float[np.ndarray, "images arms"]
) -> Float[np.ndarray, " images"]:
    """Spearman's correlation of two scores over the arms, for each image.

    Parameters
    ----------
    one, other : array, shape (images, arms)
        NaN where undefined: an image's arms are those with both scores.

    Returns
    -------
    array, shape (images,)
        In [-1, 1]. NaN where fewer than three arms are left, or one of the scores ties them all.
    """
    both = np.isfinite(one) & np.isfinite(other)
    return _correlation(_centred_ranks(one, both), _centred_ranks(other, both), both)


def _correlation(first: np.ndarray, second: np.ndarray, both: np.ndarray) -> Float[np.ndarray, " images"]:
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    known = (both.sum(axis=1) >= FEWEST_ARMS) & (size > 0)
    product = (first * second).sum(axis=1)
    return np.clip(np.where(known, product / np.where(known, size, 1.0), math.nan), -1.0, 1.0)


def spearman_of_means(
    values: Float[np.ndarray, "metrics images arms"],
    pairs: list[tuple[int, int]],
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[SpreadOfMeans]:
    """Spearman's correlation between the rankings of the arms by two metrics' means, with its spread over the images.

    Parameters
    ----------
    values : array, shape (metrics, images, arms)
        A mean is over the images on which its value is defined, NaN left out.
    pairs : list of (int, int)
        Which metrics to compare.
    confidence : float
        Share of the bootstrap samples between the ends of the spread.
    n_resamples, seed
        Of the bootstrap; all metrics share the samples of the images.

    Returns
    -------
    list of SpreadOfMeans
        NaN where they are fewer than three or tied.
    """
    check_confidence(confidence)
    n_metrics, n_images, n_arms = values.shape
    flat = values.transpose(1, 0, 2).reshape(n_images, -1)
    means = _means(flat).reshape(n_metrics, 1, n_arms)
    drawn = joint_bootstrap_means(flat, n_resamples=n_resamples, seed=seed).reshape(-1, n_metrics, n_arms)
    whole = np.isfinite(drawn).all(axis=(0, 2))  # such metrics are ranked once for all their pairs
    everything = np.ones((len(drawn), n_arms), dtype=bool)
    ranks = {metric: _centred_ranks(drawn[:, metric], everything) for metric in np.flatnonzero(whole).tolist()}
    found = []
    for one, other in pairs:
        both = int((np.isfinite(means[one, 0]) & np.isfinite(means[other, 0])).sum())
        estimate = float(spearman_by_image(means[one], means[other])[0])
        if one in ranks and other in ranks:
            taken = _correlation(ranks[one], ranks[other], everything)
        else:
            taken = spearman_by_image(drawn[:, one], drawn[:, other])
        taken = taken[np.isfinite(taken)]
        low = high = math.nan
        if n_images > 1 and math.isfinite(estimate) and len(taken):
            low, high = map(float, np.quantile(taken, [(1 - confidence) / 2, (1 + confidence) / 2]))
        found.append(SpreadOfMeans(estimate, low, high, both))
    return found


def _means(values: Float[np.ndarray, "images columns"]) -> Float[np.ndarray, " columns"]:
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0)


def _centred_ranks(values: Float[np.ndarray, "images arms"], kept: np.ndarray) -> Float[np.ndarray, "images arms"]:
    """Mean ranks of the kept values of each row less their mean; 0 for the others."""
    ranks = stats.rankdata(np.where(kept, values, np.inf), axis=1)  # what is left out comes last, and shifts no rank
    return np.where(kept, ranks - (kept.sum(axis=1, keepdims=True) + 1) / 2, 0.0)
