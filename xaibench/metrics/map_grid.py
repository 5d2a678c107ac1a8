"""How a layer's map meets the image's pixels: where it is rectified, resized and scaled, and by which rule."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.explainers.upsample import MODES, upsample
from xaibench.names import unknown

When = Literal["never", "before", "after", "both"]


@dataclass(frozen=True)
class MapGrid:
    """A complete rule from map to attribution.

    Scaling to [0, 1] is affine and so commutes with every resize here: before or after, it changes no rank (but among
    values that differ by rounding), and no curve over pixels. What it changes is the scale that masking metrics see:
    scaled before, the resized map need not reach 0 and 1. Rectifying commutes with ``nearest`` only; ``bicubic``
    overshoots, so that a map rectified before is negative again after.

    Attributes
    ----------
    resize : {"none", "bilinear", "nearest", "bicubic"}
        See `upsample`; "none" takes maps that are as large as the image.
    rectify, min_max : {"never", "before", "after", "both"}
        When negative values are put to zero, and when the map is scaled to [0, 1], each seen from the resize. A constant
        map is scaled to zero.
    """

    resize: str = "none"
    rectify: When = "never"
    min_max: When = "never"

    def __post_init__(self) -> None:
        for kind, value, choices in (
            ("resize", self.resize, ("none", *MODES)),
            ("time to rectify", self.rectify, get_args(When)),
            ("time to scale", self.min_max, get_args(When)),
        ):
            if value not in choices:
                raise unknown(kind, value, choices)

    def __call__(self, maps: Float[Tensor, "B h w"], size: tuple[int, int]) -> Float[Tensor, "B H W"]:
        """Return attributions of that height and width.

        Raises
        ------
        ValueError
            If the maps have another size and are not to be resized.
        """
        if self.resize == "none" and tuple(maps.shape[1:]) != tuple(size):
            raise ValueError(f"maps are {tuple(maps.shape[1:])}, the image {tuple(size)}: say how to resize them")
        maps = self._treated(maps, "before")
        if self.resize != "none":
            maps = upsample(maps, size, mode=self.resize)
        return self._treated(maps, "after")

    def _treated(self, maps: Tensor, when: When) -> Tensor:
        if self.rectify in (when, "both"):
            maps = maps.clamp(min=0)
        return scaled(maps) if self.min_max in (when, "both") else maps


def scaled(maps: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Scale each map to [0, 1]; a constant one to zero."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / torch.where(high == low, torch.ones_like(high), high - low)
