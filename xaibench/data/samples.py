"""What a data set yields: a picture as it was taken, and what is known about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class UnreadableImage(ValueError):
    """One image cannot be used; the message says which and why. A run records it and goes on."""


@dataclass(frozen=True)
class Sample:
    """One image with what is known to be true about it.

    Attributes
    ----------
    name : str
        Stable identifier within the data set, fit for a file name's stem or a table.
    image : array of uint8, shape (H, W, 3)
        RGB, not yet resized or normalized: that is the model's business.
    labels : tuple of int
        Classes present, the principal one first; empty where none is known.
    masks : array of bool, shape (len(labels), H, W), or None
        Where each labelled object lies.
    distractor_masks : array of bool, shape (n, H, W), or None
        Where things lie that belong to no class.
    note : str
        What had to be done to read the image ("converted from CMYK"), or "".
    """

    name: str
    image: NDArray[np.uint8]
    labels: tuple[int, ...] = ()
    masks: NDArray[np.bool_] | None = None
    distractor_masks: NDArray[np.bool_] | None = None
    note: str = ""


@runtime_checkable
class Dataset(Protocol):
    """A finite, ordered collection of samples; reading one touches no other."""

    @property
    def categories(self) -> Sequence[str]:
        """Names of the classes, by label; empty where they are the model's own."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """Read sample `index`; `UnreadableImage` where it cannot be read."""

    def name(self, index: int) -> str:
        """Name of sample `index`, without reading it."""

    def digest(self) -> str:
        """SHA-256 hex digest of what the samples are made of."""
