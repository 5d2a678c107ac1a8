"""Kendall's rank correlation of many pairs of score vectors at once, ties corrected for (tau-b) [1]_.

.. [1] M. G. Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 33, 1945.
"""

import numpy as np
from jaxtyping import Float


def kendall_tau(
    one: Float[np.ndarray, "*rest arms"], other: Float[np.ndarray, "*rest arms"]
) -> Float[np.ndarray, "*rest"]:
    """Say how far two vectors of scores order the arms alike.

    Parameters
    ----------
    one, other : array, shape (..., arms)
        Scores, the larger the better in both; only their order counts.

    Returns
    -------
    array of float64, shape (...)
        In [-1, 1]: 1 for the same order, -1 for the reversed one. NaN where one of the two ties all arms, holds NaN, or
        has fewer than two arms.
    """
    first, second = np.triu_indices(one.shape[-1], k=1)
    signs, others = np.sign(one[..., first] - one[..., second]), np.sign(other[..., first] - other[..., second])
    size = np.sqrt((signs**2).sum(-1) * (others**2).sum(-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((signs * others).sum(-1) / size)
