"""One sign-flip test of many paired differences together, sharper than Holm where they go with each other [1]_.

Every image's differences change sign as a whole, so that what the columns have in common is kept: the adjusted p of a
column is the share of patterns whose largest t, over all columns, is no smaller than the column's own.

.. [1] P. H. Westfall, S. S. Young, "Resampling-Based Multiple Testing", Wiley 1993, section 2.3 (single step).
"""

import numpy as np
from jaxtyping import Float

from xaibench.statistics.intervals import N_RESAMPLES
from xaibench.statistics.paired import EXACT_UP_TO, sign_patterns

_CHUNK = 2**22


def max_t_p(
    differences: Float[np.ndarray, "images columns"], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Float[np.ndarray, " columns"]:
    """Two-sided p of each column's mean, adjusted for all columns together.

    Parameters
    ----------
    differences : array, shape (images, columns)
        Without NaN. A column of zeros has p = 1.
    n_resamples, seed : int
        Of the draw of patterns, where there are too many images to look at all of them.

    Returns
    -------
    array, shape (columns,)
        The chance that any column is as far from zero as this one, were none of them different from zero.
    """
    n_images = len(differences)
    squares = (differences**2).mean(axis=0)
    observed = _t(differences.mean(axis=0), squares) * (1 - 1e-12)  # equal but for rounding is a hit
    hits, n_patterns = np.zeros(differences.shape[1]), 0
    for signs in sign_patterns(n_images, n_resamples, seed):
        for part in np.array_split(signs, 1 + signs.shape[0] * differences.shape[1] // _CHUNK):
            largest = _t(part @ differences / n_images, squares).max(axis=1)
            hits += (largest[:, None] >= observed).sum(axis=0)
            n_patterns += len(part)
    return hits / n_patterns if n_images <= EXACT_UP_TO else (hits + 1) / (n_patterns + 1)


def _t(means: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Size of the mean in units of the standard deviation: as t but for a factor, and infinite without any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.abs(means) / np.sqrt(np.maximum(squares - means**2, 0.0))
    return np.where(means == 0, 0.0, found)
