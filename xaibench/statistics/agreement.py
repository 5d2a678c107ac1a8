"""Do the images agree on the order of the arms? Friedman's test and Kendall's coefficient of concordance [1]_.

.. [1] M. G. Kendall and B. Babington Smith, "The Problem of m Rankings", Annals of Mathematical Statistics 10, 1939.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True)
class Agreement:
    """Concordance of the images' rankings of the arms.

    Attributes
    ----------
    kendalls_w : float
        0 (no agreement) to 1 (every image ranks the arms alike); ties are corrected for. NaN with a `reason` where
        undefined.
    chi_square, p : float
        Friedman's statistic and the chance of one as large if no arm differed; an approximation that wants ten
        images or more.
    n_images, n_arms : int
        Images on which every arm with values is defined, and these arms.
    reason : str
        Why nothing can be said; "" otherwise.
    """

    kendalls_w: float
    chi_square: float
    p: float
    n_images: int
    n_arms: int
    reason: str = ""


def concordance(values: pd.DataFrame) -> Agreement:
    """Agreement of the images (rows; those with NaN are left out) on the order of at least three arms (columns).

    Arms without any value take no part.
    """
    complete = complete_images(values)
    n_images, n_arms = complete.shape
    reason = ""
    if n_arms < 3:
        reason = f"{n_arms} arms: Friedman's test compares three or more"
    elif n_images < 2:
        reason = "fewer than two images on which all arms are defined"
    elif (np.ptp(complete, axis=1) == 0).all():
        reason = "every image ties all arms"
    if reason:
        return Agreement(math.nan, math.nan, math.nan, n_images, n_arms, reason)
    result = stats.friedmanchisquare(*complete.T)
    w = kendalls_w(complete)
    return Agreement(w, float(result.statistic), float(result.pvalue), n_images, n_arms)


def complete_images(values: pd.DataFrame) -> Float[np.ndarray, "images arms"]:
    """Values of the images on which every arm that has any value is defined."""
    return values.dropna(axis="columns", how="all").dropna().to_numpy(float)


def kendalls_w(values: Float[np.ndarray, "images arms"]) -> float:
    """Concordance of the images' rankings of the arms, in [0, 1], ties corrected for; NaN where every image ties all."""
    ranks = stats.rankdata(values, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = float((centred**2).sum())
    return float((centred.sum(axis=0) ** 2).sum()) / (len(centred) * spread) if spread else math.nan
