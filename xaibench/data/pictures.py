"""One image file as RGB pixels, whatever its kind, or the reason why not."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from xaibench.data.samples import UnreadableImage

MINIMUM_SIDE_PX = 8
SUFFIXES = frozenset(
    (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp", ".avif")
)
"""Endings, in lower case, of the files that a folder is searched for."""
_FULL_16_BIT = 65535


def read_picture(path: str | Path) -> tuple[NDArray[np.uint8], str]:
    """Read an image file as RGB.

    Turned as its EXIF orientation says. Transparent pixels are laid over white. 16-bit and float values (in [0, 1]) are
    scaled to 0–255, not cut. Of an animation the first frame counts.

    Parameters
    ----------
    path : path
        Any format that Pillow reads.

    Returns
    -------
    picture : array of uint8, shape (H, W, 3)
    note : str
        What was done to it ("converted from CMYK; turned as its EXIF says"); "" for a plain RGB file.

    Raises
    ------
    UnreadableImage
        If there is no such file, it is no image, is truncated or damaged, has a side under 8 pixels, is so large that
        it may be a decompression bomb, or holds values of unknown range; with the file's name.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata and large images; what matters becomes an error or a note
            with Image.open(path) as opened:
                return _read(opened)
    except Exception as error:  # decoders meet damaged bytes with every kind of exception; one file must not stop a run
        raise UnreadableImage(f"{path.name}: {_reason(path, error)}") from error


def read_mask(path: str | Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a mask: True where any channel but alpha is not zero (of a palette image, where the index is not).

    Parameters
    ----------
    path : path
        An image file; PNG, as a lossy format would blur the edge.
    shape : (int, int)
        Height and width of the picture that it belongs to.

    Returns
    -------
    array of bool, shape `shape`

    Raises
    ------
    UnreadableImage
        If it cannot be read or has another shape.
    """
    path = Path(path)
    try:
        with Image.open(path) as opened:
            values = np.asarray(opened)
            if opened.mode in ("RGBA", "LA"):
                values = values[..., :-1]
    except Exception as error:  # as above
        raise UnreadableImage(f"mask {path.name}: {_reason(path, error)}") from error
    mask: NDArray[np.bool_] = np.any(values.reshape(*values.shape[:2], -1), axis=2)
    if mask.shape != shape:
        raise UnreadableImage(
            f"mask {path.name} is {mask.shape[0]} × {mask.shape[1]}, its image {shape[0]} × {shape[1]}"
        )
    return mask


def _read(opened: Image.Image) -> tuple[NDArray[np.uint8], str]:
    """Decode, turn and convert an opened file."""
    notes = []
    if (frames := getattr(opened, "n_frames", 1)) > 1:
        opened.seek(0)
        notes.append(f"first of {frames} frames")
    opened.load()
    if min(opened.size) < MINIMUM_SIDE_PX:
        raise ValueError(f"{opened.width} × {opened.height} pixels; each side must have at least {MINIMUM_SIDE_PX}")
    turned = ImageOps.exif_transpose(opened)
    if opened.getexif().get(0x0112, 1) != 1:
        notes.append("turned as its EXIF says")
    converted, note = _to_rgb(turned)
    return np.array(converted), "; ".join([note, *notes] if note else notes)


def _to_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """Convert any mode to RGB, and say from what."""
    if image.mode.startswith(("I", "F")):
        grey, kind = _to_8_bit(np.asarray(image)), "floats" if image.mode == "F" else "16-bit greyscale"
        return Image.fromarray(grey).convert("RGB"), f"converted from {kind}"
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema() != (255, 255):
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, with_alpha).convert("RGB"), "transparent, laid over white"
        return with_alpha.convert("RGB"), "opaque alpha channel dropped"
    if image.mode == "RGB":
        return image, ""
    names = {"1": "black and white", "L": "greyscale", "P": "a palette"}
    return image.convert("RGB"), f"converted from {names.get(image.mode, image.mode)}"


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale 16-bit integers, or floats in [0, 1], to 0–255."""
    wide = values.astype(np.float64)
    full = 1 if np.issubdtype(values.dtype, np.floating) else _FULL_16_BIT
    if not (wide.min() >= 0 and wide.max() <= full):
        raise ValueError(f"values from {wide.min():g} to {wide.max():g}; expected 0 to {full}")
    return np.rint(wide * (255 / full)).astype(np.uint8)


def _reason(path: Path, error: Exception) -> str:
    """Why a file could not be read, in a few words and without the folder it lies in."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image" if path.stat().st_size else "empty file"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large, more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; a decompression bomb?"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    words = str(error).replace(str(path), path.name) or type(error).__name__
    if isinstance(error, EOFError | SyntaxError) or "truncated" in words:
        return f"truncated or damaged ({words})"
    return words
