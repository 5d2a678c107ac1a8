"""Area under a curve, by the rules in use; from stored curves any of them is computed again without the model.

The rules are plain arithmetic on the last axis, so that they serve the engine's tensors and a record's arrays alike. No
torch here: tables and figures may use them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import ArrayLike, NDArray

from xaibench.names import pick

Fractions = Float[Any, "*#rest T"]  # ascending
Scores = Float[Any, "*rest T"]
Areas = Float[Any, "*rest"]


def uniform_trapezoid(fractions: Fractions, scores: Scores) -> Areas:
    """Mean height, all steps taken as equally wide though the last may be shorter (RISE, xplique).

    A curve of one point has no area: NaN, as in the other trapezoids.
    """
    return _neighbours(scores).mean(-1) if _has_steps(scores) else scores.mean(-1) * float("nan")


def trapezoid(fractions: Fractions, scores: Scores) -> Areas:
    """Trapezoid over the true fractions, not divided by their span (torch-cam)."""
    widths = fractions[..., 1:] - fractions[..., :-1]
    return (_neighbours(scores) * widths).sum(-1) if _has_steps(scores) else scores.mean(-1) * float("nan")


def span_trapezoid(fractions: Fractions, scores: Scores) -> Areas:
    """Mean height over the true fractions: the trapezoid divided by the span that the curve covers.

    Curves that stop at different fractions, or leave out their ends, stay on the scale of the score.
    """
    return trapezoid(fractions, scores) / (fractions[..., -1] - fractions[..., 0])


def unit_trapezoid(fractions: Fractions, scores: Scores) -> Areas:
    """Trapezoid of spacing 1, not divided by anything, so that it grows with the number of points (Quantus)."""
    return _neighbours(scores).sum(-1) if _has_steps(scores) else scores.mean(-1) * float("nan")


def point_trapezoid(fractions: Fractions, scores: Scores) -> Areas:
    """Trapezoid of spacing 1 / (number of points): too small by one point's share (LATEC)."""
    return unit_trapezoid(fractions, scores) / scores.shape[-1]


def mean(fractions: Fractions, scores: Scores) -> Areas:
    """Plain mean of the points, both ends counting as much as any other (pnpxai, AttriBench)."""
    return scores.mean(-1)


def mean_drop(fractions: Fractions, scores: Scores) -> Areas:
    """First point less the mean of all, the first included: Samek's AOPC, AttriBench's area over the curve."""
    return scores[..., 0] - scores.mean(-1)


AREAS: dict[str, Callable[[Any, Any], Any]] = {
    "uniform_trapezoid": uniform_trapezoid,
    "trapezoid": trapezoid,
    "span_trapezoid": span_trapezoid,
    "unit_trapezoid": unit_trapezoid,
    "point_trapezoid": point_trapezoid,
    "mean": mean,
    "mean_drop": mean_drop,
}


def recompute_area(
    fractions: Sequence[float] | ArrayLike, scores: Sequence[float] | ArrayLike, rule: str
) -> Float64[np.ndarray, "*rest"]:
    """Area of stored curves by another rule, without the model.

    Parameters
    ----------
    fractions : array_like, shape (T,)
        Share of pixels changed at each point, ascending: a record's ``curve_x``.
    scores : array_like, shape (..., T)
        Score at each point: its ``curve_y``. Several curves may be given at once if they share their fractions.
    rule : str
        A name in `AREAS`.

    Returns
    -------
    array of float64, shape (...)
        NaN for a curve with NaN, and by every trapezoid for a curve of one point.

    Raises
    ------
    ValueError
        If the rule is unknown, there is no point, the numbers of fractions and scores differ, or the fractions fall.
    """
    x, y = np.asarray(fractions, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    area = pick("area rule", rule, AREAS)
    if x.ndim != 1 or y.ndim < 1 or len(x) != y.shape[-1] or len(x) == 0:
        raise ValueError(f"a curve needs one fraction per score, at least one; got shapes {x.shape} and {y.shape}")
    if (np.diff(x) < 0).any():
        raise ValueError(f"fractions must ascend, got {_short(x)}; reverse the curve, both its fractions and scores")
    return np.asarray(area(x, y), dtype=np.float64)


def _has_steps(scores: Any) -> bool:
    return bool(scores.shape[-1] > 1)


def _neighbours(scores: Any) -> Any:
    """Mean of each two neighbouring points, (..., T - 1)."""
    return (scores[..., 1:] + scores[..., :-1]) / 2


def _short(values: NDArray[np.float64]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:6])
    return f"[{shown}, …]" if len(values) > 6 else f"[{shown}]"
