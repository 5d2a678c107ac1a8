"""How many pixels, or regions, are changed at each point of a curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from xaibench.names import pick, unknown


@runtime_checkable
class Steps(Protocol):
    """Numbers of changed pixels or regions for an image of so many, ascending; most rules go from 0 to all."""

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Return the counts."""
        ...


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} must lie in (0, 1], got {value}")


@dataclass(frozen=True)
class PixelSteps:
    """So many pixels a step; the last step takes what is left (RISE, LATEC, Quantus).

    Attributes
    ----------
    step_px : int
        Pixels per step, at least 1; more than the image has means one step.
    """

    step_px: int

    def __post_init__(self) -> None:
        if self.step_px < 1:
            raise ValueError(f"step_px must be at least 1 pixel, got {self.step_px}")

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, step, 2 step, …, all: ceil(n_pixels / step) + 1 points."""
        return (*range(0, n_pixels, self.step_px), n_pixels)


@dataclass(frozen=True)
class EqualSteps:
    """So many steps, equal up to one pixel, whatever the image's size.

    Attributes
    ----------
    n_steps : int
        At least 1; an image with fewer pixels than steps gets one step per pixel.
    """

    n_steps: int

    def __post_init__(self) -> None:
        _at_least("n_steps", self.n_steps, 1)

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, n_pixels / n_steps, …, all, rounded down."""
        n_steps = min(self.n_steps, n_pixels)
        return tuple(i * n_pixels // n_steps for i in range(n_steps + 1))


@dataclass(frozen=True)
class ChunkSteps:
    """At most so many steps of ceil(pixels / n_steps) pixels; the last takes what is left (torch-cam).

    Where `n_steps` does not divide the image there can be fewer steps: 10 pixels in 6 steps are 5 steps of 2.

    Attributes
    ----------
    n_steps : int
        At least 1.
    """

    n_steps: int = 20

    def __post_init__(self) -> None:
        _at_least("n_steps", self.n_steps, 1)

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, chunk, 2 chunk, …, all."""
        return PixelSteps(-(-n_pixels // self.n_steps))(n_pixels)


@dataclass(frozen=True)
class LinspaceSteps:
    """Evenly spaced counts up to a share of the image, each cut down to a whole pixel (xplique).

    A count occurs twice where the image has fewer pixels than steps: a point counts as often as it occurs.

    Attributes
    ----------
    n_steps : int
        At least 1.
    max_fraction : float
        The curve ends at floor(pixels · max_fraction) pixels; xplique's ``max_percentage_perturbed``.
    """

    n_steps: int = 10
    max_fraction: int | float = 1.0

    def __post_init__(self) -> None:
        _at_least("n_steps", self.n_steps, 1)
        _share("max_fraction", self.max_fraction)

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, …, floor(n_pixels · max_fraction): n_steps + 1 points."""
        last = int(np.floor(n_pixels * self.max_fraction))
        return tuple(np.linspace(0, last, self.n_steps + 1, dtype=np.int64).tolist())


@dataclass(frozen=True)
class PointSteps:
    """So many *points*; the last one jumps from (n_points - 2) steps to everything (pnpxai).

    With 10 points the steps are 10 % wide, 90 % is never seen and the last step is twice as wide.

    Attributes
    ----------
    n_points : int
        At least 2; pnpxai's ``n_steps``.
    """

    n_points: int = 10

    def __post_init__(self) -> None:
        _at_least("n_points", self.n_points, 2)

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, step, …, (n_points - 2) step, all, with step = floor(n_pixels / n_points)."""
        step = n_pixels // self.n_points
        return (*(i * step for i in range(self.n_points - 1)), n_pixels)


Counted = Literal["changed", "unchanged"]


@dataclass(frozen=True)
class FractionSteps:
    """Evenly spaced shares, each cut down to whole pixels in floating point (AttriBench).

    Attributes
    ----------
    n_points : int
        At least 2.
    start, stop : float
        First and last share of changed pixels.
    counted : {"changed", "unchanged"}
        Which pixels are counted and cut down. AttriBench counts the masked ones, so in an insertion, whose masked
        share descends, the inserted pixels are what is left.
    """

    n_points: int = 100
    start: int | float = 0.0
    stop: int | float = 1.0
    counted: Counted = "changed"

    def __post_init__(self) -> None:
        _at_least("n_points", self.n_points, 2)
        if not 0 <= self.start < self.stop <= 1:
            raise ValueError(f"shares must satisfy 0 <= start < stop <= 1, got {self.start} and {self.stop}")
        if self.counted not in ("changed", "unchanged"):
            raise unknown("pixels to count", self.counted, ("changed", "unchanged"))

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count floor(share · n_pixels), or what the unchanged ones so counted leave."""
        if self.counted == "changed":
            counts = (np.linspace(self.start, self.stop, self.n_points) * n_pixels).astype(np.int64)
        else:
            unchanged = np.linspace(1 - self.start, 1 - self.stop, self.n_points)
            counts = n_pixels - (unchanged * n_pixels).astype(np.int64)
        return tuple(counts.tolist())


Spacing = Literal["log", "linear"]


@dataclass(frozen=True)
class SingleSteps:
    """One more at each step: every region, or the first so many of them.

    Attributes
    ----------
    most : int or None
        Where to stop; None goes on until all are changed.
    """

    most: int | None = None

    def __post_init__(self) -> None:
        if self.most is not None:
            _at_least("most", self.most, 1)

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, 1, 2, …, at most `most`."""
        return tuple(range((n_pixels if self.most is None else min(self.most, n_pixels)) + 1))


@dataclass(frozen=True)
class SpacedSteps:
    """0, and so many counts from 1 to all, in equal ratios or equal distances, rounded down; equal ones fall together.

    Attributes
    ----------
    n_points : int
        At least 2.
    spacing : {"log", "linear"}
        Equal ratios, or equal distances.
    """

    n_points: int = 15
    spacing: Spacing = "log"

    def __post_init__(self) -> None:
        _at_least("n_points", self.n_points, 2)
        if self.spacing not in get_args(Spacing):
            raise unknown("spacing", self.spacing, get_args(Spacing))

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, 1, …, n_pixels."""
        last = self.n_points - 1
        counts = {0, n_pixels}
        for i in range(last):
            if self.spacing == "linear":
                counts.add((last + i * (n_pixels - 1)) // last)
            else:
                counts.add(int(n_pixels ** (i / last) * (1 + 1e-12)))  # 25 ** 0.5 is 5, whatever the rounding
        return tuple(sorted(counts))


STEPS: dict[str, type] = {
    "pixels": PixelSteps,
    "equal": EqualSteps,
    "chunks": ChunkSteps,
    "linspace": LinspaceSteps,
    "points": PointSteps,
    "fractions": FractionSteps,
    "single": SingleSteps,
    "spaced": SpacedSteps,
}


def named_steps(steps: Mapping[str, Any] | Steps) -> Steps:
    """Make a step rule of its name and settings, as a configuration has them; an instance is returned as it is.

    Raises
    ------
    ValueError
        If the rule is unknown, or does not take a setting.
    """
    if not isinstance(steps, Mapping):
        return steps
    settings = dict(steps)
    kind = pick("step rule", settings.pop("name", ""), STEPS)
    try:
        rule: Steps = kind(**settings)
    except TypeError as error:
        raise ValueError(f"steps={steps['name']} does not take these settings: {error}") from error
    return rule
