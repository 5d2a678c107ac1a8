"""Scores: a dot with its 95 % interval for each arm, one panel a metric, the best set marked."""

import math
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm, metric_title
from xaibench.report.scores import MetricScores

DIRECTIONS = {True: "better →", False: "← better", None: "descriptive"}


def plot_scores(axes: Axes, scores: MetricScores, *, arms: Sequence[Arm], styles: Mapping[Arm, ArmStyle]) -> Axes:
    """Draw one line for each arm, from the top down in the order given; filled dots are the best set."""
    for place, arm in enumerate(arms):
        found, colour = scores.intervals.get(arm), styles[arm].colour
        if found is None or math.isnan(found.estimate):
            where = axes.get_yaxis_transform()
            axes.text(0.02, place, "undefined", transform=where, va="center", fontsize=7, color=FAINT)
            continue
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        face = colour if arm in scores.best.members else "white"
        axes.plot(found.estimate, place, "o", markersize=6.5, color=colour, markerfacecolor=face, mew=1.5)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(metric_title(scores.metric))
    axes.set_xlabel(DIRECTIONS[scores.higher_is_better])
    return axes


def scores_figure(
    metrics: Sequence[MetricScores],
    *,
    arms: Sequence[Arm],
    labels: Mapping[Arm, str],
    columns: int = 4,
    width: float | None = None,
) -> Figure:
    """Draw one panel for each metric, in rows of `columns`; `width` in inches, by the columns where not given."""
    styles = arm_styles(arms)
    columns = min(columns, len(metrics))
    lines = math.ceil(len(metrics) / columns)
    n_layered = sum(bool(layer) for _, layer in arms)
    with styled():
        figure = new_figure(width or 1.95 * columns + 1.0, lines * (0.24 * len(arms) + 0.85) + 0.3)
        panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axes, scores in zip(panels, metrics, strict=False):
            plot_scores(axes, scores, arms=arms, styles=styles)
            if width is not None:
                axes.set_title(textwrap.fill(metric_title(scores.metric), 15), fontsize=8)
            if 0 < n_layered < len(arms):
                axes.axhline(n_layered - 0.5, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)))
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_yticks(range(len(arms)), [labels[arm] for arm in arms])
        note = "mean over images with 95 % interval  ·  filled: the best set, arms that cannot be told from the best"
        figure.supxlabel(note if width is None else note.replace("  ·  ", "\n"), fontsize=7.5, color=FAINT)
    return figure
