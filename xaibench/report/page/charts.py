"""Geometry of the page's own charts: what the templates write as inline SVG, themed by the page's style sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from xaibench.report.labels import Arm
from xaibench.report.scores import MetricScores
from xaibench.report.summaries import MeanLine
from xaibench.report.wording import interval_text, number

WIDTH, HEIGHT = 440.0, 290.0
LEFT, RIGHT, TOP = 42.0, 10.0, 10.0


@dataclass(frozen=True)
class Series:
    """One line: its arm's number for the style sheet, its path, its band, and what the key says of it.

    `places` holds (position along the line, x, y) of its few markers, which tell lines apart without colour.
    """

    arm: int
    label: str
    path: str
    band: str
    note: str = ""
    places: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """An upright bar on the right of a line chart: the range of something else that belongs to an arm."""

    arm: int
    x: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class LineChart:
    """A line chart, placed; `hover` is what the page's script needs to tell values under the pointer.

    `right` is where its lines end; beyond are the `marks`, on a ground of their own.
    """

    title: str
    x_label: str
    y_label: str
    bottom: float
    height: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    series: list[Series]
    hover: dict[str, Any] = field(repr=False)
    slanted: bool = False
    right: float = WIDTH - RIGHT
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Dot:
    """One arm's estimate and interval, placed; `x` is NaN where it is undefined."""

    arm: int
    label: str
    y: float
    x: float
    low: float
    high: float
    best: bool
    text: str


@dataclass(frozen=True)
class DotChart:
    """One metric's estimates, placed; `left` is where the labels end."""

    metric: str
    title: str
    direction: str
    left: float
    height: float
    bottom: float
    ticks: list[tuple[float, str]]
    dots: list[Dot]


def line_chart(
    lines: Mapping[Arm, MeanLine],
    *,
    numbers: Mapping[Arm, int],
    labels: Mapping[Arm, str],
    title: str,
    x_label: str,
    y_label: str,
    names: Sequence[str] = (),
    notes: Mapping[Arm, str] | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    ranges: Mapping[Arm, tuple[float, float]] | None = None,
) -> LineChart:
    """Place mean lines and their bands.

    Parameters
    ----------
    lines : mapping of arm to MeanLine
        In the order of the key.
    numbers, labels : mapping
        Number for the style sheet, and name, of each arm.
    title, x_label, y_label : str
        Words around the chart.
    names : sequence of str
        Names of the places on the x axis, where it counts things; slanted below it.
    notes : mapping of arm to str, optional
        What the key says before an arm's name.
    lowest, highest : float, optional
        Where the y axis starts, and what it reaches at least; by the data where not given.
    ranges : mapping of arm to (float, float), optional
        Ends of the bar of an arm on the right.
    """
    ranges = ranges or {}
    xs = np.concatenate([line.x for line in lines.values()])
    parts = [part for line in lines.values() for part in (line.mean, line.low, line.high)]
    ys = _finite(np.concatenate([*parts, *(np.asarray(ends, dtype=float) for ends in ranges.values())]))
    ticks = _ticks(
        min(float(ys.min()), 0.0) if lowest is None else lowest,
        max(ys.max(), -math.inf if highest is None else highest),
    )
    height = HEIGHT + (40 if names else 0)
    bottom = height - (86 if names else 42)
    x_range, y_range = (float(xs.min()), float(xs.max())), (ticks[0], ticks[-1])
    right = WIDTH - RIGHT - (7.0 * len(ranges) + 10 if ranges else 0)

    def x_at(value: Any) -> Any:
        return LEFT + (np.asarray(value) - x_range[0]) / ((x_range[1] - x_range[0]) or 1) * (right - LEFT)

    def y_at(value: Any) -> Any:
        return bottom - (np.asarray(value) - y_range[0]) / ((y_range[1] - y_range[0]) or 1) * (bottom - TOP)

    series = [
        Series(
            numbers[arm],
            labels[arm],
            _path(x_at(line.x), y_at(line.mean)),
            _band(x_at(line.x), y_at(line.low), y_at(line.high)),
            (notes or {}).get(arm, ""),
            _places(np.asarray(x_at(line.x)), np.asarray(y_at(line.mean)), numbers[arm]),
        )
        for arm, line in lines.items()
    ]
    places = enumerate(names) if names else ((x, f"{x:g}") for x in _ticks(*x_range))
    return LineChart(
        title=title,
        x_label=x_label,
        y_label=y_label,
        bottom=bottom,
        height=height,
        x_ticks=[(round(float(x_at(x)), 1), text) for x, text in places],
        y_ticks=[(round(float(y_at(y)), 1), f"{y:g}") for y in ticks],
        series=series,
        hover={
            "x": [rounded(x) for x in max((line.x for line in lines.values()), key=len)],
            "names": list(names),
            "box": [LEFT, right, TOP, bottom],
            "range": [*x_range, *y_range],
            "lines": [
                {"arm": numbers[arm], "label": labels[arm], "y": [rounded(y) for y in line.mean]}
                for arm, line in lines.items()
            ],
        },
        slanted=bool(names),
        right=right,
        marks=[
            Mark(
                numbers[arm],
                right + 10 + 7.0 * place,
                round(float(y_at(low)), 1),
                round(float(y_at(high)), 1),
                f"{labels[arm]}, unrelated maps: {number(low)} to {number(high)}",
            )
            for place, (arm, (low, high)) in enumerate(ranges.items())
        ],
    )


def dot_chart(
    scores: MetricScores, *, arms: Sequence[Arm], numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> DotChart | None:
    """Place the estimates of one metric, an arm a line; None where none is defined."""
    found = {arm: scores.intervals[arm] for arm in arms if arm in scores.intervals}
    values = _finite(np.array([[i.low, i.estimate, i.high] for i in found.values()], dtype=float).ravel())
    if not len(values):
        return None
    ticks = _ticks(values.min(), values.max(), n=4)
    longest = max(len(labels[arm]) for arm in found)
    left, line = float(min(max(88, 7 * longest + 14), 180)), 22
    bottom = TOP + line * len(found)

    def x_at(value: float) -> float:
        return round(left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (340 - left - 16), 1)

    dots = [
        Dot(
            numbers[arm],
            labels[arm],
            TOP + line * (place + 0.5),
            x_at(interval.estimate),
            x_at(interval.low if math.isfinite(interval.low) else interval.estimate),
            x_at(interval.high if math.isfinite(interval.high) else interval.estimate),
            arm in scores.best.members,
            interval_text(interval.estimate, interval.low, interval.high),
        )
        for place, (arm, interval) in enumerate(found.items())
    ]
    direction = {True: "higher is better →", False: "← lower is better", None: ""}[scores.higher_is_better]
    return DotChart(
        scores.metric, scores.title, direction, left, bottom + 24, bottom, [(x_at(t), f"{t:g}") for t in ticks], dots
    )


def rounded(value: float, digits: int = 4) -> float | None:
    """Shorten a number for JSON, which knows no NaN."""
    return round(float(value), digits) if math.isfinite(value) else None


def _ticks(low: float, high: float, *, n: int = 5) -> list[float]:
    if high <= low:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(n, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [round(float(tick), 10) for tick in ticks]


def _path(x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> str:
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if math.isfinite(b)]
    return "M" + " L".join(points) if points else ""


def _places(x: Float[ndarray, " n"], y: Float[ndarray, " n"], arm: int) -> list[tuple[int, float, float]]:
    """Where a line has its markers: about five, shifted from arm to arm so that they do not hide each other."""
    start = (arm % 4) / 4 if len(x) > 12 else 0.0
    wanted = np.unique(np.rint((np.arange(6) + start) * (len(x) - 1) / 5).astype(int))
    return [
        (int(i), round(float(x[i]), 1), round(float(y[i]), 1)) for i in wanted if i < len(x) and math.isfinite(y[i])
    ]


def _band(x: Float[ndarray, " n"], low: Float[ndarray, " n"], high: Float[ndarray, " n"]) -> str:
    kept = np.isfinite(low) & np.isfinite(high)
    if not kept.any():
        return ""
    there = _path(x[kept], high[kept])
    return there + " L" + _path(x[kept][::-1], low[kept][::-1])[1:] + " Z"


def _finite(values: Float[ndarray, " n"]) -> Float[ndarray, " finite"]:
    return values[np.isfinite(values)]
