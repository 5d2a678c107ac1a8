"""Integrated gradients [1]_, computed by Captum.

.. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from types import ModuleType
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.gradients import differentiable_scores
from xaibench.explainers.pixelwise import PixelExplainer
from xaibench.names import unknown

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
"""Captum's rules for the integral."""


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(PixelExplainer):
    """Image minus baseline, times the gradient averaged along the straight line between the two.

    The relevances of an image add up to its score less the baseline's, up to the error of the integral; Captum's
    weights are float32, so that 1e-7 of it remains in float64 as well. Images are explained one by one, each with
    its points of the line in batches.

    Attributes
    ----------
    score, channels : str
        As in `PixelExplainer`.
    baseline : float or tuple of float
        Where the line begins, in the normalized values that the model sees: one value, or one for each channel. Zero
        is the data's mean colour; black is −mean / std, channel by channel.
    n_steps : int
        Points of the line, each a forward and a backward pass; the paper advises 20 to 300.
    rule : str
        How the integral is taken, a name in `RULES`. Captum's Gauss–Legendre rule is exact for smooth paths with few
        points; the paper's sum is ``riemann_right``.
    batch_size : int
        Points that go through the model together, at most.

    Raises
    ------
    ImportError
        If Captum is not installed.
    """

    name: ClassVar[str] = "integrated_gradients"

    baseline: float | Sequence[float] = 0.0
    n_steps: int = 50
    rule: str = "gausslegendre"
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.baseline, int | float):
            object.__setattr__(self, "baseline", tuple(self.baseline))
        if self.rule not in RULES:
            raise unknown("rule of integration", self.rule, RULES)
        for key in ("n_steps", "batch_size"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} of integrated gradients must be at least 1; got {getattr(self, key)}")
        _captum()

    def forward_passes(self) -> float:
        """As many as there are points."""
        return float(self.n_steps)

    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return integrated gradients; errors as in `image_gradients`, for any point of an image's line."""
        network = unwrapped(model)
        # autograd refuses tensors that were made in inference mode
        with torch.inference_mode(False), torch.enable_grad(), borrowed(network):
            images = images.clone() if images.is_inference() else images.detach()
            baselines = self._baselines(images)
            found, not_finite = [], []
            for index in range(len(images)):
                one = slice(index, index + 1)
                try:
                    found.append(self._integral(network, images[one], baselines[one], targets[one]))
                except NonFiniteOutput:
                    not_finite.append(index)
        if not_finite:
            raise NonFiniteOutput(tuple(not_finite))
        return torch.cat(found)

    def _integral(self, network: nn.Module, image: Tensor, baseline: Tensor, target: Tensor) -> Tensor:
        def scores(points: Tensor) -> Tensor:
            return differentiable_scores(network, points, target.expand(len(points)), self.score)

        # batches of nearly equal size, none above the limit
        together = ceil(self.n_steps / ceil(self.n_steps / self.batch_size))
        return (
            _captum()
            .IntegratedGradients(scores)
            .attribute(image, baseline, n_steps=self.n_steps, method=self.rule, internal_batch_size=together)
            .detach()
        )

    def _baselines(self, images: Tensor) -> Tensor:
        values = self.baseline if isinstance(self.baseline, tuple) else (self.baseline,)
        if len(values) not in (1, images.shape[1]):
            raise ValueError(
                f"baseline must be one value, or one for each of the image's {images.shape[1]} channels; "
                f"got {len(values)} values"
            )
        return images.new_tensor(values)[None, :, None, None].expand_as(images)


def _captum() -> ModuleType:
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(
            "integrated gradients are computed by Captum, which is not installed; `pip install xaibench[methods]`"
        ) from error
    return captum.attr
