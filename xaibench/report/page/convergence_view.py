"""What the page shows of "enough images?": widths of the intervals as they shrank, and how far the ranking settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xaibench.report.convergence import MetricConvergence, leaders_words
from xaibench.report.labels import Arm
from xaibench.report.page.charts import LineChart, line_chart
from xaibench.report.summaries import MeanLine
from xaibench.report.wording import capital, fixed

MOST = 2
"""Metrics with a chart: the first that rank arms."""


@dataclass(frozen=True)
class ConvergenceView:
    """One metric's chart of interval widths, its table of the ranking's stability, and what would part the leaders.

    `stability` holds a row for some numbers of images: how many, Kendall's tau with the final ranking with the range of
    90 % of the orders, and the share of samples with the same best arm.
    """

    metric: str
    title: str
    chart: LineChart
    stability: list[tuple[str, str, str]]
    words: str


def convergence_view(
    metrics: Sequence[MetricConvergence], *, numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> list[ConvergenceView]:
    """Place what the page shows of the first metrics.

    Parameters
    ----------
    metrics : sequence of MetricConvergence
    numbers, labels : mapping
        Number for the style sheet, and name, of each arm.
    """
    return [_view(metric, numbers, labels) for metric in metrics[:MOST]]


def _view(metric: MetricConvergence, numbers: Mapping[Arm, int], labels: Mapping[Arm, str]) -> ConvergenceView:
    found, scores = metric.found, metric.scores
    lines = {
        arm: MeanLine(
            found.n.astype(np.float64), found.widths[:, place], found.width_low[:, place], found.width_high[:, place],
            metric.n_images,
        )
        for place, arm in enumerate(metric.arms)
    }  # fmt: skip
    chart = line_chart(
        lines, numbers=numbers, labels=labels, title=f"{scores.title}: interval width", x_label="images",
        y_label="width of the mean's interval", lowest=0.0,
    )  # fmt: skip
    words = f"{capital(leaders_words(metric, labels=dict(labels)))}."
    return ConvergenceView(scores.metric, scores.title, chart, _stability(metric), words)


def _stability(metric: MetricConvergence, n_rows: int = 5) -> list[tuple[str, str, str]]:
    found = metric.found
    places = np.unique(np.linspace(0, len(found.n) - 1, n_rows).round().astype(int))
    return [
        (
            f"{found.n[place]:,}",
            f"{fixed(found.rank_correlation[place])} ({fixed(found.rank_low[place])} to {fixed(found.rank_high[place])})",
            f"{100 * found.same_best[place]:.0f} %",
        )
        for place in places
    ]
