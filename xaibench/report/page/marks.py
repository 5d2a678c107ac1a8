"""Shapes that tell arms apart without colour: matplotlib's markers as SVG paths around (0, 0)."""

from collections.abc import Iterable, Mapping

from xaibench.report.figures.style import ArmStyle
from xaibench.report.labels import Arm

MARKS = {
    "o": "M-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z",
    "s": "M-3.6,-3.6h7.2v7.2h-7.2z",
    "D": "M0,-5L5,0L0,5L-5,0z",
    "^": "M0,-4.8L4.6,3.6H-4.6z",
    "v": "M0,4.8L4.6,-3.6H-4.6z",
    "P": "M-1.7,-4.6h3.4v2.9h2.9v3.4h-2.9v2.9h-3.4v-2.9h-2.9v-3.4h2.9z",
    "X": "M-4.4,-2.2L-2.2,-4.4L0,-2.2L2.2,-4.4L4.4,-2.2L2.2,0L4.4,2.2L2.2,4.4L0,2.2L-2.2,4.4L-4.4,2.2L-2.2,0z",
    "<": "M-4.8,0L3.6,-4.6V4.6z",
}


def mark_of(style: ArmStyle) -> int:
    """Number of an arm's shape among `MARKS`; a circle's for a marker that has none."""
    names = list(MARKS)
    return names.index(style.marker) if style.marker in names else 0


def marks_of(styles: Mapping[Arm, ArmStyle], numbers: Mapping[Arm, int]) -> dict[int, int]:
    """Shape of each arm by the arm's number."""
    return {numbers[arm]: mark_of(style) for arm, style in styles.items()}


def shapes(used: Iterable[int]) -> list[tuple[int, str]]:
    """Numbers and paths of the shapes in use."""
    paths = list(MARKS.values())
    return [(number, paths[number]) for number in sorted(set(used))]
