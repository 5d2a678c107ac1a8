"""One scene: objects and distractors placed apart on a textured background.

Contrast between two textures is asked for in a way that treats both alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.data.outlines import CLASSES, DISTRACTORS, Outline
from xaibench.data.textures import Texture, random_texture

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
        placed = [thing for thing in objects if thing is not None]
        if len(placed) < len(labels):
            continue
        kinds = rng.integers(len(fillers), size=n_distractors)
        others = [_place(rng, fillers[kind], DISTRACTOR_AREA, occupied) for kind in kinds]
        distractors = [thing for thing in others if thing is not None]
        if len(distractors) == n_distractors:
            return placed, distractors


def _place(
    rng: np.random.Generator,
    build: Callable[[np.random.Generator], Outline],
    area_range: tuple[float, float],
    occupied: NDArray[np.bool_],
    n_draws: int = 4,
    n_places: int = 10,
) -> Thing | None:
    """Draw a thing of random build, size, angle and place, and mark it and its surroundings as occupied.

    The linear size is uniform, between the square roots of the ends of `area_range`. `None` if `n_draws` things
    found no free place among `n_places` each.
    """
    size = len(occupied)
    gap_px = GAP_FRACTION * size
    for _ in range(n_draws):
        outline = build(rng)
        scale = rng.uniform(area_range[0] ** 0.5, area_range[1] ** 0.5) * size / outline.area**0.5
        distance = _distances(outline, scale, rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5, 2))
        surroundings = distance < gap_px
        part = _span(surroundings, axis=0), _span(surroundings, axis=1)
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


def _span(present: NDArray[np.bool_], *, axis: int) -> slice:
    """From the first to the last row (axis 0) or column (axis 1) that holds a true pixel."""
    positions = np.flatnonzero(present.any(axis=1 - axis))
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
