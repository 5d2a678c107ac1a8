"""The section of the page on whether the metrics can be trusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from xaibench.report.figures.metric_agreement import agreement_colour, agreement_matrix, agreement_metrics
from xaibench.report.labels import Arm
from xaibench.report.page.charts import LineChart, line_chart
from xaibench.report.trust.corruption import Reaction
from xaibench.report.trust.trust import Trust
from xaibench.report.trust.validity import Validity
from xaibench.report.wording import UNDEFINED, fixed, interval_text

WIDTH, RIGHT, LINE_PX, TOP = 340.0, 16.0, 22, 10


@dataclass(frozen=True)
class AgreementCell:
    """A correlation: text, ground, whether that is dark, and what the pointer tells."""

    text: str
    colour: str
    dark: bool
    title: str


@dataclass(frozen=True)
class ValidityDot:
    """A metric's agreement with the masks, placed; `x` is NaN where it is undefined."""

    label: str
    y: float
    x: float
    low: float
    high: float
    best: bool
    compared: bool
    text: str


@dataclass(frozen=True)
class ValidityChart:
    """One measure of the masks; `left` is where the labels end, `ticks` hold (x, text)."""

    title: str
    left: float
    height: float
    bottom: float
    ticks: list[tuple[float, str]]
    dots: list[ValidityDot]


@dataclass(frozen=True)
class TrustView:
    """What the section shows; each part is empty where the run does not have it."""

    sentences: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[AgreementCell | None]]] = field(default_factory=list)
    validity: list[ValidityChart] = field(default_factory=list)
    corruption: list[tuple[str, LineChart]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.rows or self.validity or self.corruption)


def trust_view(
    of: Trust, *, titles: Mapping[str, str], numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> TrustView:
    """Lay out the section.

    Parameters
    ----------
    of : Trust
    titles : mapping of metric to str
    numbers, labels : mapping
        Number for the style sheet, and name, of each arm.
    """
    metrics = agreement_metrics(of.agreement) if len(of.agreement) else []
    return TrustView(
        of.sentences(),
        [titles.get(metric, metric) for metric in metrics],
        _rows(of.agreement, metrics, titles) if metrics else [],
        [_validity_chart(one) for one in of.validity],
        _corruption_charts(of.reactions, numbers, labels),
    )


def _rows(
    table: pd.DataFrame, metrics: Sequence[str], titles: Mapping[str, str]
) -> list[tuple[str, list[AgreementCell | None]]]:
    square, told = agreement_matrix(table), _told(table)
    rows = []
    for y, name in enumerate(metrics):
        cells = [
            None if x == y else _cell(square[y, x], told[min(x, y), max(x, y)][y < x]) for x in range(len(metrics))
        ]
        rows.append((titles.get(name, name), cells))
    return rows


def _cell(value: float, title: str) -> AgreementCell:
    if not math.isfinite(value):
        return AgreementCell(UNDEFINED, "transparent", False, title)
    colour, dark = agreement_colour(value)
    return AgreementCell(fixed(value), colour, dark, title)


def _told(table: pd.DataFrame) -> dict[tuple[int, int], tuple[str, str]]:
    """What the pointer tells of each pair, by the places of its metrics: within images, and between means."""
    place = {metric: at for at, metric in enumerate(agreement_metrics(table))}
    return {
        (place[row["first"]], place[row["second"]]): (
            f"within an image {interval_text(row['spearman'], row['low'], row['high'], decimals=2)}, "
            f"{row['n_images']} images, {row['undefined']} undefined",
            f"between means {fixed(row['spearman_of_means'])}, spread over samples of the images "
            f"{fixed(row['means_spread_low'])} to {fixed(row['means_spread_high'])}, {row['n_arms']} maps",
        )
        for row in table.to_dict("records")
    }


def _validity_chart(of: Validity) -> ValidityChart:
    lows = [one.low for one in of.intervals.values() if math.isfinite(one.low)]
    lowest = -1.0 if min([0.0, *lows]) < -0.5 else -0.5 if min([0.0, *lows]) < 0 else 0.0
    bottom = float(TOP + LINE_PX * len(of.intervals))
    left = min(200.0, 7.5 * max(len(of.titles[name]) for name in of.intervals) + 18)

    def x_at(value: float) -> float:
        return round(left + (value - lowest) / (1 - lowest) * (WIDTH - left - RIGHT), 1)

    dots = []
    for place, (name, one) in enumerate(of.intervals.items()):
        low, high = (bound if math.isfinite(bound) else one.estimate for bound in (one.low, one.high))
        text = interval_text(one.estimate, one.low, one.high, decimals=2)
        x, start, end = (x_at(value) if math.isfinite(value) else math.nan for value in (one.estimate, low, high))
        best, compared = name in of.best.members, name in of.compared
        dots.append(ValidityDot(of.titles[name], TOP + LINE_PX * (place + 0.5), x, start, end, best, compared, text))
    ticks = [(x_at(tick), f"{tick:g}") for tick in np.arange(lowest, 1.01, 0.5).tolist()]
    return ValidityChart(of.title, left, bottom + 24, bottom, ticks, dots)


def _corruption_charts(
    found: Sequence[Reaction], numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> list[tuple[str, LineChart]]:
    charts = []
    for metric in dict.fromkeys(one.metric for one in found):
        own = [one for one in found if one.metric == metric and np.isfinite(one.line.mean).all()]
        if own:
            better = "higher" if own[0].higher_is_better else "lower"
            chart = line_chart(
                {one.start: one.line for one in own},
                numbers=numbers,
                labels=labels,
                title=own[0].title,
                x_label="share of the map's cells that changed places",
                y_label=f"{better} is better",
                notes={one.start: one.verdict for one in own},
            )
            charts.append((metric, chart))
    return charts
