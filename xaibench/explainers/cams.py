"""The CAM family as explainers: settings over the functions of `cam`, fed by one `capture` for all layers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers import cam
from xaibench.explainers.capture import Captured, capture
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.scores import SCORES
from xaibench.explainers.token_grids import TokenGrid
from xaibench.explainers.upsample import MODES
from xaibench.names import pick, unknown


@dataclass(frozen=True)
class CAM(Explainer):
    """A class activation map for each of `layers`, all from one forward and one backward pass.

    Attributes
    ----------
    layers : tuple of str
        Dotted module names.
    score : str
        What is differentiated, a name in `SCORES`.
    upsampling : str
        Mode of `upsample`: ``bilinear``, ``nearest`` or ``bicubic``.
    rectify : bool
        Whether negative values are cut off before upsampling, as the papers do for display. By default maps are signed.
    token_grid : function, optional
        As in `capture`.

    Notes
    -----
    Several methods share a pass through `maps_of`::

        captured = capture(model, images, layers)
        both = {cam.name: cam.maps_of(captured) for cam in (GradCAM(layers), LayerCAM(layers))}
    """

    method: ClassVar[Callable[[Tensor, Tensor], Tensor]]

    layers: tuple[str, ...] = ()
    score: str = "logit"
    upsampling: str = "bilinear"
    rectify: bool = False
    token_grid: TokenGrid | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) or not self.layers:
            raise ValueError(f"layers must be one or more module names; got {self.layers!r}")
        object.__setattr__(self, "layers", tuple(self.layers))
        pick("score", self.score, SCORES)
        if self.upsampling not in MODES:
            raise unknown("upsampling", self.upsampling, MODES)

    @property
    def resize(self) -> str:
        """How its maps come to the image's size, as recorded."""
        return f"{self.upsampling}, rectified before" if self.rectify else self.upsampling

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return maps (B, h, w) by layer; see `Explainer.maps`, and `capture` for the errors."""
        return self.maps_of(
            capture(model, images, self.layers, targets=targets, score=self.score, token_grid=self.token_grid)
        )

    def maps_of(self, captured: Captured) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return maps (B, h, w) of what was captured already; `captured` must hold the layers."""
        maps = {}
        for layer in self.layers:
            # half precision would lose digits in the sums, and its maps are to be float32 anyway
            activations, gradients = (
                values if values.dtype == torch.float64 else values.float()
                for values in (captured.activations[layer], captured.gradients[layer])
            )
            values = type(self).method(activations, gradients)
            maps[layer] = values.relu() if self.rectify else values
        return maps


@dataclass(frozen=True)
class GradCAM(CAM):
    """Grad-CAM; see `cam.grad_cam`."""

    name: ClassVar[str] = "grad_cam"
    method: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(cam.grad_cam)


@dataclass(frozen=True)
class GradCAMPlusPlus(CAM):
    """Grad-CAM++; see `cam.grad_cam_plus_plus`."""

    name: ClassVar[str] = "grad_cam_plus_plus"
    method: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(cam.grad_cam_plus_plus)


@dataclass(frozen=True)
class XGradCAM(CAM):
    """XGrad-CAM; see `cam.xgrad_cam`."""

    name: ClassVar[str] = "xgrad_cam"
    method: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(cam.xgrad_cam)


@dataclass(frozen=True)
class HiResCAM(CAM):
    """HiResCAM; see `cam.hires_cam`."""

    name: ClassVar[str] = "hires_cam"
    method: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(cam.hires_cam)


@dataclass(frozen=True)
class LayerCAM(CAM):
    """LayerCAM; see `cam.layer_cam`."""

    name: ClassVar[str] = "layer_cam"
    method: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(cam.layer_cam)


CAM_CLASSES: dict[str, type[CAM]] = {
    kind.name: kind for kind in (GradCAM, GradCAMPlusPlus, XGradCAM, HiResCAM, LayerCAM)
}
