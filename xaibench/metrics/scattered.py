"""Pictures rebuilt from some of their pixels, and how much information is left in them [1]_.

.. [1] A. Kapishnikov, T. Bolukbasi, F. Viégas, M. Terry, "XRAI: Better Attributions Through Regions", ICCV 2019, and
   the authors' code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, features
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """Between 8-bit pictures (H, W, 3) and the normalized images (3, H, W) of a model.

    Attributes
    ----------
    mean, std : tuple of three floats
        What the model's preprocessing subtracts and divides by, for values in [0, 1].
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std are three numbers each, std above zero; got {self.mean} and {self.std}")

    def picture(self, image: Float[Tensor, "3 H W"]) -> UInt8[np.ndarray, "H W 3"]:
        """Undo the normalization; values outside the 8-bit range are cut."""
        unit = image.detach().cpu().double().permute(1, 2, 0).numpy() * self.std + self.mean
        return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)

    def image(self, picture: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
        """Normalize; float64 on the CPU."""
        return torch.from_numpy((picture / 255 - self.mean) / self.std).permute(2, 0, 1)


@dataclass(frozen=True, eq=False)
class Blurred:
    """A picture and what is left of it when some pixels are kept and the others interpolated."""

    original: UInt8[np.ndarray, "H W 3"]
    kept: Bool[np.ndarray, "H W"]
    blurred: UInt8[np.ndarray, "H W 3"]
    full_bytes: int
    blurred_bytes: int

    def put_back(
        self, attribution: Float[np.ndarray, "H W"], shares: Sequence[float]
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Rebuild the picture with the most relevant pixels put back, for each share of the pixels."""
        for share in shares:
            yield rebuilt(self.original, keep_most_relevant(attribution, share, self.kept))


def blurred_picture(picture: UInt8[np.ndarray, "H W 3"], kept: Bool[np.ndarray, "H W"]) -> Blurred:
    """Blur a picture but for the pixels that are kept."""
    blurred = rebuilt(picture, kept)
    return Blurred(picture, kept, blurred, webp_bytes(picture), webp_bytes(blurred))


def random_mask(image_size: tuple[int, int], share: float, generator: torch.Generator) -> Bool[np.ndarray, "H W"]:
    """Choose a random share of the pixels, rounded down."""
    height, width = image_size
    chosen = np.zeros(height * width, dtype=bool)
    chosen[torch.randperm(height * width, generator=generator)[: int(height * width * share)].numpy()] = True
    return chosen.reshape(height, width)


def with_corners(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Add the four corners, so that no pixel lies outside what is kept."""
    mask = mask.copy()
    mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return mask


def keep_most_relevant(
    attribution: Float[np.ndarray, "H W"], share: float, always: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
    """Keep the pixels from the map's quantile ``1 − share`` on, ties included, and those of `always`."""
    return (attribution >= np.quantile(attribution, 1 - share)) | always


def rebuilt(picture: UInt8[np.ndarray, "H W 3"], kept: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Interpolate the pixels that are not kept linearly between those that are (Delaunay triangles).

    A pixel outside all triangles gets the picture's mean colour; with the corners kept there is none. Values are
    rounded. The triangulation of a pixel grid is not unique, so another program may differ by one grey level
    here and there.
    """
    if kept.all():
        return picture.copy()
    known, missing = np.argwhere(kept), np.argwhere(~kept)
    interpolate = LinearNDInterpolator(known, picture[kept].astype(np.float64))
    values = interpolate(missing)
    values = np.where(np.isnan(values), picture.mean(axis=(0, 1)), values)
    result = picture.copy()
    result[~kept] = np.rint(values)
    return result


def webp_bytes(picture: UInt8[np.ndarray, "H W 3"]) -> int:
    """Length of the picture as a lossless WebP file: the measure of its information."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="webp", lossless=True, quality=100)
    return buffer.tell()


def encoder() -> str:
    """Name the encoder on whose version `webp_bytes` depends.

    Raises
    ------
    RuntimeError
        If Pillow comes without WebP.
    """
    version = features.version("webp")
    if version is None:
        raise RuntimeError("this Pillow cannot write WebP, which the information curves need; install one that can")
    return f"libwebp {version}"
