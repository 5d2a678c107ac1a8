"""Geometry of the page's charts of the sanity checks: heatmap, bars of single modules, pairs of bars."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.figures.data_randomization import BARS
from xaibench.report.figures.sanity_heatmap import cell_colour, heat_values, lowest
from xaibench.report.labels import Arm
from xaibench.report.page.charts import rounded
from xaibench.report.sanity.calibration import Band
from xaibench.report.summaries import MeanLine
from xaibench.report.wording import fixed, interval_text

CELL, ROW = 30, 20
_LETTER = 6.6  # widths of a letter at the size of labels


@dataclass(frozen=True)
class HeatCell:
    """One cell: `colour` is "" where the value is undefined."""

    x: float
    text: str
    colour: str
    dark: bool
    title: str


@dataclass(frozen=True)
class HeatChart:
    """Rows of (label, y, cells); columns of (name, x)."""

    title: str
    left: float
    width: float
    height: float
    bottom: float
    columns: list[tuple[str, float]]
    rows: list[tuple[str, float, list[HeatCell]]]


@dataclass(frozen=True)
class Bar:
    """One bar from the zero line, with its interval; what is undefined has no height and says so in its title."""

    x: float
    y: float
    height: float
    low: float | None
    high: float | None
    name: str
    title: str


@dataclass(frozen=True)
class BarChart:
    """Bars of one arm; `band` is the range of unrelated maps as (y, height), None where unknown."""

    arm: int
    label: str
    width: float
    zero: float
    bottom: float
    height: float
    ticks: list[tuple[float, str]]
    bars: list[Bar]
    band: tuple[float, float] | None


@dataclass(frozen=True)
class PairBar:
    """One of the two bars of an arm."""

    kind: str
    x: float
    width: float
    y: float
    low: float | None
    high: float | None
    title: str


@dataclass(frozen=True)
class PairChart:
    """Pairs of bars, an arm a row: rows of (label, y, bars)."""

    title: str
    left: float
    height: float
    bottom: float
    ticks: list[tuple[float, str]]
    rows: list[tuple[str, float, list[PairBar]]]


def heat_chart(
    lines: Mapping[Arm, MeanLine], *, modules: Sequence[str], labels: Mapping[Arm, str], title: str
) -> HeatChart:
    """Place the mean similarity of each arm (rows) after each step but the first, the trained model (columns)."""
    values = heat_values(lines, len(modules))
    low, left = lowest(values), 12 + _LETTER * max(len(labels[arm]) for arm in lines)
    rows = []
    for i, (arm, row) in enumerate(zip(lines, values, strict=True)):
        cells = [_cell(float(value), left + CELL * j, low, labels[arm], modules[j + 1]) for j, value in enumerate(row)]
        rows.append((labels[arm], float(ROW * i), cells))
    bottom = float(ROW * len(rows))
    columns = [(name, left + CELL * (j + 0.5)) for j, name in enumerate(modules[1:])]
    height = bottom + 12 + 5.6 * max(len(name) for name in modules)
    return HeatChart(title, left, left + CELL * len(columns) + 2, height, bottom, columns, rows)


def _cell(value: float, x: float, low: float, label: str, module: str) -> HeatCell:
    if not math.isfinite(value):
        return HeatCell(x, "", "", False, f"{label}, {module}: undefined")
    dark = bool((value - low) / (1 - low) < 0.55)
    return HeatCell(x, fixed(value), cell_colour(value, low), dark, f"{label}, {module}: {fixed(value, 3)}")


def bar_charts(
    lines: Mapping[Arm, MeanLine],
    *,
    modules: Sequence[str],
    numbers: Mapping[Arm, int],
    labels: Mapping[Arm, str],
    bands: Mapping[Arm, Band],
) -> list[BarChart]:
    """Place a bar for each module, a chart for each arm, all on one scale."""
    low = min(0.0, *(float(np.nanmin(part)) for line in lines.values() for part in (line.mean,) if line.n_images))
    bottom, top = 92.0, 6.0

    def y_at(value: float) -> float:
        return round(bottom - (min(value, 1.0) - low) / (1 - low) * (bottom - top), 1)

    charts = []
    for arm, line in lines.items():
        bars = [
            _bar(int(x), float(mean), [float(end) for end in ends], modules[int(x)], y_at)
            for x, mean, *ends in zip(line.x, line.mean, line.low, line.high, strict=True)
            if x >= 1
        ]
        band = bands.get(arm)
        shaded = None
        if band is not None and band.pairs:
            upper, lower = y_at(band.high), y_at(max(band.low, low))
            shaded = (upper, round(lower - upper, 1))
        ticks = [(y_at(value), f"{value:g}") for value in (0.0, 0.5, 1.0)]
        height = bottom + 8 + 4.4 * max(len(name) for name in modules)
        width = 34.0 + 13 * (len(modules) - 1)
        charts.append(BarChart(numbers[arm], labels[arm], width, y_at(0.0), bottom, height, ticks, bars, shaded))
    return charts


def _bar(step: int, mean: float, ends: Sequence[float], name: str, y_at: Callable[[float], float]) -> Bar:
    x, zero = 32.0 + 13 * (step - 1), y_at(0.0)
    if not math.isfinite(mean):
        return Bar(x, zero, 0.0, None, None, name, f"{name}: undefined")
    low, high = (y_at(end) if math.isfinite(end) else None for end in ends)
    top, below = min(y_at(mean), zero), max(y_at(mean), zero)
    return Bar(x, top, round(below - top, 1), low, high, name, f"{name}: {interval_text(mean, *ends)}")


def pair_chart(table: pd.DataFrame, *, labels: Mapping[Arm, str], title: str) -> PairChart:
    """Place the bars of `data_randomization` of one similarity."""
    arms = list(zip(table["explainer"], table["layer"], strict=True))
    left = 12 + _LETTER * max(len(labels[arm]) for arm in arms)
    known = table[[f"{name}{end}" for name in BARS for end in ("", "_low")]].to_numpy(float)
    low = min(0.0, float(np.nanmin(known))) if np.isfinite(known).any() else 0.0

    def x_at(value: float) -> float:
        return round(left + (value - low) / (1 - low) * (400 - left), 1)

    rows = []
    for i, (arm, row) in enumerate(zip(arms, table.to_dict("records"), strict=True)):
        bars = [_pair_bar(name, row, 26.0 * i + 3 + 10 * k, x_at) for k, name in enumerate(BARS)]
        rows.append((labels[arm], 26.0 * i + 16, bars))
    bottom = 26.0 * len(rows) + 2
    ticks = [(x_at(value), f"{value:g}") for value in (0.0, 0.5, 1.0)]
    return PairChart(title, x_at(0.0), bottom + 22, bottom, ticks, rows)


def _pair_bar(name: str, row: Mapping[Hashable, Any], y: float, x_at: Callable[[float], float]) -> PairBar:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    words = BARS[name][0]
    if not math.isfinite(value):
        return PairBar(name, x_at(0.0), 0.0, y, None, None, f"{words}: undefined")
    left, right = (x_at(end) if rounded(end) is not None else None for end in (low, high))
    start, end = sorted((x_at(0.0), x_at(value)))
    return PairBar(name, start, round(end - start, 1), y, left, right, f"{words}: {interval_text(value, low, high)}")
