"""Cost against quality as the page shows it: a scatter chart, placed, that the template writes as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from xaibench.report.cost.quality import CostQuality, cost_sentences
from xaibench.report.labels import Arm
from xaibench.report.wording import interval_text, number

WIDTH, HEIGHT = 440.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 88.0, 12.0, 42.0
"""Room around the chart; on the right for the names of the dearest arms."""


@dataclass(frozen=True)
class Spot:
    """One arm, placed: its number for the style sheet, its mark, the ends of its interval, and what it says."""

    arm: int
    label: str
    x: float
    y: float
    low: float
    high: float
    on_front: bool
    text: str


@dataclass(frozen=True)
class ScatterChart:
    """One metric against cost; `front` is the path of the steps between the arms that nobody beats."""

    title: str
    text: str
    cost_of: str
    bottom: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    spots: list[Spot]
    front: str


def cost_quality_view(
    found: Sequence[CostQuality], *, numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> list[ScatterChart]:
    """Place the charts, one a metric.

    Parameters
    ----------
    found : sequence of CostQuality
    numbers, labels : mapping
        Number for the style sheet, and name, of each arm.
    """
    return [_chart(one, numbers=numbers, labels=labels) for one in found]


def _chart(of: CostQuality, *, numbers: Mapping[Arm, int], labels: Mapping[Arm, str]) -> ScatterChart:
    ends = [value for point in of.points for value in (point.low, point.mean, point.high) if math.isfinite(value)]
    x_ticks, y_ticks = _ticks([point.milliseconds for point in of.points]), _ticks(ends)
    bottom = HEIGHT - BOTTOM

    def x_at(value: float) -> float:
        return round(LEFT + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - LEFT - RIGHT), 1)

    def y_at(value: float) -> float:
        return round(bottom - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - TOP), 1)

    spots = [
        Spot(
            numbers[point.arm],
            labels[point.arm],
            x_at(point.milliseconds),
            y_at(point.mean),
            y_at(point.low if math.isfinite(point.low) else point.mean),
            y_at(point.high if math.isfinite(point.high) else point.mean),
            point.on_front,
            f"{number(point.milliseconds, decimals=2)} ms, {interval_text(point.mean, point.low, point.high)}",
        )
        for point in of.points
    ]
    front = [spot for spot in spots if spot.on_front]
    steps = f"M{front[0].x},{front[0].y}" + "".join(f" H{spot.x} V{spot.y}" for spot in front[1:])
    better = "higher" if of.scores.higher_is_better else "lower"
    return ScatterChart(
        f"{of.scores.title}: {better} is better",
        " ".join(cost_sentences([of])),
        of.cost_of,
        bottom,
        [(x_at(tick), f"{tick:g}") for tick in x_ticks],
        [(y_at(tick), f"{tick:g}") for tick in y_ticks],
        spots,
        f"{steps} H{max(spot.x for spot in spots)}",
    )


def _ticks(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [round(float(tick), 10) for tick in ticks]
