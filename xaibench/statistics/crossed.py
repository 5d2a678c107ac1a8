"""What seeds and images, each of which met the other, add to the variance of a mean over both.

Seeds contribute the squared sums of their deviations from the mean, images theirs; both contain what a seed and an
image have only together, which an additive fit leaves over. Where values are missing, the mean is a ratio of two sums,
and the deviations are taken as if each missing value were the mean [1]_. Without gaps these are the mean squares of
a two-way analysis of variance, each over the number of values.

.. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, 1977, sections 6.3 and 9A.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit


@dataclass(frozen=True)
class CrossedSpread:
    """Variances of a mean over seeds and images, and the numbers of both.

    Attributes
    ----------
    n_seeds, n_images : int
        Those with a value.
    of_seeds, of_images : float
        What each adds, with what they have only together; 0 where a single one cannot show it.
    together : float
        What they have only together; 0 where it cannot be told.
    """

    n_seeds: int
    n_images: int
    of_seeds: float
    of_images: float
    together: float

    def half_width(self, *, confidence: float, n_seeds: int | None = None, n_images: int | None = None) -> float:
        """Half the interval of the mean, now or with other numbers of seeds and images that spread alike.

        The squared half-widths of Student's intervals of the two levels add up; what they have only together counts
        once, with the seeds, and shrinks with more of either.
        """
        seeds, images = n_seeds or self.n_seeds, n_images or self.n_images
        fewer_seeds, fewer_images = self.n_seeds / seeds, self.n_images / images
        alone = max(self.of_seeds - self.together, 0.0)
        of_seeds = (alone + (self.of_seeds - alone) * fewer_images) * fewer_seeds
        of_images = max(self.of_images - self.together, 0.0) * fewer_images
        level = (1 + confidence) / 2
        return math.hypot(_student(level, seeds) * math.sqrt(of_seeds), _student(level, images) * math.sqrt(of_images))


def crossed_spread(values: Float[np.ndarray, "seeds images"]) -> CrossedSpread:
    """Estimate the spread of the mean of all defined values; NaN where undefined, at least one value defined."""
    defined = np.isfinite(values)
    defined = defined[np.ix_(defined.any(axis=1), defined.any(axis=0))]
    values = values[np.ix_(np.isfinite(values).any(axis=1), np.isfinite(values).any(axis=0))]
    n_seeds, n_images = values.shape
    deviations = np.where(defined, values - values[defined].mean(), 0.0)
    of_seeds, of_images = (_of_sums(deviations.sum(axis=axis), int(defined.sum())) for axis in (1, 0))
    return CrossedSpread(n_seeds, n_images, of_seeds, of_images, _together(deviations, defined))


def _of_sums(sums: np.ndarray, n: int) -> float:
    """Variance of the mean of `n` values whose deviations have these sums over independent members."""
    members = len(sums)
    return float((sums**2).sum() / n**2 * members / (members - 1)) if members > 1 else 0.0


def _together(values: np.ndarray, defined: np.ndarray) -> float:
    """Residual variance of the additive fit, seeds plus images, over the number of values."""
    n_seeds, n_images = values.shape
    of_image = defined / defined.sum(axis=0)
    left = (values - (values * of_image).sum(axis=0))[defined]
    seeds = (np.eye(n_seeds)[:, :, None] - of_image[:, None, :]).transpose(1, 2, 0)[defined]  # images' means taken out
    effects, _, rank, _ = np.linalg.lstsq(seeds, left)
    free = len(left) - n_images - int(rank)
    return float(((left - seeds @ effects) ** 2).sum() / free / len(left)) if free > 0 else 0.0


def _student(level: float, members: int) -> float:
    return float(stdtrit(members - 1, level)) if members > 1 else 0.0
