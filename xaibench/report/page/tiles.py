"""One image's pictures, small enough for a page: what the network saw, and each map over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from xaibench.report import overlays
from xaibench.report.figures.gallery import caption
from xaibench.report.labels import Arm
from xaibench.report.pictures import Pictured

Encode = Callable[[UInt8[ndarray, "H W 3"]], str]


@dataclass(frozen=True)
class Tile:
    """A map's picture: its arm's label, its ``data:`` address, and why there is nothing to see ("" where there is)."""

    label: str
    source: str
    reason: str


@dataclass(frozen=True)
class Shown:
    """One image's row in a gallery: its name, what it shows in words, whether the model is wrong, and its pictures.

    A map's entry is None where there is none.
    """

    name: str
    caption: str
    wrong: bool
    picture: str
    maps: list[Tile | None]

    @property
    def n_degenerate(self) -> int:
        """How many maps have nothing to show."""
        return sum(tile is not None and bool(tile.reason) for tile in self.maps)


def shown(
    one: Pictured,
    present: Sequence[Arm],
    labels: Mapping[Arm, str],
    *,
    longest: int,
    encode: Encode = overlays.data_uri,
) -> Shown:
    """Draw an image and all its maps, the object outlined where it is known.

    Parameters
    ----------
    one : Pictured
        The image.
    present : sequence of arm
        Columns.
    labels : mapping of arm to str
        Their names.
    longest : int
        Pixels of the longer side.
    encode : callable
        Makes a ``data:`` address of pixels.
    """
    picture = overlays.fitted(one.picture, longest)
    rims = None if one.mask is None else overlays.rims(overlays.fitted_mask(one.mask, *picture.shape[:2]))

    def drawn(pixels: UInt8[ndarray, "H W 3"]) -> str:
        return encode(pixels if rims is None else overlays.with_rims(pixels, *rims))

    maps: list[Tile | None] = []
    for arm in present:
        values = one.maps.get(arm)
        if values is None:
            maps.append(None)
        else:
            reason = overlays.degenerate(np.asarray(values))
            maps.append(Tile(labels[arm], drawn(overlays.overlay(picture, values)), reason))
    words = caption(one).replace("\n", ", ")
    return Shown(one.name, "" if words == one.name else words, one.correct is False, drawn(picture), maps)
