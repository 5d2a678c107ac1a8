"""Number of images that would settle a paired comparison, by Guenther's formula [1]_.

.. [1] W. C. Guenther, "Sample Size Formulas for Normal Theory T Tests", The American Statistician 35, 1981.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri


@dataclass(frozen=True)
class SampleSize:
    """Number of images, a whole number as float; NaN with a `reason` where no number can be given."""

    n: float
    reason: str = ""


def images_needed(
    differences: ArrayLike,
    *,
    difference: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    n_comparisons: int = 1,
) -> SampleSize:
    """Images with which a two-sided paired test finds the difference with the given power.

    Parameters
    ----------
    differences : array, shape (images,)
        Paired differences of a first sample, in the metric's unit: their spread is taken for the true one. NaN are
        left out.
    difference : float, optional
        The true mean difference to find; the one seen, by default. That one is itself uncertain: read it as "if this
        were the truth".
    power : float
        Chance to find it, in (0, 1).
    alpha : float
        Two-sided level, divided by `n_comparisons`: Bonferroni's level, at which Holm's procedure finds the
        difference whatever the other comparisons show.
    n_comparisons : int
        Size of the family in which the comparison is made.

    Returns
    -------
    SampleSize
        The normal approximation plus Guenther's correction for Student's t, z²/2; never less than what a sign-flip
        test needs to reach the level at all.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not 0 < power < 1:
        raise ValueError(f"power is a share between 0 and 1, such as 0.8; got {power}")
    if len(values) < 2:
        return SampleSize(math.nan, "the spread is unknown: fewer than two images are defined for both")
    wanted = float(values.mean()) if difference is None else difference
    # a mean of rounding errors is no difference
    if abs(wanted) <= 1e-12 * max(float(np.abs(values).max()), 1e-300):
        return SampleSize(math.nan, "no difference to find: no number of images would settle it")
    level = alpha / n_comparisons
    z_level, z_power = ndtri(1 - level / 2), ndtri(power)
    n = ((z_level + z_power) * values.std(ddof=1) / wanted) ** 2 + z_level**2 / 2
    return SampleSize(float(max(math.ceil(n), fewest_images(level))))


def fewest_images(level: float) -> int:
    """Images below which a two-sided sign-flip test cannot reach the level: its least p is 2 / 2^n."""
    return math.ceil(1 - math.log2(level))
