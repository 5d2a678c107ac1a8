"""Regions that a curve removes as a whole: patches, the cells of a grid, superpixels.

A division is a frozen dataclass over one function from images to labels; equal ones give equal labels, so curves with
the same one share their points. Each image's regions depend on that image only.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Regions(Protocol):
    """Divides images into regions."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Int[Tensor, "B H W"]:
        """Label each pixel with its region's number, 0, 1, … without gaps; the numbers of regions may differ."""
        ...

    def about(self, height: int, width: int) -> int:
        """Return the number of regions of an image of that size, or what to expect if it depends on the image."""
        ...


@dataclass(frozen=True)
class Patches:
    """Square patches side by side from the upper left corner; those at the far borders are cut off by them.

    Attributes
    ----------
    side_px : int
        At least 1.
    """

    side_px: int

    def __post_init__(self) -> None:
        if self.side_px < 1:
            raise ValueError(f"side_px must be at least 1 pixel, got {self.side_px}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Int[Tensor, "B H W"]:
        """Number the patches row by row."""
        height, width = images.shape[2:]
        row = torch.arange(height, device=images.device) // self.side_px
        column = torch.arange(width, device=images.device) // self.side_px
        return _numbered(row, column, images)

    def about(self, height: int, width: int) -> int:
        """Return the number of patches."""
        return -(-height // self.side_px) * -(-width // self.side_px)


@dataclass(frozen=True)
class Grid:
    """So many rows and columns of cells, equal up to one pixel; an image with fewer pixels has one cell for each.

    Attributes
    ----------
    rows, columns : int
        At least 1.
    """

    rows: int = 4
    columns: int = 4

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a grid needs at least one row and one column, got {self.rows} and {self.columns}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Int[Tensor, "B H W"]:
        """Number the cells row by row."""
        height, width = images.shape[2:]
        row = torch.arange(height, device=images.device) * min(self.rows, height) // height
        column = torch.arange(width, device=images.device) * min(self.columns, width) // width
        return _numbered(row, column, images)

    def about(self, height: int, width: int) -> int:
        """Return the number of cells."""
        return min(self.rows, height) * min(self.columns, width)


def _numbered(row: Tensor, column: Tensor, images: Tensor) -> Tensor:
    cells = row[:, None] * (int(column[-1]) + 1) + column[None, :]
    return cells.expand(len(images), -1, -1)


@dataclass(frozen=True)
class Superpixels:
    """SLIC superpixels of each image, scaled to its own range [1]_.

    Deterministic: scikit-image's `slic`, in Lab space where there are three channels. Every channel is brought to
    [0, 1] by the image's overall minimum and maximum, so that preprocessing hardly matters.

    .. [1] R. Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel Methods", IEEE TPAMI 2012.

    Attributes
    ----------
    n_segments : int
        Asked for; SLIC gives about as many.
    compactness : float
        Weight of nearness against likeness of colour: 1 follows edges (Blücher et al.), 10 is scikit-image's default.
    sigma_px : float
        Of the Gaussian that smooths the image first.
    """

    n_segments: int = 100
    compactness: int | float = 10.0
    sigma_px: int | float = 0.0

    def __post_init__(self) -> None:
        if self.n_segments < 1 or not self.compactness > 0 or not self.sigma_px >= 0:
            raise ValueError(
                "superpixels need n_segments >= 1, compactness > 0 and sigma_px >= 0, got "
                f"{self.n_segments}, {self.compactness} and {self.sigma_px}"
            )

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Int[Tensor, "B H W"]:
        """Segment each image by itself."""
        return torch.stack([self._segments(image) for image in images]).to(images.device)

    def about(self, height: int, width: int) -> int:
        """Return the number asked for, or one per pixel of a smaller image."""
        return min(self.n_segments, height * width)

    def _segments(self, image: Tensor) -> Tensor:
        from skimage.segmentation import slic  # slow to import, and only needed here

        values = image.detach().double().cpu()
        span = values.max() - values.min()
        scaled = (values - values.min()) / torch.where(span > 0, span, torch.ones_like(span))
        labels = slic(
            scaled.permute(1, 2, 0).numpy(),
            n_segments=self.n_segments,
            compactness=self.compactness,
            sigma=self.sigma_px,
            start_label=0,
            channel_axis=-1,
        )
        return torch.from_numpy(labels).unique(return_inverse=True)[1]
