"""How the answer would have settled while images came in: interval width and stability of the ranking against n."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri, stdtrit

from xaibench.statistics.kendall import kendall_tau

N_ORDERS = 100
N_BOOTSTRAP = 400
FEWEST = 5
"""Images with which the picture begins; an interval of fewer says little."""


@dataclass(frozen=True)
class Convergence:
    """What so many images would have said, for growing numbers of them.

    Attributes
    ----------
    n : array of int, shape (points,)
        Numbers of images, the last of them all.
    widths : array, shape (points, arms)
        Width of the interval of each arm's mean: median over random orders of the images.
    width_low, width_high : array, shape (points, arms)
        Between which 90 % of the orders lie.
    rank_correlation, rank_low, rank_high : array, shape (points,)
        Kendall's tau between the ranking of the first n images and that of all, in [-1, 1]: mean over the orders, and
        between which 90 % of them lie. It is 1 at the last point by construction. NaN where every order has a tie of
        all arms.
    same_best : array, shape (points,)
        Share of the samples of n images, drawn with replacement, whose best arm is the best over all images.
    """

    n: Int[np.ndarray, " points"]
    widths: Float[np.ndarray, "points arms"]
    width_low: Float[np.ndarray, "points arms"]
    width_high: Float[np.ndarray, "points arms"]
    rank_correlation: Float[np.ndarray, " points"]
    rank_low: Float[np.ndarray, " points"]
    rank_high: Float[np.ndarray, " points"]
    same_best: Float[np.ndarray, " points"]


def convergence(
    values: Float[np.ndarray, "images arms"],
    *,
    higher_is_better: bool,
    proportion: bool = False,
    confidence: float = 0.95,
    n_orders: int = N_ORDERS,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Convergence | None:
    """Widths and rankings of growing parts of the images, over random orders of them.

    Parameters
    ----------
    values : array, shape (images, arms)
        Without NaN: images on which every arm is defined.
    higher_is_better : bool
        The metric's direction.
    proportion : bool
        Whether every value is 0 or 1: then the width of Wilson's interval, else of Student's t. The bootstrap of the
        tables gives nearly the same and would take hours for all n and orders.
    confidence : float
        Of the intervals, in (0, 1).
    n_orders, n_bootstrap, seed : int
        Orders of the images, samples with replacement, and the seed of both.

    Returns
    -------
    Convergence or None
        None for fewer than two arms or `FEWEST` images.
    """
    n_images, n_arms = values.shape
    if n_images < FEWEST or n_arms < 2:
        return None
    sign = 1.0 if higher_is_better else -1.0
    points, rng = numbers_of_images(n_images), np.random.default_rng(seed)
    orders = [_running(values[rng.permutation(n_images)], points) for _ in range(n_orders)]
    means = np.stack([first / points[:, None] for first, _ in orders])
    squares = np.stack([second / points[:, None] for _, second in orders])
    width = _wilson_width if proportion else _student_width
    widths = width(means, squares, points[None, :, None].astype(np.float64), confidence)
    final = values.mean(axis=0)
    taus = kendall_tau(sign * means, np.broadcast_to(sign * final, means.shape))
    drawn = [_running(values[rng.integers(0, n_images, n_images)], points)[0] for _ in range(n_bootstrap)]
    best = np.argmax(sign * np.stack(drawn), axis=2) == np.argmax(sign * final)
    low, middle, high = np.quantile(widths, [0.05, 0.5, 0.95], axis=0)
    mean, lower, upper = (_over_orders(taus, what) for what in (np.mean, _lower, _upper))
    return Convergence(points, middle, low, high, mean, lower, upper, best.mean(axis=0))


def numbers_of_images(n_images: int, *, n_points: int = 16) -> Int[np.ndarray, " points"]:
    """At most so many whole numbers from `FEWEST` to `n_images`, evenly spread on a logarithmic scale."""
    return np.unique(np.geomspace(FEWEST, n_images, n_points).round().astype(int))


def _running(values: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and sums of squares of the first n rows, for every n of `points`."""
    starts = np.concatenate([[0], points[:-1]])
    both = np.add.reduceat(np.stack([values, values**2]), starts, axis=1).cumsum(axis=1)
    return both[0], both[1]


def _student_width(means: np.ndarray, squares: np.ndarray, n: np.ndarray, confidence: float) -> np.ndarray:
    variance = np.maximum(squares - means**2, 0.0) / (n - 1)  # of the mean
    return 2 * stdtrit(n - 1, (1 + confidence) / 2) * np.sqrt(variance)


def _wilson_width(means: np.ndarray, squares: np.ndarray, n: np.ndarray, confidence: float) -> np.ndarray:
    z = ndtri((1 + confidence) / 2)
    return 2 * z / (1 + z**2 / n) * np.sqrt(np.maximum(means * (1 - means), 0.0) / n + z**2 / (4 * n**2))


def _over_orders(taus: np.ndarray, what: Callable[[np.ndarray], float]) -> np.ndarray:
    columns = [column[np.isfinite(column)] for column in taus.T]
    return np.array([what(column) if len(column) else np.nan for column in columns])


def _lower(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.05))


def _upper(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.95))
