"""Do two rankings of the same arms agree, image by image and in the mean? Spearman's rank correlation [1]_.

.. [1] C. Spearman, "The Proof and Measurement of Association between Two Things", American Journal of Psychology 15,
   1904; with the mean rank for ties, as in M. G. Kendall, "Rank Correlation Methods", Griffin 1948, section 3.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from xaibench.statistics.intervals import N_RESAMPLES, Interval, check_confidence
from xaibench.statistics.joint_intervals import joint_bootstrap_means

FEWEST_ARMS = 3
"""Two arms are ordered the one way or the other: no correlation to speak of."""


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
    first, second = _centred_ranks(one, both), _centred_ranks(other, both)
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
) -> list[Interval]:
    """Spearman's correlation between the rankings of the arms by two metrics' means, with percentile intervals.

    Parameters
    ----------
    values : array, shape (metrics, images, arms)
        A mean is over the images on which its value is defined, NaN left out.
    pairs : list of (int, int)
        Which metrics to compare.
    confidence, n_resamples, seed
        Of the bootstrap; all metrics share the samples of the images.

    Returns
    -------
    list of Interval
        `n` counts the arms with both means. NaN where they are fewer than three or tied.
    """
    check_confidence(confidence)
    n_metrics, n_images, n_arms = values.shape
    flat = values.transpose(1, 0, 2).reshape(n_images, -1)
    means = _means(flat).reshape(n_metrics, 1, n_arms)
    drawn = joint_bootstrap_means(flat, n_resamples=n_resamples, seed=seed).reshape(-1, n_metrics, n_arms)
    found = []
    for one, other in pairs:
        both = int((np.isfinite(means[one, 0]) & np.isfinite(means[other, 0])).sum())
        estimate = float(spearman_by_image(means[one], means[other])[0])
        taken = spearman_by_image(drawn[:, one], drawn[:, other])
        taken = taken[np.isfinite(taken)]
        low = high = math.nan
        if n_images > 1 and math.isfinite(estimate) and len(taken):
            low, high = map(float, np.quantile(taken, [(1 - confidence) / 2, (1 + confidence) / 2]))
        found.append(Interval(estimate, low, high, both, n_arms - both))
    return found


def _means(values: Float[np.ndarray, "images columns"]) -> Float[np.ndarray, " columns"]:
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0)


def _centred_ranks(values: Float[np.ndarray, "images arms"], kept: np.ndarray) -> Float[np.ndarray, "images arms"]:
    """Mean ranks of the kept values of each row less their mean; 0 for the others."""
    ranks = stats.rankdata(np.where(kept, values, np.inf), axis=1)  # what is left out comes last, and shifts no rank
    return np.where(kept, ranks - (kept.sum(axis=1, keepdims=True) + 1) / 2, 0.0)
