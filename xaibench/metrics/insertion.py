"""Insertion: how fast the score rises when the most relevant pixels are put into a blurred image [1]_.

.. [1] V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline, named_baseline
from xaibench.metrics.curve import Curve, Endpoints
from xaibench.metrics.ordering import Order, Ties
from xaibench.metrics.perturbation import CurveResult, single_curve
from xaibench.metrics.steps import EqualSteps, PixelSteps


def insertion_curve(
    model: object,
    images: Float[Tensor, "B C H W"],
    attributions: Float[Tensor, "B H W"],
    targets: Int[Tensor, " B"] | None = None,
    *,
    step_px: int = 224,
    n_steps: int | None = None,
    baseline: str | Baseline = "rise_blur",
    score: str = "probability",
    ties: Ties = "reverse_raster",
    area: str = "uniform_trapezoid",
    batch_size: int = 32,
) -> CurveResult:
    """Score of the target while its most relevant pixels replace those of a baseline; the defaults are RISE's.

    All parameters are those of `deletion.deletion_curve`; `baseline` is the picture that the curve starts from, by
    default the image under RISE's own blur.

    Returns
    -------
    CurveResult
        Fractions inserted, scores and areas; the higher the area, the better the map.
    """
    metric = Insertion(
        step_px=step_px, n_steps=n_steps, baseline=baseline, score=score, order=Order(ties=ties), area=area
    )
    return single_curve(model, images, attributions, targets, metric.curve(), batch_size=batch_size)


@dataclass(frozen=True)
class Insertion:
    """Settings of the insertion curve: RISE's, unless told otherwise.

    All attributes are those of `deletion.Deletion`; `baseline` is the picture that the curve starts from.
    """

    step_px: int = 224
    n_steps: int | None = None
    baseline: str | Baseline = "rise_blur"
    score: str = "probability"
    endpoints: Endpoints = "both"
    area: str = "uniform_trapezoid"
    order: Order = field(default_factory=Order)
    higher_is_better: ClassVar[bool] = True

    def __call__(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        attributions: Float[Tensor, "B H W"],
        targets: Int[Tensor, " B"] | None = None,
        *,
        batch_size: int = 32,
    ) -> CurveResult:
        """Draw the curve of one map per image; see `insertion_curve`."""
        return single_curve(model, images, attributions, targets, self.curve(), batch_size=batch_size)

    def curve(self, name: str = "insertion") -> Curve:
        """Return these settings as a curve for the engine."""
        return Curve(
            name=name,
            direction="insertion",
            baseline=named_baseline(self.baseline),
            steps=PixelSteps(self.step_px) if self.n_steps is None else EqualSteps(self.n_steps),
            order=self.order,
            score=self.score,
            endpoints=self.endpoints,
            area=self.area,
        )
