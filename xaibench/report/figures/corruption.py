"""Mean score against the share of a map's cells that changed places: one panel a metric, one line a map."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.trust.corruption import EVERY_STEP, OVERALL, Reaction

DIRECTIONS = {True: "better ↑", False: "better ↓"}


def plot_corruption(axes: Axes, found: Sequence[Reaction], *, styles: Mapping[Arm, ArmStyle]) -> Axes:
    """Draw the lines of one metric with their bands; markers say what the tests do.

    Full markers: worse at every step; empty ones: worse overall; none: no fall shown.
    """
    for one in found:
        style, line = styles[one.start], one.line
        face = style.colour if one.verdict == EVERY_STEP else "white"
        marker = style.marker if one.verdict in (EVERY_STEP, OVERALL) else ""
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.13, linewidth=0)
        axes.plot(
            line.x, line.mean, color=style.colour, linestyle=style.line, marker=marker, markersize=5,
            markerfacecolor=face, mew=1.3, clip_on=False,
        )  # fmt: skip
    axes.set_title(found[0].title)
    axes.set_ylabel(DIRECTIONS[found[0].higher_is_better], fontsize=7.5)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=4)
    return axes


def corruption_figure(
    found: Sequence[Reaction], *, arms: Sequence[Arm], labels: Mapping[Arm, str], columns: int = 3
) -> Figure:
    """Draw one panel for each metric, in rows of `columns`.

    Parameters
    ----------
    found : sequence of Reaction
    arms : sequence of Arm
        All of the run, so that each keeps its colour.
    labels : mapping
    columns : int
    """
    styles = arm_styles(arms)
    metrics = list(dict.fromkeys(one.metric for one in found))
    starts = list(dict.fromkeys(one.start for one in found))
    columns = min(columns, len(metrics))
    lines = math.ceil(len(metrics) / columns)
    with styled():
        figure = new_figure(2.3 * columns + 0.4, 1.65 * lines + 0.95)
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for axes, metric in zip(panels, metrics, strict=False):
            plot_corruption(axes, [one for one in found if one.metric == metric], styles=styles)
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        keys = [
            panels[0].plot(
                [], [], color=styles[arm].colour, linestyle=styles[arm].line, marker=styles[arm].marker, markersize=5
            )[0]
            for arm in starts
        ]
        figure.legend(keys, [labels[arm] for arm in starts], loc="outside upper left", ncols=min(4, len(starts)))
        note = (
            "share of the map's cells that changed places; mean over images with 95 % band\n"
            "full markers: worse at every step  ·  empty: worse overall  ·  none: no fall shown"
        )
        figure.supxlabel(note, fontsize=7.5, color=FAINT)
    return figure
