"""The settings that all curves over pixels share: each convention a field, fit for a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.curve import Curve, Direction, Endpoints
from xaibench.metrics.curve_scores import CurveResult, CurveScores
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric
from xaibench.metrics.scoring import predicted
from xaibench.metrics.steps import EqualSteps, PixelSteps, Steps, named_steps


@dataclass(frozen=True)
class CurveSettings:
    """Conventions of one curve over the pixels of a map; abstract, its children are the metrics.

    Attributes
    ----------
    step_px : int
        Pixels per step.
    n_steps : int or None
        So many equal steps, instead of `step_px`.
    steps : Steps, mapping, or None
        Any rule of `steps.STEPS`, instead of both: an instance, or its name and settings as a configuration has them,
        ``{name: linspace, n_steps: 10}``.
    baseline : str, Baseline or Imputer
        What replaces removed pixels: a name in `baselines.BASELINES` or an instance.
    score : str
        What is read from the model, a name in `scores.SCORES`.
    endpoints : {"both", "start", "end", "neither"}
        Which ends belong to the curve.
    area : str
        Area rule, a name in `areas.AREAS`.
    order : Order
        Who goes first; RISE takes the map as given and puts the later of equal pixels first.
    precision : float or None
        Draw only the points that the area needs to be so precise, such as 0.005; None draws all. For metrics whose
        value is the area of one curve.
    """

    step_px: int = 224
    n_steps: int | None = None
    steps: Mapping[str, Any] | Steps | None = None
    baseline: str | Baseline | Imputer = "zero"
    score: str = "probability"
    endpoints: Endpoints = "both"
    area: str = "uniform_trapezoid"
    order: Order = field(default_factory=Order)
    precision: float | None = None
    direction: ClassVar[Direction]
    is_one_area: ClassVar[bool] = False
    higher_is_better: ClassVar[bool]

    def __call__(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        attributions: Float[Tensor, "B H W"],
        targets: Int[Tensor, " B"] | None = None,
        *,
        batch_size: int = 32,
    ) -> CurveResult:
        """Draw the curve of one map per image; the predicted class is followed where no targets are given.

        What the result calls area is the metric's value.
        """
        if targets is None:
            targets = predicted(model, images, batch_size=batch_size)
        drawn = draw_metric(model, images, targets, attributions[:, None], self, batch_size=batch_size)
        assert drawn.curve_x is not None
        assert drawn.curve_y is not None
        reasons = tuple(row[0] for row in drawn.reasons)
        return CurveResult(drawn.curve_x[0, 0], drawn.curve_y[:, 0], drawn.values[:, 0], reasons)

    def curve(self, name: str, *, order: Order | None = None) -> Curve:
        """Return these settings as a curve for the engine, in another order if one is given."""
        if self.precision is not None and not self.is_one_area:
            raise ValueError(
                f"{type(self).__name__} is not the area of one curve: leave precision out, got {self.precision}"
            )
        return Curve(
            name=name,
            direction=self.direction,
            baseline=named_baseline(self.baseline),
            steps=self.step_rule(),
            order=order or self.order,
            score=self.score,
            endpoints=self.endpoints,
            area=self.area,
            precision=self.precision,
        )

    def step_rule(self) -> Steps:
        """Return the rule that counts the pixels."""
        if self.steps is not None:
            return named_steps(self.steps)
        return PixelSteps(self.step_px) if self.n_steps is None else EqualSteps(self.n_steps)

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return what the engine has to draw for the metric called `key`."""
        return (self.curve(key),)

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Return the area of the curve that was drawn."""
        return drawn[0].map_scores()
