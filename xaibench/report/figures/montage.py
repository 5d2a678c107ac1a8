"""Many small pictures in a grid on one `Axes`: quick to draw however many there are."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image

from xaibench.report import overlays
from xaibench.report.figures.style import blank

Tile = tuple[UInt8[ndarray, "_H _W 3"], str]
"""A picture, and what to write on it ("" for nothing)."""


def picture_tile(picture: UInt8[ndarray, "H W 3"], mask: Bool[ndarray, "H W"] | None, side: int) -> Tile:
    """Scale a picture into a square tile and outline the object."""
    return _outlined(_scaled(picture, side), mask), ""


def map_tile(
    picture: UInt8[ndarray, "H W 3"], values: Float[ndarray, "h w"], mask: Bool[ndarray, "H W"] | None, side: int
) -> Tile:
    """Lay a map over the scaled picture and outline the object; a degenerate map is hatched and says why."""
    return _outlined(overlays.overlay(_scaled(picture, side), values), mask), overlays.degenerate(values)


def plot_montage(
    axes: Axes, tiles: Sequence[Sequence[Tile | None]], *, side: int, gap: tuple[int, int] = (4, 4), first_gap: int = 0
) -> Axes:
    """Draw tiles row by row; an axis unit is a pixel.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    tiles : sequence of sequence of Tile or None
        Rows of equal length; None leaves the place empty.
    side : int
        Longest side of a tile, in pixels.
    gap : (int, int)
        Pixels below and beside a tile.
    first_gap : int
        More pixels after the first column.
    """
    n_rows, n_columns = len(tiles), len(tiles[0])
    height = n_rows * (side + gap[0]) - gap[0]
    width = n_columns * (side + gap[1]) - gap[1] + first_gap
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    for i, row in enumerate(tiles):
        for j, tile in enumerate(row):
            if tile is None:
                continue
            pixels, note = tile
            y, x = i * (side + gap[0]), j * (side + gap[1]) + (first_gap if j else 0)
            y, x = y + (side - pixels.shape[0]) // 2, x + (side - pixels.shape[1]) // 2
            canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
            if note:
                middle = x + pixels.shape[1] / 2, y + pixels.shape[0] / 2
                words = note.replace(" ", "\n", 1)
                axes.text(*middle, words, ha="center", va="center", fontsize=5.5, linespacing=1, bbox=box)
    axes.imshow(canvas, interpolation="none")
    return blank(axes)


def montage_axes(figure: Figure, *, left: float, bottom: float, top: float, right: float = 0.05) -> Axes:
    """Make an `Axes` that leaves that many inches at the figure's sides."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))


def _scaled(picture: UInt8[ndarray, "H W 3"], side: int) -> UInt8[ndarray, "h w 3"]:
    height, width, _ = picture.shape
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _outlined(picture: UInt8[ndarray, "H W 3"], mask: Bool[ndarray, "h w"] | None) -> UInt8[ndarray, "H W 3"]:
    if mask is None:
        return picture
    return overlays.outlined(picture, overlays.fitted_mask(mask, *picture.shape[:2]))
