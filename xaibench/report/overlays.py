"""Heat maps over pictures: from a map at its layer's resolution to pixels that a page or a figure shows.

Only for the eye: negative relevance is cut off and every map is divided by its own strongest value, so colours compare places
within a map, never strength between maps. The map is enlarged as the metrics enlarge it (bilinear, pixel centres
aligned, as torch's ``align_corners=False``), so what is seen lies where it was scored.
"""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from PIL import Image

from xaibench.names import unknown

COLOUR_MAP = "inferno"
"""Perceptually uniform and safe for colour-blind readers; another one, such as jet, only on request."""
_asked: ContextVar[str] = ContextVar("colour_map", default=COLOUR_MAP)
FINE = 64 * 64
_LUMA = np.array([0.299, 0.587, 0.114])


@contextmanager
def coloured(colour_map: str) -> Iterator[None]:
    """Draw every overlay inside this context with a matplotlib colour map of the reader's own choice.

    Raises
    ------
    ValueError
        If matplotlib has no map of this name.
    """
    if colour_map not in mpl.colormaps:
        raise unknown("colour map", colour_map, list(mpl.colormaps))
    token = _asked.set(colour_map)
    try:
        yield
    finally:
        _asked.reset(token)


def degenerate(values: Float[ndarray, "h w"]) -> str:
    """Say why a map shows nothing: not finite, no positive evidence, or the same everywhere; "" where it does."""
    if not np.isfinite(values).all():
        return "not finite"
    if values.max() <= 0:
        return "no positive evidence"
    return "the same everywhere" if values.max() == values.min() else ""


def resized(values: Float[ndarray, "h w"], height: int, width: int) -> Float[ndarray, "H W"]:
    """Resize bilinearly with pixel centres aligned and edges continued (``align_corners=False``)."""
    rows, columns = _weights(values.shape[0], height), _weights(values.shape[1], width)
    return rows @ values.astype(np.float64) @ columns.T


def heat(values: Float[ndarray, "h w"], height: int, width: int) -> Float[ndarray, "H W"]:
    """Rectify, divide by the strongest and enlarge: relevance in [0, 1]; zero where the map is degenerate.

    The strongest is the maximum. Of maps with more than `FINE` values, such as gradients, it is the 99th percentile of
    the positive ones, as in the code of Adebayo et al. (2018): a single pixel would leave the others invisible.
    """
    if degenerate(values):
        return np.zeros((height, width))
    positive = np.maximum(values, 0).astype(np.float64)
    strongest = np.quantile(positive[positive > 0], 0.99) if positive.size > FINE else positive.max()
    return resized(np.minimum(positive / strongest, 1), height, width)


def overlay(
    picture: UInt8[ndarray, "H W 3"],
    values: Float[ndarray, "h w"],
    *,
    colour_map: str | None = None,
    weakest: float = 0.35,
    strongest: float = 0.85,
) -> UInt8[ndarray, "H W 3"]:
    """Blend a map over a picture.

    Parameters
    ----------
    picture : array of uint8, shape (H, W, 3)
        What the network saw. It is shown in grey, so that colour means relevance and nothing else.
    values : array of float, shape (h, w)
        The map, signed, at any resolution.
    colour_map : str, optional
        A matplotlib colour map; that of `coloured` where not given.
    weakest, strongest : float
        Opacity of the colours where the relevance is 0 and where it is 1.

    Returns
    -------
    array of uint8, shape (H, W, 3)
        A degenerate map gives the faded picture with diagonal hatching, which no map looks like.
    """
    if degenerate(values):
        return hatched(picture)
    height, width, _ = picture.shape
    level = np.rint(heat(values, height, width) * 255).astype(np.uint8)
    kept, colours = _blends(colour_map or _asked.get(), weakest, strongest)
    grey = (picture @ _LUMA.astype(np.float32))[..., None]
    blended: UInt8[ndarray, "H W 3"] = (kept.take(level)[..., None] * grey + colours.take(level, axis=0)).astype(
        np.uint8
    )
    return blended


def hatched(picture: UInt8[ndarray, "H W 3"], *, period: int = 10) -> UInt8[ndarray, "H W 3"]:
    """Fade a picture and hatch it: the sign for "there is no map to show"."""
    height, width, _ = picture.shape
    faded = 0.25 * _grey(picture) + 0.75 * 205
    lines = (np.arange(height)[:, None] + np.arange(width)) % period < 2
    faded[lines] = 120
    return _as_bytes(faded)


def outlined(picture: UInt8[ndarray, "H W 3"], mask: Bool[ndarray, "H W"]) -> UInt8[ndarray, "H W 3"]:
    """Draw the rim of a mask, one white pixel inside and one dark pixel outside, visible on any picture."""
    return with_rims(picture, *rims(mask))


def rims(mask: Bool[ndarray, "H W"]) -> tuple[Int[ndarray, " inside"], Int[ndarray, " outside"]]:
    """Pixels just inside and just outside a mask, by their positions in reading order."""
    return np.flatnonzero(mask & _grown(~mask)), np.flatnonzero(_grown(mask) & ~mask)


def with_rims(
    picture: UInt8[ndarray, "H W 3"], inside: Int[ndarray, " inside"], outside: Int[ndarray, " outside"]
) -> UInt8[ndarray, "H W 3"]:
    """Draw rims on a copy of a picture: white inside, dark outside."""
    result = picture.copy()
    pixels = result.reshape(-1, 3)
    pixels[outside] = (20, 20, 20)
    pixels[inside] = (255, 255, 255)
    return result


def fitted(picture: UInt8[ndarray, "H W 3"], longest: int) -> UInt8[ndarray, "h w 3"]:
    """Shrink a picture so that its longer side is at most `longest` pixels; a small one stays as it is."""
    height, width, _ = picture.shape
    if max(height, width) <= longest:
        return picture
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def fitted_mask(mask: Bool[ndarray, "H W"], height: int, width: int) -> Bool[ndarray, "h w"]:
    """Bring a mask to a shown picture's size: true where at least half of it is covered."""
    return resized(mask.astype(np.float64), height, width) >= 0.5


def data_uri(picture: UInt8[ndarray, "H W 3"], *, quality: int = 82) -> str:
    """Encode a picture as a WebP ``data:`` address, for a page without outside requests."""
    return _encoded(picture, "webp", quality=quality, method=4)


def quick_data_uri(picture: UInt8[ndarray, "H W 3"], *, quality: int = 80) -> str:
    """Encode a picture as a JPEG ``data:`` address: somewhat larger than `data_uri`, in a tenth of the time."""
    return _encoded(picture, "jpeg", quality=quality)


def _encoded(picture: UInt8[ndarray, "H W 3"], kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@lru_cache(maxsize=8)
def _blends(
    colour_map: str, weakest: float, strongest: float
) -> tuple[Float[ndarray, " 256"], Float[ndarray, "256 3"]]:
    """For each of 256 levels of relevance: the share of the picture that is kept, and the colour that is added."""
    relevance = np.linspace(0, 1, 256)
    opacity = weakest + (strongest - weakest) * relevance
    colours = mpl.colormaps[colour_map](relevance)[:, :3] * 255 * opacity[:, None]
    return (1 - opacity).astype(np.float32), (colours + 0.5).astype(np.float32)  # rounds, as what follows cuts off


@lru_cache(maxsize=64)
def _weights(n_in: int, n_out: int) -> Float[ndarray, "n_out n_in"]:
    """Row i holds the share of each input pixel in output pixel i."""
    centre = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    return np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(n_in)))


def _grey(picture: UInt8[ndarray, "H W 3"]) -> Float[ndarray, "H W 3"]:
    """Luma (Rec. 601), repeated for the three channels."""
    return np.repeat((picture @ _LUMA)[..., None], 3, axis=2)


def _grown(mask: Bool[ndarray, "H W"]) -> Bool[ndarray, "H W"]:
    """Add the four neighbours of every pixel; nothing comes in from beyond the border."""
    padded = np.pad(mask, 1)
    return mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _as_bytes(colours: Float[ndarray, "H W 3"]) -> UInt8[ndarray, "H W 3"]:
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)
