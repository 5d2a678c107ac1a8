"""Which of several arms has the best mean, looked at after every image: a test that may stop whenever it is settled.

An ordinary p-value holds for a number of images fixed beforehand; looking again and again finds differences that are
not there. An *e-process* may be looked at after every image: it is the wealth of a gambler who starts with 1 and bets
against the null hypothesis at fair odds or worse, so that under the null the chance that it *ever* reaches 1 / alpha is
at most alpha (Ville's inequality). The bets are those of Waudby-Smith and Ramdas [1]_ for means of bounded values, with
a fixed mixture of stakes ("diversified Kelly"). The e-values against "this arm is a best one" are averaged over its
rivals, which is valid however they depend on each other [2]_; arms are left out one after the other as in a sequential
model confidence set [3]_.

Assumed: the images come in random order, as independent draws of those that the answer is about, and scores lie in a
known range. Nothing is assumed of their distribution.

.. [1] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
   Statistical Society, Series B 86, 2024.
.. [2] V. Vovk, R. Wang, "E-values: Calibration, combination and applications", The Annals of Statistics 49, 2021.
.. [3] S. Arnold, G. Gavrilopoulos, B. Schulz, J. Ziegel, "Sequential model confidence sets", arXiv 2404.18678, 2024.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import logsumexp

STAKES = 2.0 ** -np.arange(6)
"""Shares of the wealth that is staked, in equal parts: all of it for clear differences, 1/32 for faint ones."""


@dataclass(frozen=True)
class Settlement:
    """What may be said after some images, at error at most `alpha` however often one has looked.

    Attributes
    ----------
    how : {"", "best", "alike"}
        ``best``: one arm is better than every other. ``alike``: those that may be the best are all within the margin of
        it. Empty: neither is settled.
    log_e : tuple of float
        For each arm the natural logarithm of the largest e-value so far against "it is a best one".
    threshold : float
        Of the e-values: an arm that reached it is no longer among those that may be the best.
    remaining : tuple of int
        Arms that may be the best; empty where the images contradict each other, so that nothing is settled.
    n : int
        Images looked at.
    """

    how: Literal["", "best", "alike"]
    log_e: tuple[float, ...]
    threshold: float
    remaining: tuple[int, ...]
    n: int


def log_e_values(
    differences: Float[np.ndarray, "images *columns"], *, width: float, null: float = 0.0
) -> Float[np.ndarray, "images *columns"]:
    """Logarithm of the e-process against "the mean difference is at most `null`", after each image.

    Parameters
    ----------
    differences : array, shape (images, ...)
        Paired differences, in the order in which the images came; without NaN.
    width : float
        Of the scores' range: differences lie in [-width, width].
    null : float
        In (-width, width).

    Returns
    -------
    array, shape (images, ...)
        ``log(mean over STAKES of the product over images of (1 + stake * (difference - null) / (width + null)))``: an
        average of nonnegative supermartingales that begin at 1. Minus infinity where all is lost, which cannot be while
        a stake is below 1.

    Raises
    ------
    ValueError
        If a difference is NaN or outside the range, or the null is.
    """
    if not -width < null < width:
        raise ValueError(f"null must lie inside the range of differences, ({-width:g}, {width:g}); got {null:g}")
    if not (np.abs(differences) <= width * (1 + 1e-9)).all():
        worst = differences.ravel()[np.argmax(np.nan_to_num(np.abs(differences.ravel()), nan=np.inf))]
        raise ValueError(f"differences must lie in [{-width:g}, {width:g}], the range of the test; got {worst:g}")
    gains = np.maximum((differences - null) / (width + null), -1.0)
    with np.errstate(divide="ignore"):
        wealth = np.cumsum(np.log1p(STAKES * gains[..., None]), axis=0)
    return np.asarray(logsumexp(wealth, axis=-1) - math.log(len(STAKES)))


def best_log_e_values(scores: Float[np.ndarray, "images arms"], *, width: float) -> Float[np.ndarray, "images arms"]:
    """Logarithm of the e-process against "this arm is a best one", for each arm after each image.

    The average, over its rivals, of the e-processes that bet on the rival: if the arm is a best one, none of them is
    expected to grow.
    """
    columns = []
    for arm in range(scores.shape[1]):
        rivals = np.delete(scores, arm, axis=1) - scores[:, [arm]]
        columns.append(logsumexp(log_e_values(rivals, width=width), axis=1) - math.log(rivals.shape[1]))
    return np.stack(columns, axis=1)


def settle(
    scores: Float[np.ndarray, "images arms"], *, width: float, alpha: float = 0.05, margin: float | None = None
) -> Settlement:
    """Say whether these images settle which arm has the best mean.

    May be asked after every image, and the answer acted upon: over all looks together, the chance to settle something
    false is at most `alpha`. False is that the one arm named is not better than every other, ties included, or that an
    arm called alike is `margin` or more below the best.

    Parameters
    ----------
    scores : array, shape (images, arms)
        Higher is better; images in the order in which they came, without NaN.
    width : float
        Of the scores' range.
    alpha : float
        In (0, 1).
    margin : float, optional
        What difference from the best does not matter, in (0, width). Without it, arms that are equal are never settled.

    Notes
    -----
    An arm is left out when its e-value has reached 2 / alpha. Where one arm is best, only its own removal leads to a
    false answer; where several are, naming one takes the removal of one of two of them at least: alpha / 2 each. With a
    margin, the alternative is tested besides, and the parts are thirds.
    """
    n_arms = scores.shape[1]
    if n_arms < 2:
        raise ValueError(f"there must be two arms at least to find the best of; got {n_arms}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, such as 0.05; got {alpha}")
    threshold = (2 if margin is None else 3) / alpha
    if not len(scores):
        return Settlement("", (0.0,) * n_arms, threshold, tuple(range(n_arms)), 0)
    largest = best_log_e_values(scores, width=width).max(axis=0)
    remaining = np.flatnonzero(largest < math.log(threshold))
    how: Literal["", "best", "alike"] = "best" if len(remaining) == 1 else ""
    if margin is not None and len(remaining) > 1:
        level = math.log(threshold * (n_arms - 1))
        pairs = list(itertools.permutations(remaining, 2))
        above = np.stack([scores[:, one] - scores[:, other] for one, other in pairs], axis=1)
        near = log_e_values(above, width=width, null=-margin).max(axis=0) >= level
        how = "alike" if near.all() else ""
    return Settlement(how, tuple(largest.tolist()), threshold, tuple(remaining.tolist()), len(scores))


def confidence_sequence(
    differences: Float[np.ndarray, " images"], *, width: float, alpha: float, looks: Sequence[int]
) -> tuple[Float[np.ndarray, " looks"], Float[np.ndarray, " looks"]]:
    """Bounds of the mean difference that hold at all looks together with probability 1 - `alpha`.

    Parameters
    ----------
    differences : array, shape (images,)
        In the order in which the images came.
    width : float
        Of the scores' range.
    alpha : float
        Half of it for each side.
    looks : sequence of int
        Numbers of images after which to look, ascending, at least 1 each.

    Returns
    -------
    low, high : array, shape (looks,)
        All means that the e-processes have not ruled out at this look or an earlier one; never wider than before.
    """
    low = [_lower_bound(differences[:n], width=width, level=2 / alpha) for n in looks]
    high = [-_lower_bound(-differences[:n], width=width, level=2 / alpha) for n in looks]
    return np.maximum.accumulate(low), np.minimum.accumulate(high)


def _lower_bound(differences: np.ndarray, *, width: float, level: float) -> float:
    """The largest mean such that all below it are ruled out: the e-value falls where the null rises."""

    def excess(null: float) -> float:
        return float(log_e_values(differences, width=width, null=null)[-1]) - math.log(level)

    edge = width * (1 - 1e-9)
    return -width if excess(-edge) <= 0 else float(brentq(excess, -edge, edge, xtol=1e-9 * width))
