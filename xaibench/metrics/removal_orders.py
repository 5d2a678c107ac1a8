"""Removing pixels most relevant first (MoRF), least relevant first (LeRF), and the area between the two [1]_, [2]_.

.. [1] W. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE Transactions on
   Neural Networks and Learning Systems 28(11), 2017.
.. [2] S. Bluecher, J. Vielhaben, N. Strodthoff, "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI
   Benchmarks", Transactions on Machine Learning Research, 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from xaibench.metrics.curve import Curve, Direction
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.curve_settings import CurveSettings
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order


@dataclass(frozen=True)
class MoRF(CurveSettings):
    """Area under the score while pixels are removed, most relevant first; see `CurveSettings`.

    The same curve as deletion, by the trapezoid over the true fractions.
    """

    area: str = "trapezoid"
    is_one_area: ClassVar[bool] = True
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = False


@dataclass(frozen=True)
class LeRF(CurveSettings):
    """Area under the score while pixels are removed, least relevant first; see `CurveSettings`."""

    area: str = "trapezoid"
    order: Order = field(default_factory=lambda: Order(first="least"))
    is_one_area: ClassVar[bool] = True
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = True


@dataclass(frozen=True)
class AreaBetweenCurves(CurveSettings):
    """Area of LeRF less area of MoRF; see `CurveSettings`.

    The clean and the fully removed image belong to both curves, so their part cancels: what is left is how much later
    the score falls if the map's order is turned round. 0 for a map that says nothing. `order` is that of MoRF; LeRF
    has the same with ``first="least"``.
    """

    area: str = "trapezoid"
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = True

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return both curves, MoRF first."""
        least = replace(self.order, first="least")
        return self.curve(f"{key}/morf"), self.curve(f"{key}/lerf", order=least)

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Subtract the areas; the curve kept is the difference of the two, point by point."""
        morf, lerf = drawn
        return MapScores(
            values=lerf.areas - morf.areas,
            forward_passes=morf.forward_passes + lerf.forward_passes,
            reasons=tuple(
                tuple(one or other for one, other in zip(*rows, strict=True))
                for rows in zip(morf.reasons, lerf.reasons, strict=True)
            ),
            curve_x=morf.fractions.expand(morf.scores.shape),
            curve_y=lerf.scores - morf.scores,
        )
