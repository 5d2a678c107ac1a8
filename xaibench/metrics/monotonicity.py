"""Monotonicity: whether the score rises with every group of pixels put in, the least relevant first [1]_.

Of the two metrics of this name this is Arya's; Nguyen and Martínez' rank correlation of relevance with the expected
change of the score is another one.

.. [1] V. Arya et al., "One Explanation Does Not Fit All: A Toolkit and Taxonomy of AI Explainability Techniques", 2019,
   after R. Luss et al., "Leveraging Latent Features for Local Explanations", 2019.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline, named_baseline
from xaibench.metrics.curve import Curve
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import check_inputs, perturbation_curves
from xaibench.metrics.steps import PixelSteps
from xaibench.metrics.undefined import why_undefined
from xaibench.names import unknown

READINGS = ("all", "share")


def monotonicity(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    step_px: int = 224,
    reading: str = "all",
    order: Order | None = None,
    baseline: str | Baseline = "zero",
    score: str = "probability",
    batch_size: int = 32,
) -> MapScores:
    """Insert pixels into a baseline in the order of rising relevance, and see whether the score ever falls.

    Parameters
    ----------
    model, images, targets, attributions, baseline, score, batch_size
        As in `faithfulness_correlation`.
    step_px : int, default 224
        Pixels put in at once; the last step may be smaller.
    reading : {"all", "share"}
        Whether no step may lower the score (the authors' answer, 1 or 0), or which share of the steps does not.
    order : Order, optional
        Which pixels come first; the least relevant ones in raster order where none is given. Quantus orders magnitudes:
        give absolute maps for that; its 0.6 never puts a pixel in, and so finds every map monotone.

    Returns
    -------
    MapScores
        In [0, 1], higher is better; NaN for a constant map, or one with NaN or infinity. The curve has the points after each step, that
        of the bare baseline is not among them.
    """
    metric = Monotonicity(step_px, reading, order or Order(ties="raster", first="least"), baseline, score)
    check_inputs(images, targets, attributions)
    n_pixels = images.shape[2] * images.shape[3]
    if step_px >= n_pixels:
        raise ValueError(
            f"step_px={step_px} puts all {n_pixels} pixels in at once; monotonicity needs two steps or more"
        )
    curve = metric.curve()
    flat = why_undefined(attributions.flatten(0, 1), varying=True)
    reasons = np.array(flat, dtype=object).reshape(attributions.shape[:2])
    orderless = torch.from_numpy(reasons != "").to(attributions.device)  # no pass is spent on a map of NaN
    maps = attributions.masked_fill(orderless[:, :, None, None], torch.nan)
    found = perturbation_curves(model, images, targets, maps, [curve], batch_size=batch_size)[curve.name]
    reasons = np.where(reasons == "", np.array(found.reasons, dtype=object).reshape(reasons.shape), reasons)
    return MapScores(
        _judged(found.scores, reading),
        found.forward_passes,
        tuple(tuple(row) for row in reasons.tolist()),
        curve_x=found.fractions.expand(found.scores.shape),
        curve_y=found.scores,
    )


def _judged(scores: Tensor, reading: str) -> Tensor:
    steps = scores.double().diff(dim=2)
    kept = (steps >= 0).double()
    values = kept.amin(dim=2) if reading == "all" else kept.mean(dim=2)
    return values.masked_fill(steps.isnan().any(dim=2), torch.nan)


@dataclass(frozen=True)
class Monotonicity(ByFunction):
    """Settings of monotonicity; see `monotonicity`."""

    step_px: int = 224
    reading: str = "all"
    order: Order = field(default_factory=lambda: Order(ties="raster", first="least"))
    baseline: str | Baseline = "zero"
    score: str = "probability"
    higher_is_better: ClassVar[bool] = True
    function: ClassVar = staticmethod(monotonicity)

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise unknown("reading", self.reading, READINGS)
        self.curve()

    def curve(self) -> Curve:
        """Return the curve whose steps are judged."""
        return Curve(
            name="monotonicity",
            direction="insertion",
            baseline=named_baseline(self.baseline),
            steps=PixelSteps(self.step_px),
            order=self.order,
            score=self.score,
            endpoints="end",
            area="mean",
        )
