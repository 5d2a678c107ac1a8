"""What the engine gives for a curve: points, areas, cost and reasons."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.metrics.areas import AREAS
from xaibench.metrics.map_scores import MapScores


@dataclass(frozen=True, eq=False)
class CurveScores:
    """One curve for every map of every image.

    Where images have different numbers of regions, their curves have different numbers of points: T is the largest,
    and NaN fills up the others behind their last point, in `fractions` as in `scores`.

    Attributes
    ----------
    fractions : Tensor of float64, shape (T,) or (B, M, T)
        Share of pixels removed or inserted at each point, in [0, 1]: (T,) where pixels are changed one by one, so that
        all maps have the same; with regions the share that each map's own regions cover.
    scores : Tensor, shape (B, M, T)
        Score at each point; NaN along the whole curve where it is undefined.
    areas : Tensor of float64, shape (B, M)
        Area by the curve's rule; NaN where undefined.
    forward_passes : Tensor of float64, shape (B, M)
        Images put through the model for this curve; a point that several curves share counts in equal parts, so the
        sum over all curves is the exact number.
    reasons : tuple of tuples of str, (B, M)
        Why a curve is undefined; "" where it is not.
    errors : Tensor of float64, shape (B, M), optional
        Estimated error of each area, of a curve drawn to a precision.
    """

    fractions: Float[Tensor, "*where T"]
    scores: Float[Tensor, "B M T"]
    areas: Float[Tensor, "B M"]
    forward_passes: Float[Tensor, "B M"]
    reasons: tuple[tuple[str, ...], ...]
    errors: Float[Tensor, "B M"] | None = None

    def map_scores(self) -> MapScores:
        """Return the area as the value of each map, with the curve behind it."""
        fractions = self.fractions.expand(self.scores.shape)
        return MapScores(self.areas, self.forward_passes, self.reasons, fractions, self.scores, self.errors)


@dataclass(frozen=True, eq=False)
class CurveResult:
    """One curve per image.

    Attributes
    ----------
    fractions : Tensor of float64, shape (T,) or (B, T)
        Share of pixels removed or inserted at each point; (B, T) where regions are changed.
    scores : Tensor, shape (B, T)
        Score at each point; NaN along an undefined curve, and behind the end of a shorter one.
    areas : Tensor of float64, shape (B,)
        Area by the curve's rule; NaN where undefined.
    reasons : tuple of str, (B,)
        Why a curve is undefined; "" where it is not.
    """

    fractions: Float[Tensor, "*where T"]
    scores: Float[Tensor, "B T"]
    areas: Float[Tensor, " B"]
    reasons: tuple[str, ...]


def areas_of(
    fractions: Float[Tensor, "*where T"], scores: Float[Tensor, "B M T"], inside: Bool[Tensor, "B T"], *, rule: str
) -> Float[Tensor, "B M"]:
    """Compute areas by the rule of that name, each curve as far as its own points (`inside`) go."""
    if bool(inside.all()):
        return AREAS[rule](fractions, scores.double())
    fractions = fractions.expand(scores.shape)
    areas = torch.empty(scores.shape[:2], dtype=torch.float64)
    lengths = inside.sum(dim=1)
    for length in lengths.unique().tolist():
        rows = lengths == length
        areas[rows] = AREAS[rule](fractions[rows, :, :length], scores[rows, :, :length].double())
    return areas
