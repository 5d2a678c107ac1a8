"""IROF, iterative removal of features: how fast the score falls while superpixels are removed [1]_.

.. [1] L. Rieger, L. K. Hansen, "IROF: a low resource evaluation metric for explanation methods", ICLR Workshop AI for
   Affordable Healthcare, 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.regions import Superpixels
from xaibench.metrics.steps import SingleSteps
from xaibench.names import unknown

Unit = Literal["share", "segments"]
ZERO_PROBABILITY = "probability of the clean image is 0"


def area_over_curve(ratios: Float[Tensor, " T"], *, unit: Unit) -> Float[Tensor, ""]:
    """Area above one curve of p / p₀.

    Parameters
    ----------
    ratios : Tensor, shape (T,)
        p / p₀ after 0, 1, …, T - 1 segments; the first is 1.
    unit : {"share", "segments"}
        "share": 1 less the trapezoid over the share of segments removed, so that images with different numbers of
        segments compare. "segments": Quantus's number, the count of segments less the trapezoid of spacing 1 over the
        points *after* the clean one.
    """
    n_segments = len(ratios) - 1
    if unit == "segments":
        return n_segments - torch.trapezoid(ratios[1:])
    return 1 - torch.trapezoid(ratios) / n_segments


@dataclass(frozen=True)
class IROF:
    """Settings of IROF.

    Attributes
    ----------
    n_segments, compactness, sigma_px
        Of `Superpixels`.
    baseline : str or Baseline
        What replaces a segment: the image's own mean colour by default.
    order : Order
        Of the segments, by the map's mean over each.
    unit : {"share", "segments"}
        See `area_over_curve`.
    """

    n_segments: int = 100
    compactness: int | float = 10.0
    sigma_px: int | float = 0.0
    baseline: str | Baseline | Imputer = "mean"
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    unit: Unit = "share"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise unknown("unit", self.unit, get_args(Unit))

    def curves(self, key: str = "irof") -> tuple[Curve, ...]:
        """Return the curve of the probability."""
        curve = Curve(
            name=key,
            direction="deletion",
            baseline=named_baseline(self.baseline),
            steps=SingleSteps(),
            order=self.order,
            regions=Superpixels(self.n_segments, self.compactness, self.sigma_px),
        )
        return (curve,)

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Divide each curve by its clean score and take the area above it."""
        (curve,) = drawn
        ratios = curve.scores.double() / curve.scores[..., :1].double()
        values, told = torch.full_like(curve.areas, torch.nan), [list(row) for row in curve.reasons]
        for b, m in curve.areas.isfinite().nonzero().tolist():
            if curve.scores[b, m, 0] == 0:
                told[b][m] = ZERO_PROBABILITY
            else:
                own = ~curve.fractions[b, m].isnan()
                values[b, m] = area_over_curve(ratios[b, m, own], unit=self.unit)
        return MapScores(values, curve.forward_passes, tuple(tuple(row) for row in told), curve.fractions, ratios)
