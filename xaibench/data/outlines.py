"""Outlines of the shape classes and of the distractors, as distances from a boundary in the plane.

A distance is negative inside, positive outside, and right near the boundary, which is all that antialiasing needs.
Every outline has a random build (how thick a ring, how sharp a star) and none has a preferred side: turned or
mirrored, a shape keeps its class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Outline:
    """A closed shape around the origin.

    Attributes
    ----------
    distance : callable
        From x and y (arrays of one shape) to the signed distance from the boundary, in the same unit.
    area : float
        In squared units.
    radius : float
        No point of the shape lies farther from the origin.
    """

    distance: Callable[[Plane, Plane], Plane]
    area: float
    radius: float


def polygon(vertices: NDArray[np.float64]) -> Outline:
    """Polygon whose whole boundary is seen from the origin.

    Parameters
    ----------
    vertices : array, shape (n, 2)
        Corners x, y in order of increasing angle around the origin, which lies inside.

    Returns
    -------
    Outline

    Raises
    ------
    ValueError
        If some edge is not seen from the origin.
    """
    start = vertices[np.argsort(np.arctan2(vertices[:, 1], vertices[:, 0]))]
    end = np.roll(start, -1, axis=0)
    cross = start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]
    if (cross <= 0).any():
        raise ValueError("the origin does not see every edge of this polygon; shift it or give convex corners")
    edge = end - start
    normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.linalg.norm(edge, axis=1, keepdims=True)
    offsets = (normals * start).sum(axis=1).astype(np.float32)
    normals = normals.astype(np.float32)
    angles = np.arctan2(start[:, 1], start[:, 0]).astype(np.float32)

    def distance(x: Plane, y: Plane) -> Plane:
        sector = np.searchsorted(angles, np.arctan2(y, x), side="right") - 1  # -1 is the last edge, which wraps round
        return normals[sector, 0] * x + normals[sector, 1] * y - offsets[sector]

    return Outline(distance, float(cross.sum() / 2), float(np.linalg.norm(start, axis=1).max()))


def radial(radii: NDArray[np.float64]) -> Outline:
    """Polygon with the given distances from the origin at equally spaced angles."""
    return polygon(_at_angles(radii, 2 * np.pi * np.arange(len(radii)) / len(radii)))


def disk(rng: np.random.Generator) -> Outline:
    """Filled circle."""
    return Outline(lambda x, y: np.hypot(x, y) - 1, np.pi, 1.0)


def square(rng: np.random.Generator) -> Outline:
    """Square."""
    return radial(np.ones(4))


def triangle(rng: np.random.Generator) -> Outline:
    """Isosceles triangle with an apex of 50 to 70 degrees."""
    half_apex = np.radians(rng.uniform(25, 35))
    height = 1.5
    half_base = height * np.tan(half_apex)
    return polygon(np.array([[0.0, 1.0], [-half_base, 1 - height], [half_base, 1 - height]]))


def star(rng: np.random.Generator) -> Outline:
    """Star of five points; the inner corners lie at 0.38 to 0.5 of the outer radius."""
    return radial(np.tile([1.0, rng.uniform(0.38, 0.5)], 5))


def cross(rng: np.random.Generator) -> Outline:
    """Plus sign with four equal arms, 0.5 to 0.75 times as wide as they are long from the centre."""
    half_width = rng.uniform(0.25, 0.375)
    arm = np.array([[1.0, -half_width], [1.0, half_width], [half_width, half_width]])
    return polygon(np.concatenate([arm @ turn for turn in _quarter_turns()]))


def ring(rng: np.random.Generator) -> Outline:
    """Annulus; the hole has 0.45 to 0.65 of the outer radius."""
    hole = np.float32(rng.uniform(0.45, 0.65))

    def distance(x: Plane, y: Plane) -> Plane:
        radius = np.hypot(x, y)
        return np.maximum(radius - 1, hole - radius)

    return Outline(distance, float(np.pi * (1 - hole**2)), 1.0)


def crescent(rng: np.random.Generator) -> Outline:
    """Disk less a disk of 0.75 to 0.85 its radius, centred at 0.4 to 0.5 of it."""
    bite, shift = rng.uniform(0.75, 0.85), rng.uniform(0.4, 0.5)

    def distance(x: Plane, y: Plane) -> Plane:
        return np.maximum(np.hypot(x, y) - 1, np.float32(bite) - np.hypot(x - np.float32(shift), y))

    return Outline(distance, np.pi - _lens_area(1.0, bite, shift), 1.0)


def heart(rng: np.random.Generator) -> Outline:
    """Heart, from a well-known trigonometric curve, stretched by 0.9 to 1.1."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3 * rng.uniform(0.9, 1.1)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return polygon(np.stack([x, y], axis=1) / 17)


def irregular_polygon(rng: np.random.Generator) -> Outline:
    """Polygon of five to seven corners with uneven angles and radii."""
    n = int(rng.integers(5, 8))
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.25, 0.25, n)) / n
    radii = rng.permutation(np.linspace(0.5, 1.0, n) + rng.uniform(-0.05, 0.05, n))
    return polygon(_at_angles(radii, angles))


def blob(rng: np.random.Generator) -> Outline:
    """Smooth, clearly uneven lump: a circle with second to fourth harmonics."""
    t = 2 * np.pi * np.arange(48) / 48
    radii = np.ones(48)
    for order, amplitude in zip((2, 3, 4), rng.permutation((0.3, 0.2, 0.08)), strict=True):
        radii += amplitude * np.cos(order * t + rng.uniform(0, 2 * np.pi))
    return radial(radii)


def bar(rng: np.random.Generator) -> Outline:
    """Rectangle, 3 to 6 times as long as wide."""
    half_width = 1 / rng.uniform(3, 6)
    return polygon(np.array([[1, half_width], [-1, half_width], [-1, -half_width], [1, -half_width]]))


def wedge(rng: np.random.Generator) -> Outline:
    """Disk less a sector of 70 to 150 degrees."""
    half_angle = np.radians(rng.uniform(35, 75))
    sine, cosine = np.float32(np.sin(half_angle)), np.float32(np.cos(half_angle))

    def distance(x: Plane, y: Plane) -> Plane:
        return np.maximum(np.hypot(x, y) - 1, sine * x - cosine * np.abs(y))

    return Outline(distance, float(np.pi - half_angle), 1.0)


CLASSES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "disk": disk,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "ring": ring,
    "crescent": crescent,
    "heart": heart,
}
DISTRACTORS: dict[str, Callable[[np.random.Generator], Outline]] = {
    "polygon": irregular_polygon,
    "blob": blob,
    "bar": bar,
    "wedge": wedge,
}


def _at_angles(radii: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points x, y at the given radii and angles (radians)."""
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _quarter_turns() -> list[NDArray[np.float64]]:
    """Rotation matrices by 0, 90, 180 and 270 degrees."""
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return [np.linalg.matrix_power(turn, k) for k in range(4)]


def _lens_area(first: float, second: float, apart: float) -> float:
    """Area common to two circles that cross, from their radii and the distance of their centres."""
    to_chord = (apart**2 + first**2 - second**2) / (2 * apart)
    half_chord = (first**2 - to_chord**2) ** 0.5
    segments = first**2 * np.arctan2(half_chord, to_chord) + second**2 * np.arctan2(half_chord, apart - to_chord)
    return float(segments - apart * half_chord)
