"""ADCC of a data set from the means of its three terms, as the tables of some papers have it.

It is not the mean of the images' ADCC: a harmonic mean of means hides images on which one term fails.
"""

import numpy as np
from numpy.typing import ArrayLike


def adcc_of_means(drops: ArrayLike, coherencies: ArrayLike, complexities: ArrayLike) -> float:
    """Harmonic mean of the mean coherency, 1 - the mean complexity, and 1 - the mean average drop.

    Parameters
    ----------
    drops, coherencies, complexities : array_like, shape (n_images,)
        One value per image. An image on which one of the three is NaN counts in none of the means.

    Returns
    -------
    float
        In [0, 1], higher is better; 0 where one term is 0; NaN without a defined image.

    Raises
    ------
    ValueError
        If the three have different lengths.
    """
    terms = [np.asarray(values, dtype=np.float64) for values in (coherencies, complexities, drops)]
    if len({values.shape for values in terms}) > 1 or terms[0].ndim != 1:
        raise ValueError(f"give one value per image for each term; got shapes {[values.shape for values in terms]}")
    table = np.stack(terms)
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.size:
        return float("nan")
    coherency, complexity, drop = table.mean(axis=1)
    parts = np.array([coherency, 1 - complexity, 1 - drop])
    return 0.0 if (parts == 0).any() else float(3 / (1 / parts).sum())
