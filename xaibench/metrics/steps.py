"""How many pixels are changed at each point of a curve."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@runtime_checkable
class Steps(Protocol):
    """Numbers of changed pixels for an image of so many, ascending, from 0 to all."""

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Return the counts."""
        ...


@dataclass(frozen=True)
class PixelSteps:
    """So many pixels a step; the last step takes what is left (RISE).

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
        if self.n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {self.n_steps}")

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Count 0, n_pixels / n_steps, …, all, rounded down."""
        n_steps = min(self.n_steps, n_pixels)
        return tuple(i * n_pixels // n_steps for i in range(n_steps + 1))
