"""Relevance gains: what a map's order of superpixels gains over its reverse (SRG), or over a random order [1]_.

MIF removes the most influential segments first, LIF the least influential first; a gain is the area between two such
curves. Both of SRG's curves lose the same image, so what the way of occluding adds to either mostly cancels.

.. [1] S. Blücher, J. Vielhaben, N. Strodthoff, "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI
   Benchmarks", Transactions on Machine Learning Research, 2024.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.combined_curves import repeated, weighted_sum
from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.regions import Superpixels
from xaibench.metrics.steps import SpacedSteps, Spacing


@dataclass(frozen=True)
class RelevanceGain:
    """Settings of a relevance gain; abstract, SRG, MRG and LRG are its children.

    Areas are trapezoids over the share of pixels occluded, each curve over its own.

    Attributes
    ----------
    n_segments, compactness, sigma_px
        Of `Superpixels`; the paper compares 25, 100, 500 and 5000 segments of compactness 1.
    n_points, spacing
        Of `SpacedSteps`: about how many numbers of segments are measured between one and all.
    baseline : str or Baseline
        What occludes a segment.
    repeats : int
        Draws of the baseline, averaged; without effect on one that has no seed. The paper takes 5.
    score : str
        A name in `SCORES`.
    order : Order
        That of MIF, by the map's mean over each segment; LIF has the same with ``first="least"``.
    """

    n_segments: int = 25
    compactness: int | float = 1.0
    sigma_px: int | float = 0.0
    n_points: int = 15
    spacing: Spacing = "log"
    baseline: str | Baseline | Imputer = "zero"
    repeats: int = 5
    score: str = "probability"
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    higher_is_better: ClassVar[bool] = True
    added: ClassVar[str]
    """The order whose area is added: "least" or "random"."""
    subtracted: ClassVar[str]
    """The order whose area is subtracted: "most" or "random"."""

    def curves(self, key: str = "gain") -> tuple[Curve, ...]:
        """Return the curves of the order that is added, then those of the one that is subtracted."""
        return (
            *self._curves(f"{key}/{self.added}", self.added),
            *self._curves(f"{key}/{self.subtracted}", self.subtracted),
        )

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Subtract mean areas, and the curves with them."""
        n_added = len(self._curves("", self.added))
        n_subtracted = len(drawn) - n_added
        return weighted_sum(drawn, [1 / n_added] * n_added + [-1 / n_subtracted] * n_subtracted)

    def _curves(self, name: str, first: str) -> tuple[Curve, ...]:
        baselines = repeated(named_baseline(self.baseline), self.repeats)
        return tuple(
            Curve(
                name=f"{name}/{o}/{i}",
                direction="deletion",
                baseline=baseline,
                steps=SpacedSteps(self.n_points, self.spacing),
                order=order,
                score=self.score,
                area="trapezoid",
                regions=Superpixels(self.n_segments, self.compactness, self.sigma_px),
            )
            for o, order in enumerate(self._orders(first))
            for i, baseline in enumerate(baselines)
        )

    def _orders(self, first: str) -> Iterator[Order]:
        yield self.order if first == "most" else replace(self.order, first="least")


@dataclass(frozen=True)
class SRG(RelevanceGain):
    """Symmetric relevance gain: area of LIF less area of MIF; see `RelevanceGain`."""

    added: ClassVar[str] = "least"
    subtracted: ClassVar[str] = "most"


@dataclass(frozen=True)
class GainOverRandom(RelevanceGain):
    """What MRG and LRG share besides: random orders, the same for all maps of an image, that make the reference.

    Attributes
    ----------
    n_random : int
        How many of them.
    seed : int
        Of their draws.
    """

    n_random: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_random < 1:
            raise ValueError(f"n_random must be at least 1 random order, got {self.n_random}")

    def _orders(self, first: str) -> Iterator[Order]:
        if first != "random":
            yield from super()._orders(first)
        else:
            for i in range(self.n_random):
                yield Order(first="random", seed=self.seed + i)


@dataclass(frozen=True)
class MRG(GainOverRandom):
    """Most influential first's gain: area of the random order less area of MIF; see `RelevanceGain`."""

    added: ClassVar[str] = "random"
    subtracted: ClassVar[str] = "most"


@dataclass(frozen=True)
class LRG(GainOverRandom):
    """Least influential first's gain: area of LIF less area of the random order; see `RelevanceGain`."""

    added: ClassVar[str] = "least"
    subtracted: ClassVar[str] = "random"
