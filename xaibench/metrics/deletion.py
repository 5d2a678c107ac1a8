"""Deletion: how fast the score falls when the most relevant pixels are removed [1]_.

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


def deletion_curve(
    model: object,
    images: Float[Tensor, "B C H W"],
    attributions: Float[Tensor, "B H W"],
    targets: Int[Tensor, " B"] | None = None,
    *,
    step_px: int = 224,
    n_steps: int | None = None,
    baseline: str | Baseline = "zero",
    score: str = "probability",
    ties: Ties = "reverse_raster",
    area: str = "uniform_trapezoid",
    batch_size: int = 32,
) -> CurveResult:
    """Score of the target while its most relevant pixels are replaced by a baseline; the defaults are RISE's.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits.
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    attributions : Tensor, shape (B, H, W)
        Signed maps; only their order counts.
    targets : Tensor of int64, shape (B,), optional
        Classes to follow; the predicted ones where none are given.
    step_px : int, default 224
        Pixels per step; the authors take 224 for one image and 1792 for a data set.
    n_steps : int, optional
        So many equal steps, instead of `step_px`.
    baseline : str or Baseline, default "zero"
        What replaces removed pixels: a name in `baselines.BASELINES` or an instance.
    score : {"probability", "log_probability", "logit"}
        What is read from the model.
    ties : {"reverse_raster", "raster", "random", "signed"}
        Order among equal pixels.
    area : {"uniform_trapezoid", "trapezoid", "mean"}
        Area rule.
    batch_size : int, default 32
        Images per forward pass.

    Returns
    -------
    CurveResult
        Fractions removed, scores and areas; the lower the area, the better the map.
    """
    metric = Deletion(
        step_px=step_px, n_steps=n_steps, baseline=baseline, score=score, order=Order(ties=ties), area=area
    )
    return single_curve(model, images, attributions, targets, metric.curve(), batch_size=batch_size)


@dataclass(frozen=True)
class Deletion:
    """Settings of the deletion curve: RISE's, unless told otherwise.

    Attributes
    ----------
    step_px : int
        Pixels per step.
    n_steps : int or None
        So many equal steps, instead of `step_px`.
    baseline : str or Baseline
        What replaces removed pixels.
    score, endpoints, area : str
        See `Curve`.
    order : Order
        See `Order`; RISE takes the map as given and puts the later of equal pixels first.
    """

    step_px: int = 224
    n_steps: int | None = None
    baseline: str | Baseline = "zero"
    score: str = "probability"
    endpoints: Endpoints = "both"
    area: str = "uniform_trapezoid"
    order: Order = field(default_factory=Order)
    higher_is_better: ClassVar[bool] = False

    def __call__(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        attributions: Float[Tensor, "B H W"],
        targets: Int[Tensor, " B"] | None = None,
        *,
        batch_size: int = 32,
    ) -> CurveResult:
        """Draw the curve of one map per image; see `deletion_curve`."""
        return single_curve(model, images, attributions, targets, self.curve(), batch_size=batch_size)

    def curve(self, name: str = "deletion") -> Curve:
        """Return these settings as a curve for the engine."""
        return Curve(
            name=name,
            direction="deletion",
            baseline=named_baseline(self.baseline),
            steps=PixelSteps(self.step_px) if self.n_steps is None else EqualSteps(self.n_steps),
            order=self.order,
            score=self.score,
            endpoints=self.endpoints,
            area=self.area,
        )
