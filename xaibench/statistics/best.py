"""The best set: every arm that the paired tests cannot tell from the one with the best mean."""

import math
from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class BestSet:
    """Which arms may be the best one.

    Attributes
    ----------
    best : hashable or None
        The arm with the best mean over the `n` images on which every arm is defined; None where that cannot be said.
    members : tuple
        `best`, and all arms that the test does not show to be worse (p at least alpha, or unknown), in the columns'
        order.
    p : dict
        Adjusted p of every other arm against `best`.
    n : int
        Images on which every arm with values is defined.
    note : str
        Why there is no best arm, or which arms have no values; "" if nothing.
    """

    best: Hashable | None
    members: tuple[Hashable, ...]
    p: dict[Hashable, float]
    n: int
    note: str = ""


def best_set(
    values: pd.DataFrame, comparisons: pd.DataFrame, *, higher_is_better: bool, alpha: float = 0.05
) -> BestSet:
    """Arms that cannot be told from the best one.

    The best mean is picked by looking at the data, so the p-values must be adjusted over all pairs, as
    `compare_pairs` does by default: then the chance to leave out any arm is at most `alpha` where all are exchangeable
    on every image, so that all differences are symmetric around 0. Of arms that share a mean alone, and have scores of
    unlike shapes, it is so only about, and the better the more images there are (simulated in the tests).

    Parameters
    ----------
    values : DataFrame
        One column an arm, one row an image; NaN where undefined. Arms without any value take no part.
    comparisons : DataFrame
        `compare_pairs` of the same values.
    higher_is_better : bool
        The metric's direction.
    alpha : float
        Family-wise error.
    """
    arms = [arm for arm in values.columns if values[arm].notna().any()]
    silent = [str(arm) for arm in values.columns if arm not in arms]
    note = f"no value is defined for {', '.join(silent)}" if silent else ""
    complete = values[arms].dropna()
    if not arms or complete.empty:
        reason = "no image on which all arms are defined" if arms else "no value is defined"
        return BestSet(None, (), {}, 0, reason)
    means = complete.mean()
    best = arms[int(means.to_numpy().argmax() if higher_is_better else means.to_numpy().argmin())]
    p: dict[Hashable, float] = {arm: adjusted_p(comparisons, best, arm) for arm in arms if arm != best}
    # on the images that only these two share, the difference may point the other way: that beats nobody
    gains = {arm: (values[best] - values[arm]).mean() * (1 if higher_is_better else -1) for arm in p}
    members = tuple(arm for arm in arms if arm == best or not (p[arm] < alpha and gains[arm] > 0))
    return BestSet(best, members, p, len(complete), note)


def level(confidence: float) -> float:
    """The error that a confidence leaves, without the rounding of the subtraction: 0.05 for 0.95."""
    return round(1 - confidence, 12)


def adjusted_p(comparisons: pd.DataFrame, one: Hashable, other: Hashable) -> float:
    """Holm-adjusted p of the comparison of two arms, whichever came first; NaN where they were not compared."""
    for first, second, p in zip(*(comparisons[name] for name in ("first", "second", "p_adjusted")), strict=True):
        if (first, second) in ((one, other), (other, one)):
            return float(p)
    return math.nan
