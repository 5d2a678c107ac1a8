"""Guided backpropagation [1]_ and guided Grad-CAM [2]_.

Going backwards, a ReLU lets a gradient pass where its output was positive *and* the gradient itself is: only what
raises the score, step by step. The rule is laid on the ReLUs as they are called, so that it holds for modules and
functions, in place or not, and for one module that is used many times, as in torchvision's ResNet.

.. [1] J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for Simplicity: The All Convolutional
   Net", ICLR Workshop 2015.
.. [2] R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
   ICCV 2017.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Any, ClassVar
from weakref import WeakSet

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xaibench.explainers.borrowed import unwrapped
from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.gradients import image_gradients
from xaibench.explainers.pixelwise import CHANNELS, PixelExplainer, in_full_precision
from xaibench.explainers.token_grids import TokenGrid
from xaibench.names import pick

_aten = torch.ops.aten  # as exported graphs call it
RECTIFIERS: dict[Callable[..., Any], float] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_), inf),
    **dict.fromkeys((_aten.relu, _aten.relu_, _aten.relu.default, _aten.relu_.default), inf),
    F.relu6: 6.0,
}
"""Functions to which the rule applies, and where they stop rising; beside these ``hardtanh`` from 0 on (`nn.ReLU6`)."""

# Networks in which a ReLU was met. A pass in which modules are answered from memory (`xaibench.metrics.reuse`) may call
# none, although those of the remembered pass still guide the gradient.
_rectified: WeakSet[nn.Module] = WeakSet()
_guided: ContextVar[bool] = ContextVar("guided", default=False)


def is_guided() -> bool:
    """Tell whether ReLUs called now are guided, so that their graph is of no use to a plain gradient."""
    return _guided.get()


def guided_gradients(
    model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"], *, score: str = "logit"
) -> Float[Tensor, "B C H W"]:
    """Differentiate as `image_gradients` does, with Springenberg's rule at every ReLU and ReLU6.

    Rectifiers in another guise (``clamp``, ``maximum``, leaky or smooth ones) let the gradient pass as ever. Where the
    model has none but such, the result would be the plain gradient, and is refused.

    Raises
    ------
    ValueError
        If the model uses no ReLU; otherwise as `image_gradients`.
    """
    network = unwrapped(model)
    with _guiding() as guide:
        gradients = image_gradients(network, images, targets, score=score)
    if guide.met:
        _rectified.add(network)
    elif network not in _rectified:
        raise ValueError(
            f"guided backpropagation changes the gradient at ReLUs only, and {type(network).__name__} uses none (but "
            "GELU, SiLU or the like): its map would be the plain gradient; use the explainer 'gradient' instead"
        )
    return gradients


@contextmanager
def _guiding() -> Iterator["_Guide"]:
    token = _guided.set(True)
    try:
        with _Guide() as guide:
            yield guide
    finally:
        _guided.reset(token)


class _Guide(TorchFunctionMode):
    """Sees every call of a torch function and puts guided ones in the place of ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        self.met = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        arguments = dict(kwargs or {})
        ceiling = _ceiling(func, arguments)
        if ceiling is None:
            return func(*args, **arguments)
        self.met = True
        values, *others = args or (arguments.pop("input"),)
        return _GuidedReLU.apply(lambda tensor: func(tensor, *others, **arguments), ceiling, values)


def _ceiling(func: Any, arguments: Mapping[str, Any]) -> float | None:
    """Where a rectifier stops rising; None for any other function."""
    if func is F.hardtanh:
        return arguments["max_val"] if arguments["min_val"] == 0 else None
    return RECTIFIERS.get(func)


class _GuidedReLU(torch.autograd.Function):
    """Going forward, the rectifier itself; going backward, positive gradients where it rises.

    An own function, not a hook on the output: what works in place on a view changes the view's base, whose graph
    knows of no hook.
    """

    @staticmethod
    def forward(ctx: Any, rectify: Callable[[Tensor], Tensor], ceiling: float, values: Tensor) -> Tensor:
        output = rectify(values)
        if output is values:
            ctx.mark_dirty(values)
        ctx.save_for_backward(output)
        ctx.ceiling = ceiling
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        (output,) = ctx.saved_tensors
        rises = (output > 0) & (output < ctx.ceiling)
        return None, None, torch.where(rises, gradients[0].clamp(min=0), 0.0)


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(PixelExplainer):
    """Guided backpropagation; see `guided_gradients`, and `PixelExplainer` for the settings."""

    name: ClassVar[str] = "guided_backprop"

    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return the guided gradients."""
        return guided_gradients(model, images, targets, score=self.score)


@dataclass(frozen=True)
class GuidedGradCAM(Explainer):
    """Guided gradients times the rectified, upsampled Grad-CAM of each layer, at the image's resolution.

    One guided pass and one capture serve all layers.

    Attributes
    ----------
    layers : tuple of str
        Dotted module names, as for `GradCAM`.
    score : str
        What is differentiated, a name in `SCORES`.
    upsampling : str
        Mode of `upsample` for the Grad-CAM; the paper's is bilinear, Captum's default nearest.
    channels : str
        As in `PixelExplainer`.
    token_grid : function, optional
        As in `capture`.
    """

    name: ClassVar[str] = "guided_grad_cam"

    layers: tuple[str, ...] = ()
    _: KW_ONLY
    score: str = "logit"
    upsampling: str = "bilinear"
    channels: str = "sum"
    token_grid: TokenGrid | None = None

    def __post_init__(self) -> None:
        pick("channels", self.channels, CHANNELS)
        object.__setattr__(self, "layers", self.cam.layers)

    @property
    def cam(self) -> GradCAM:
        """The Grad-CAM that guided gradients are multiplied with; it checks the settings that it shares."""
        return GradCAM(self.layers, self.score, self.upsampling, rectify=True, token_grid=self.token_grid)

    def forward_passes(self) -> float:
        """Two: one for the guided gradient, one for the layers."""
        return 2.0

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B H W"]]:
        """Return maps (B, H, W) by layer; for the errors see `guided_gradients` and `capture`."""
        gradients = in_full_precision(guided_gradients(model, images, targets, score=self.score))
        attributions = self.cam(model, images, targets)
        return {layer: CHANNELS[self.channels](gradients * cam[:, None]) for layer, cam in attributions.items()}
