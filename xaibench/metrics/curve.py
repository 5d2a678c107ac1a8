"""The conventions of a perturbation curve, all explicit: two numbers are comparable where these are equal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol, get_args, runtime_checkable

from xaibench.metrics.areas import AREAS
from xaibench.metrics.baselines import Baseline, Imputer, Zero
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.refinement import Refinement
from xaibench.metrics.regions import Regions
from xaibench.metrics.scores import SCORES
from xaibench.metrics.steps import PixelSteps, Steps
from xaibench.names import unknown

Direction = Literal["deletion", "insertion"]
Endpoints = Literal["both", "start", "end", "neither"]
RegionScore = Literal["mean", "sum"]


@dataclass(frozen=True)
class Curve:
    """One perturbation curve.

    Attributes
    ----------
    name : str
        Under which the curve's scores are returned; unique among curves drawn together.
    direction : {"deletion", "insertion"}
        Whether pixels of the image are replaced by the baseline, or the other way round.
    baseline : Baseline or Imputer
        What stands where pixels are removed: a picture, or what is filled in from the pixels that are left.
    steps : Steps
        Numbers of changed pixels; with `regions`, of changed regions.
    order : Order
        Which pixels are changed first, with rectification and tie rule.
    score : str
        What is read from the model for the target, a name in `SCORES`.
    endpoints : {"both", "start", "end", "neither"}
        Which of the two ends, nothing changed and everything changed, belong to the curve.
    area : str
        Name in `AREAS`: how its area is computed.
    regions : Regions or None
        What is changed as a whole; None changes pixel by pixel.
    region_score : {"mean", "sum"}
        Of the map over a region, by which the regions are ranked.
    precision : float or None
        Wanted of the area, in units of the score: the points among those of `steps` that it takes are drawn, see
        `refinement`. None draws all of them. For curves over pixels.
    """

    name: str
    direction: Direction
    baseline: Baseline | Imputer = field(default_factory=Zero)
    steps: Steps = field(default_factory=lambda: PixelSteps(224))
    order: Order = field(default_factory=Order)
    score: str = "probability"
    endpoints: Endpoints = "both"
    area: str = "uniform_trapezoid"
    regions: Regions | None = None
    region_score: RegionScore = "mean"
    precision: float | None = None

    def __post_init__(self) -> None:
        for kind, value, choices in (
            ("direction", self.direction, get_args(Direction)),
            ("score", self.score, tuple(SCORES)),
            ("endpoints", self.endpoints, get_args(Endpoints)),
            ("area rule", self.area, tuple(AREAS)),
            ("region score", self.region_score, get_args(RegionScore)),
        ):
            if value not in choices:
                raise unknown(kind, value, choices)
        if self.precision is not None:
            Refinement(self.precision)  # checks it
            if self.regions is not None or self.endpoints != "both":
                raise ValueError(
                    f"curve {self.name!r}: a precision needs a curve over pixels with both ends; leave precision out"
                )

    def counts(self, n_pixels: int) -> tuple[int, ...]:
        """Numbers of changed pixels at the curve's points, or of regions for an image of `n_pixels` regions."""
        start, end = self.endpoints in ("both", "start"), self.endpoints in ("both", "end")
        counts = tuple(k for k in self.steps(n_pixels) if (k > 0 or start) and (k < n_pixels or end))
        if not counts:
            raise ValueError(
                f"curve {self.name!r} has no point on an image of {n_pixels} {self._unit}: "
                f"{self.steps} without its ends (endpoints={self.endpoints!r}); take smaller steps"
            )
        return counts

    def expected_points(self, height: int, width: int) -> int:
        """How many points to expect on an image of that size; exact unless its regions depend on the image."""
        return len(self.counts(height * width if self.regions is None else self.regions.about(height, width)))

    @property
    def _unit(self) -> str:
        return "pixels" if self.regions is None else "regions"

    def settings(self) -> dict[str, object]:
        """Return every convention by name, fit for JSON: what a record keeps beside the area."""
        return {
            "direction": self.direction,
            "baseline": repr(self.baseline),
            "steps": repr(self.steps),
            **asdict(self.order),
            "score": self.score,
            "endpoints": self.endpoints,
            "area": self.area,
            "regions": "pixels" if self.regions is None else repr(self.regions),
            "region_score": self.region_score,
            "precision": self.precision,
        }


@runtime_checkable
class CurveMetric(Protocol):
    """A metric made of one or more curves; all of a run's are drawn in one queue, and points in common scored once."""

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return what to draw; every name begins with `key`, the metric's name in the run."""
        ...

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Make one value per map of the curves drawn, in the order of `curves`."""
        ...
