"""From a photograph to the image a network wants, the same way for its masks, and back again for display."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from xaibench.names import pick

INTERPOLATIONS = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop the centre, scale to [0, 1], normalize: the numbers of torchvision's `ImageClassification` preset.

    Attributes
    ----------
    resize : int, (int, int) or None
        Length of the shorter side in pixels, aspect ratio kept; or exact (height, width); or leave the size alone.
    crop : int, (int, int) or None
        Side, or (height, width), of the part cut out of the centre. A picture that is smaller is padded with black
        first, as torchvision does, and its masks with False.
    mean, std : tuple of three floats
        Of the red, green and blue channel on the scale [0, 1].
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}
        How pictures are resized. Masks always take the nearest pixel.
    antialias : bool
        Filter while shrinking, as Pillow does whatever torchvision's own flag says. False resizes as torchvision does
        tensors without antialiasing.

    Raises
    ------
    ValueError
        If a size is not positive, or mean or std are not three numbers with std above zero.
    """

    resize: int | tuple[int, int] | None
    crop: int | tuple[int, int] | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        pick("interpolation", self.interpolation, INTERPOLATIONS)
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if size is not None and min(_pair(size)) < 1:
                raise ValueError(f"{name} is in pixels and must be at least 1, not {size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std are three numbers each, std above zero; got {self.mean} and {self.std}")
        if not self.antialias and self.interpolation == "lanczos":
            raise ValueError("interpolation='lanczos' exists with antialias=True only; choose bicubic")

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of every image, or None where they depend on the picture."""
        if self.crop is not None:
            return _pair(self.crop)
        return self.resize if isinstance(self.resize, tuple) else None

    def image(self, picture: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 h w"]:
        """Turn an RGB picture into the normalized image that the network wants."""
        if self.antialias:
            resized = F.pil_to_tensor(self._resize(Image.fromarray(picture), INTERPOLATIONS[self.interpolation]))
        else:
            pixels = torch.tensor(picture).permute(2, 0, 1)
            resized = self._resize(pixels, INTERPOLATIONS[self.interpolation])
        unit = F.convert_image_dtype(self._crop(resized), torch.float32)
        return F.normalize(unit, mean=list(self.mean), std=list(self.std))

    def mask(self, masks: Bool[np.ndarray, "n H W"]) -> Bool[Tensor, "n h w"]:
        """Carry masks of a picture over to its image: the same geometry, each pixel from the nearest one.

        Thin objects can lose pixels, and a mask can come out empty when the object lies outside the crop.
        """
        planes = torch.tensor(masks, dtype=torch.uint8)[:, None]
        return self._crop(self._resize(planes, InterpolationMode.NEAREST_EXACT))[:, 0].bool()

    def picture(self, image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
        """Undo the normalization: what the network saw, for display; values outside [0, 1] are clipped."""
        mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (self.mean, self.std))
        unit = image.detach().cpu().double() * std + mean
        pixels = (unit.clamp(0, 1) * 255).round().to(torch.uint8)
        return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())

    @classmethod
    def from_torchvision(cls, transforms: Callable[..., Tensor]) -> "Preprocessing":
        """Take over a preset that comes with torchvision's weights, ``weights.transforms()``.

        Raises
        ------
        TypeError
            If it is no `ImageClassification` preset.
        """
        preset: Any = transforms
        wanted = ("resize_size", "crop_size", "mean", "std", "interpolation")
        if not all(hasattr(preset, attribute) for attribute in wanted):
            raise TypeError(f"transforms must be torchvision's ImageClassification preset, not {type(preset).__name__}")
        return cls(
            resize=_scalar_or_pair(preset.resize_size),
            crop=_scalar_or_pair(preset.crop_size),
            mean=tuple(preset.mean),
            std=tuple(preset.std),
            interpolation=preset.interpolation.value,
        )

    def _resize(self, pixels: Any, mode: InterpolationMode) -> Any:
        """Resize a Pillow image or a tensor (…, H, W)."""
        if self.resize is None:
            return pixels
        size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
        antialias = self.antialias and isinstance(pixels, Image.Image)
        return F.resize(pixels, size, interpolation=mode, antialias=antialias)

    def _crop(self, pixels: Tensor) -> Tensor:
        """Cut out the centre of a tensor (…, H, W), padded with zeros where it is too small."""
        return pixels if self.crop is None else F.center_crop(pixels, list(_pair(self.crop)))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def _scalar_or_pair(size: list[int]) -> int | tuple[int, int]:
    """Torchvision's list of one or two numbers as ours."""
    return size[0] if len(size) == 1 else (size[0], size[1])


IMAGENET = Preprocessing(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What most networks trained on ImageNet want."""
