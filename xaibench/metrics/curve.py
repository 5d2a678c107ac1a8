"""The conventions of a perturbation curve, all explicit: two numbers are comparable where these are equal."""

from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from xaibench.metrics.areas import AREAS
from xaibench.metrics.baselines import Baseline, Zero
from xaibench.metrics.ordering import Order
from xaibench.metrics.scores import SCORES
from xaibench.metrics.steps import PixelSteps, Steps
from xaibench.names import unknown

Direction = Literal["deletion", "insertion"]
Endpoints = Literal["both", "start", "end", "neither"]


@dataclass(frozen=True)
class Curve:
    """One perturbation curve.

    Attributes
    ----------
    name : str
        Under which the curve's scores are returned; unique among curves drawn together.
    direction : {"deletion", "insertion"}
        Whether pixels of the image are replaced by the baseline, or the other way round.
    baseline : Baseline
        What stands where pixels are removed.
    steps : Steps
        Numbers of changed pixels.
    order : Order
        Which pixels are changed first, with rectification and tie rule.
    score : {"probability", "log_probability", "logit"}
        What is read from the model for the target.
    endpoints : {"both", "start", "end", "neither"}
        Which of the two ends, nothing changed and everything changed, belong to the curve.
    area : {"uniform_trapezoid", "trapezoid", "mean"}
        How its area is computed.
    """

    name: str
    direction: Direction
    baseline: Baseline = field(default_factory=Zero)
    steps: Steps = field(default_factory=lambda: PixelSteps(224))
    order: Order = field(default_factory=Order)
    score: str = "probability"
    endpoints: Endpoints = "both"
    area: str = "uniform_trapezoid"

    def __post_init__(self) -> None:
        for kind, value, choices in (
            ("direction", self.direction, get_args(Direction)),
            ("score", self.score, tuple(SCORES)),
            ("endpoints", self.endpoints, get_args(Endpoints)),
            ("area rule", self.area, tuple(AREAS)),
        ):
            if value not in choices:
                raise unknown(kind, value, choices)

    def counts(self, n_pixels: int) -> tuple[int, ...]:
        """Numbers of changed pixels at the curve's points."""
        counts = self.steps(n_pixels)
        first = 0 if self.endpoints in ("both", "start") else 1
        last = len(counts) if self.endpoints in ("both", "end") else len(counts) - 1
        if first >= last:
            raise ValueError(
                f"curve {self.name!r} has no point on an image of {n_pixels} pixels: "
                f"{self.steps} without its ends (endpoints={self.endpoints!r}); take smaller steps"
            )
        return counts[first:last]

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
        }
