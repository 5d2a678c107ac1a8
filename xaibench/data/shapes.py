"""Images of textured shapes with known masks, drawn from (seed, index) alone and never stored.

Background, objects and distractors take their textures from one distribution, so that only the outline tells the class.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.data.outlines import CLASSES
from xaibench.data.samples import Sample
from xaibench.data.scene import scene
from xaibench.names import unknown

GENERATOR_VERSION = "shapes-1"
"""Changes whenever the pixels of a sample do."""

VARIANTS = ("single", "pair", "mosaic")
MINIMUM_SIZE_PX = 32


@dataclass(frozen=True)
class Shapes:
    """Textured shapes on textured backgrounds, with masks of the objects and of the distractors.

    Sample `index` depends on `seed`, `variant`, `size` and `index` alone: not on `n`, the order of reading, the process
    or any global random state. Each run of eight indices holds every class once (as its principal class).

    Parameters
    ----------
    n : int
        Number of samples, at least 1.
    seed : int
        At least 0.
    variant : {"single", "pair", "mosaic"}
        ``single``: one object, two to four distractors. ``pair``: two objects of different classes, two or three
        distractors. ``mosaic``: four singles of different classes in a 2 × 2 grid, labels and masks in reading
        order (top left, top right, bottom left, bottom right); the image is `2 * size` pixels wide and high.
    size : int
        Side of one scene in pixels, at least 32.

    Raises
    ------
    ValueError
        If an argument is out of range.
    UnknownName
        If there is no such variant, with the nearest name.

    Examples
    --------
    >>> sample = Shapes(n=8, seed=0)[3]
    >>> sample.image.shape, sample.masks.shape
    ((128, 128, 3), (1, 128, 128))
    """

    n: int
    seed: int = 0
    variant: str = "single"
    size: int = 128

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is the number of samples and must be at least 1, not {self.n}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if self.size < MINIMUM_SIZE_PX:
            raise ValueError(f"size must be at least {MINIMUM_SIZE_PX} pixels, not {self.size}: shapes would blur")
        if self.variant not in VARIANTS:
            raise unknown("variant", self.variant, VARIANTS)

    @property
    def categories(self) -> Sequence[str]:
        """Names of the classes, by label."""
        return tuple(CLASSES)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Sample:
        """Draw sample `index`; a negative one counts from the end.

        Raises
        ------
        IndexError
            If `index` is not below `n`.
        """
        index = self._position(index)
        labels = self._labels(index)
        if self.variant == "mosaic":
            tiles = [scene(self._rng(index, tile), labels[tile : tile + 1], self.size) for tile in range(4)]
            image, masks, distractors = _mosaic(tiles)
        else:
            image, masks, distractors = scene(self._rng(index), labels, self.size)
        return Sample(self.name(index), image, labels, masks, distractors)

    def name(self, index: int) -> str:
        """Name of sample `index`, such as ``single-0-000003``: variant, seed and index."""
        return f"{self.variant}-{self.seed}-{self._position(index):06d}"

    def label(self, index: int) -> int:
        """Principal class of sample `index`, without drawing it."""
        return self._labels(self._position(index))[0]

    def digest(self) -> str:
        """SHA-256 hex digest of the settings, the generator's version and the pixels of three samples.

        Another machine's Fourier transform may round a pixel the other way and so give another digest.
        """
        settings = f"{GENERATOR_VERSION} n={self.n} seed={self.seed} variant={self.variant} size={self.size}"
        digest = hashlib.sha256(settings.encode())
        for index in sorted({0, self.n // 2, self.n - 1}):
            digest.update(self[index].image.tobytes())
        return digest.hexdigest()

    def _position(self, index: int) -> int:
        """The index counted from the start; `IndexError` if there is no such sample."""
        position = index + self.n if index < 0 else index
        if not 0 <= position < self.n:
            raise IndexError(f"index {index} is out of range for {self.n} samples")
        return int(position)

    def _labels(self, index: int) -> tuple[int, ...]:
        """The principal class, from a shuffled block of all, then other classes at random."""
        block, place = divmod(index, len(CLASSES))
        principal = int(self._rng(block, stream="labels").permutation(len(CLASSES))[place])
        n_others = {"single": 0, "pair": 1, "mosaic": 3}[self.variant]
        if n_others == 0:
            return (principal,)
        others = [label for label in range(len(CLASSES)) if label != principal]
        chosen = self._rng(index, stream="others").permutation(others)[:n_others]
        return (principal, *(int(label) for label in chosen))

    def _rng(self, *position: int, stream: str = "scene") -> np.random.Generator:
        """Independent generator for one position of one stream."""
        entropy = [self.seed, VARIANTS.index(self.variant), ("scene", "labels", "others").index(stream), *position]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _mosaic(
    tiles: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Join four scenes into a 2 × 2 grid in reading order; each mask keeps its place in the grid."""
    images = [image for image, _, _ in tiles]
    image = np.concatenate([np.concatenate(images[:2], axis=1), np.concatenate(images[2:], axis=1)])
    size = len(images[0])

    def placed(masks: NDArray[np.bool_], tile: int) -> NDArray[np.bool_]:
        row, column = divmod(tile, 2)
        whole = np.zeros((len(masks), 2 * size, 2 * size), dtype=bool)
        whole[:, row * size : (row + 1) * size, column * size : (column + 1) * size] = masks
        return whole

    masks = np.concatenate([placed(masks, tile) for tile, (_, masks, _) in enumerate(tiles)])
    distractors = np.concatenate([placed(masks, tile) for tile, (_, _, masks) in enumerate(tiles)])
    return image, masks, distractors
