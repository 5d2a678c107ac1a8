"""The share of pixels that must go until the model predicts another class.

After the pixel flipping of S. Bach et al., "On Pixel-wise Explanations for Non-linear Classifier Decisions by Layer-wise
Relevance Propagation", PLoS ONE 10(7), 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.curve import Direction
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.curve_settings import CurveSettings
from xaibench.metrics.map_scores import MapScores

NOT_PREDICTED = "target is not the class predicted for the clean image"
NEVER_FLIPPED = "prediction stays, whatever is removed"


def flip_fractions(fractions: Float[Tensor, " T"], hits: Float[Tensor, "*rest T"]) -> Float[Tensor, "*rest"]:
    """Fraction at the first point where the target is not predicted.

    Parameters
    ----------
    fractions : Tensor, shape (T,)
        Share of pixels removed, ascending from 0.
    hits : Tensor, shape (..., T)
        1 where the target is predicted, 0 where it is not.

    Returns
    -------
    Tensor of float64, shape (...)
        In (0, 1]; NaN if the prediction never changes, is not the target to begin with, or is undefined.
    """
    lost = hits == 0
    defined = lost.any(dim=-1) & ~lost[..., 0] & hits.isfinite().all(dim=-1)
    first = fractions.double()[lost.to(torch.int8).argmax(dim=-1)]
    return first.masked_fill(~defined, torch.nan)


@dataclass(frozen=True)
class FlipFraction(CurveSettings):
    """Share of pixels, most relevant first, whose removal changes the prediction; see `CurveSettings`.

    As fine as the steps: the true fraction lies within the last one. `area` says nothing here.
    """

    score: str = "correct"
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.score != "correct" or self.endpoints not in ("both", "start"):
            raise ValueError(
                "the flip fraction follows the prediction from the clean image on: score must be 'correct' and endpoints "
                f"'both' or 'start', got {self.score!r} and {self.endpoints!r}"
            )

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Find the first point where the prediction is another."""
        (curve,) = drawn
        values = flip_fractions(curve.fractions, curve.scores)
        reasons = tuple(
            tuple(_why(*each) for each in zip(*rows, strict=True))
            for rows in zip(curve.reasons, curve.scores.tolist(), values.isnan().tolist(), strict=True)
        )
        return replace(curve.map_scores(), values=values, reasons=reasons)


def _why(reason: str, hits: list[float], undefined: bool) -> str:
    if reason or not undefined:
        return reason
    return NOT_PREDICTED if hits[0] == 0 else NEVER_FLIPPED
