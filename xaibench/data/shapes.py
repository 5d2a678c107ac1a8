"""Images of textured shapes with known masks, drawn from (seed, index) alone and never stored.

Background, objects and distractors take their textures from one distribution, and contrast between two textures is
asked for in a way that treats both alike, so that only the outline tells the class.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.data.outlines import CLASSES, DISTRACTORS, Outline
from xaibench.data.samples import Sample
from xaibench.data.textures import Texture, random_texture
from xaibench.names import unknown

GENERATOR_VERSION = "shapes-1"
"""Changes whenever the pixels of a sample do."""

VARIANTS = ("single", "pair", "mosaic")
MINIMUM_SIZE_PX = 32
MINIMUM_CONTRAST = 60.0
"""Least distance between the mean colours of a thing and of what it hides, in grey levels (RGB, Euclidean)."""
OBJECT_AREA = (0.03, 0.25)
"""Area of the object as a fraction of the image; a pair takes the lower half of this range."""
DISTRACTOR_AREA = (0.01, 0.08)
GAP_FRACTION = 0.016
"""Least distance between two things as a fraction of the side (2 pixels of 128)."""


@dataclass(frozen=True)
class Thing:
    """An object or a distractor, placed.

    Attributes
    ----------
    rows, columns : slice
        The part of the image that it fits in.
    coverage : array of float32, shape (rows, columns)
        Fraction of each pixel that it covers, in [0, 1].
    opacity : array of float32, shape (rows, columns)
        In [0, 1]; below one where the thing fades into the background.
    """

    rows: slice
    columns: slice
    coverage: NDArray[np.float32]
    opacity: NDArray[np.float32]

    def mask(self, size: int) -> NDArray[np.bool_]:
        """Pixels at least half covered: array of bool, shape (size, size)."""
        mask = np.zeros((size, size), dtype=bool)
        mask[self.rows, self.columns] = self.coverage >= 0.5
        return mask


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


def scene(
    rng: np.random.Generator, labels: Sequence[int], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw one scene.

    Parameters
    ----------
    rng : Generator
        All randomness comes from here.
    labels : sequence of int
        Classes of the objects, one or two.
    size : int
        Side in pixels.

    Returns
    -------
    image : array of uint8, shape (size, size, 3)
        RGB.
    masks : array of bool, shape (len(labels), size, size)
        Pixels of each object; nothing hides anything, so that all of them are visible.
    distractor_masks : array of bool, shape (n, size, size)
    """
    objects, distractors = _layout(rng, labels, size)
    background, first_fill = _contrasting_pair(rng, objects[0], size)
    canvas = background.crop(slice(None), slice(None))
    _paint(canvas, objects[0], first_fill)
    for thing in (*objects[1:], *distractors):
        _paint(canvas, thing, _contrasting_fill(rng, thing, background, size))
    image = np.ascontiguousarray(np.rint(canvas).astype(np.uint8).transpose(1, 2, 0))
    masks = np.stack([thing.mask(size) for thing in objects])
    return image, masks, np.stack([thing.mask(size) for thing in distractors])


def _layout(rng: np.random.Generator, labels: Sequence[int], size: int) -> tuple[list[Thing], list[Thing]]:
    """Place the objects, then the distractors, all apart; begin again when something finds no room."""
    least, most = OBJECT_AREA
    if len(labels) > 1:
        most = (least + most) / 2
    builders = list(CLASSES.values())
    fillers = list(DISTRACTORS.values())
    while True:
        occupied = np.zeros((size, size), dtype=bool)
        n_distractors = int(rng.integers(2, 5 if len(labels) == 1 else 4))
        objects = [_place(rng, builders[label], (least, most), occupied) for label in labels]
        if any(thing is None for thing in objects):
            continue
        kinds = rng.integers(len(fillers), size=n_distractors)
        distractors = [_place(rng, fillers[kind], DISTRACTOR_AREA, occupied) for kind in kinds]
        if all(thing is not None for thing in distractors):
            return objects, distractors


def _place(
    rng: np.random.Generator,
    build: Callable[[np.random.Generator], Outline],
    area_range: tuple[float, float],
    occupied: NDArray[np.bool_],
    n_draws: int = 4,
    n_places: int = 10,
) -> Thing | None:
    """Draw a thing of random build, size, angle and place, and mark it and its surroundings as occupied.

    The linear size is uniform, between the square roots of the ends of `area_range`. `None` if `n_draws` things found no
    free place among `n_places` each.
    """
    size = len(occupied)
    gap_px = GAP_FRACTION * size
    for _ in range(n_draws):
        outline = build(rng)
        scale = rng.uniform(area_range[0] ** 0.5, area_range[1] ** 0.5) * size / outline.area**0.5
        distance = _distances(outline, scale, rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5, 2))
        surroundings = distance < gap_px
        part = _span(surroundings.any(axis=1)), _span(surroundings.any(axis=0))
        distance, surroundings = distance[part], surroundings[part]
        height, width = distance.shape
        if height > size or width > size:
            continue
        for _ in range(n_places):
            top, left = int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))
            rows, columns = slice(top, top + height), slice(left, left + width)
            if not (occupied[rows, columns] & surroundings).any():
                occupied[rows, columns] |= surroundings
                return Thing(rows, columns, np.clip(0.5 - distance, 0, 1), _random_opacity(rng, height, width))
    return None


def _distances(outline: Outline, scale: float, angle: float, shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Signed distances in pixels over a square patch that the outline, scaled, turned and shifted, surely fits in."""
    reach = int(np.ceil(scale * outline.radius)) + 4
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    x, y = axis - np.float32(shift[0]), axis[:, None] - np.float32(shift[1])
    cosine, sine = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
    return outline.distance(cosine * x + sine * y, cosine * y - sine * x) * np.float32(scale)


def _span(present: NDArray[np.bool_]) -> slice:
    """From the first to the last position that is true."""
    positions = np.flatnonzero(present)
    return slice(int(positions[0]), int(positions[-1]) + 1)


def _random_opacity(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """One everywhere in four of ten cases; otherwise one side fades by 40 to 85 %."""
    strength = 0.0 if rng.random() < 0.4 else rng.uniform(0.4, 0.85)
    angle, begin = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.5)
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y[:, None]
    step = np.clip((along - np.float32(begin)) / np.float32(0.4), 0, 1)
    return 1 - np.float32(strength) * step * step * (3 - 2 * step)


def _contrasting_pair(rng: np.random.Generator, thing: Thing, size: int) -> tuple[Texture, Texture]:
    """Background and fill, drawn together until they differ enough where the thing lies.

    Both are drawn anew each time and the criterion does not change when they are exchanged, so neither can be told from
    the other.
    """
    while True:
        background, fill = random_texture(rng, size), random_texture(rng, size)
        if contrast(thing, fill, background) >= MINIMUM_CONTRAST:
            return background, fill


def _contrasting_fill(rng: np.random.Generator, thing: Thing, background: Texture, size: int) -> Texture:
    """A texture that differs enough from a given background: distributed as the first object's fill is, given it."""
    while True:
        fill = random_texture(rng, size)
        if contrast(thing, fill, background) >= MINIMUM_CONTRAST:
            return fill


def contrast(thing: Thing, fill: Texture, background: Texture) -> float:
    """Distance between the mean colours that a thing shows and hides, in grey levels (RGB, Euclidean)."""
    visible = thing.coverage * thing.opacity
    difference = fill.crop(thing.rows, thing.columns) - background.crop(thing.rows, thing.columns)
    return float(np.linalg.norm((difference * visible).sum(axis=(1, 2))) / thing.coverage.sum())


def _paint(canvas: NDArray[np.float32], thing: Thing, fill: Texture) -> None:
    """Blend a thing into the canvas, shape (3, size, size), in place."""
    part = canvas[:, thing.rows, thing.columns]
    part += thing.coverage * thing.opacity * (fill.crop(thing.rows, thing.columns) - part)


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
