"""What every explainer is: maps at their own resolution, and the same upsampled to the image."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xaibench.explainers.upsample import upsample


class Explainer(ABC):
    """Explains a model's answers with one map per image and layer.

    A subclass is a frozen dataclass that says how `maps` come about; calling it upsamples them to the images.

    Attributes
    ----------
    name : str
        As in `EXPLAINERS` and in the records.
    layers : tuple of str
        Keys of the maps; ``("",)`` for an explainer without layers.
    upsampling : str
        Mode of `upsample`.
    """

    name: ClassVar[str]
    layers: tuple[str, ...] = ("",)
    upsampling: str = "bilinear"

    def forward_passes(self) -> float:
        """Images put through the model for one image's maps, all layers together."""
        return 1.0

    @property
    def resize(self) -> str:
        """How its maps come to the image's size, as recorded: `upsampling`, or ``none`` for an explainer without layers."""
        return "none" if self.layers == ("",) else self.upsampling

    def informed(self, masks: Bool[Tensor, "B H W"]) -> "Explainer":
        """Return the explainer, told where the images' objects are; only the oracle listens."""
        return self

    @abstractmethod
    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return signed, unscaled maps (B, h, w) for each layer, at the layer's own resolution.

        Parameters
        ----------
        model : nn.Module
            Maps images to logits (B, classes).
        images : Tensor, shape (B, C, H, W)
        targets : Tensor of int, shape (B,)
            Classes to explain.
        generator : torch.Generator, optional
            Source of randomness for the explainers that need one.
        """

    def __call__(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B H W"]]:
        """Return attributions: the same maps, upsampled to the images."""
        size = (images.shape[2], images.shape[3])
        maps = self.maps(model, images, targets, generator=generator)
        return {layer: upsample(values, size, mode=self.upsampling) for layer, values in maps.items()}
