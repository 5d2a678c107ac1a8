"""The critical-difference diagram: mean ranks on a line, bars over arms that Nemenyi's test does not tell apart [1]_.

.. [1] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, figure 1.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, styled
from xaibench.report.labels import Arm
from xaibench.report.scores import MetricScores
from xaibench.statistics.critical_difference import CriticalDifference, critical_difference

MOST = 4
"""Metrics drawn: the first that rank arms."""
NARROWEST = 0.8
"""Inches that the axis of ranks needs."""
_ROW, _BAR = 0.16, 0.07  # inches between two names, and between two bars


def plot_critical_difference(
    axes: Axes, found: CriticalDifference, *, styles: Mapping[Arm, ArmStyle], labels: Mapping[Arm, str]
) -> Axes:
    """Draw mean ranks, 1 (the best) on the left, each led to its arm's name; bars join what is not told apart.

    Parameters
    ----------
    axes : Axes
        Where to draw; the axis of ranks is its top edge, units below it are inches.
    found : CriticalDifference
        With a critical difference.
    styles, labels : mapping
        Look and name of each arm.
    """
    arms = cast(list[Arm], list(found.mean_ranks))  # to the statistics, an arm is any name of a column
    half, depth = math.ceil(len(arms) / 2), _bars_depth(found)
    edges = (1 - 0.04 * len(arms), len(arms) * 1.04)
    for place, arm in enumerate(arms):
        rank, left = found.mean_ranks[arm], place < half
        y = depth + _ROW * (place if left else len(arms) - 1 - place)
        edge, colour = edges[0] if left else edges[1], styles[arm].colour
        axes.plot([rank, rank, edge], [0, y, y], color=colour, linewidth=1, solid_joinstyle="miter", clip_on=False)
        axes.plot(rank, 0, styles[arm].marker, color=colour, markersize=4.5, clip_on=False, zorder=3)
        words = f"{labels[arm]}  {rank:.2f}" if left else f"{rank:.2f}  {labels[arm]}"
        axes.annotate(
            words, (edge, y), xytext=(-3 if left else 3, 0), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize=7.5, color=INK,
        )  # fmt: skip
    for level, group in enumerate(found.groups):
        ends = [found.mean_ranks[group[0]] - 0.03, found.mean_ranks[group[-1]] + 0.03]
        axes.plot(ends, [_BAR * (level + 1)] * 2, color=INK, linewidth=2.6, solid_capstyle="butt", zorder=2)
    _rank_axis(axes, found, edges, depth + _ROW * half)
    return axes


def critical_difference_figure(
    metrics: Sequence[MetricScores], *, arms: Sequence[Arm], labels: Mapping[Arm, str], width: float = 7.2
) -> Figure | None:
    """Draw a diagram for each of the first metrics that have one; None where there is none, or no room for the names."""
    styles = arm_styles(arms)
    tested = ((one, _of(one)) for one in metrics if one.higher_is_better is not None)
    known = ((one, found) for one, found in tested if math.isfinite(found.critical_difference))
    drawn = list(islice(known, MOST if width > 5 else MOST // 2))  # no more are tested than are drawn
    if not drawn:
        return None
    names = 0.062 * max(len(labels[arm]) for arm in arms) + 0.45  # inches a name takes on either side
    columns = 2 if len(drawn) > 1 and width / 2 - 2 * names >= NARROWEST else 1
    if width / columns - 2 * names < NARROWEST:
        return None
    lines = math.ceil(len(drawn) / columns)
    tallest = max(_height(found) for _, found in drawn)
    with styled():
        height = lines * (tallest + 0.72) + 0.3
        figure = Figure(figsize=(width, height))
        note = "mean ranks over images, 1 is the best  ·  bars: not told apart by Nemenyi's test at 5 %"
        note = note if width > 5 else note.replace("  ·  ", "\n")
        figure.text(0.5, 0.06 / height, note, fontsize=6.5, color=FAINT, ha="center", va="bottom")
        for place, (scores, found) in enumerate(drawn):
            row, column = divmod(place, columns)
            top = height - 0.55 - row * (tallest + 0.72)
            left, across = column * width / columns + names, width / columns - 2 * names
            axes = figure.add_axes((left / width, (top - tallest) / height, across / width, tallest / height))
            axes.set_ylim(tallest, 0)
            plot_critical_difference(axes, found, styles=styles, labels=labels)
            title = f"{scores.title}  ·  n = {found.n_images}"
            axes.text(
                -names / across + 0.02,
                1 + 0.4 / tallest,
                title,
                transform=axes.transAxes,
                fontweight="bold",
                fontsize=8,
            )
    return figure


def _of(scores: MetricScores) -> CriticalDifference:
    return critical_difference(scores.values, higher_is_better=bool(scores.higher_is_better))


def _bars_depth(found: CriticalDifference) -> float:
    return _BAR * (len(found.groups) + 1) + 0.1


def _height(found: CriticalDifference) -> float:
    return _bars_depth(found) + _ROW * math.ceil(len(found.mean_ranks) / 2)


def _rank_axis(axes: Axes, found: CriticalDifference, edges: tuple[float, float], depth: float) -> None:
    n_arms, width = len(found.mean_ranks), found.critical_difference
    axes.set_xlim(*edges)
    axes.set_xticks(range(1, n_arms + 1))
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=3, pad=1, labelsize=7)
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_bounds(1, n_arms)
    y = -0.27  # above the numbers, the width that a difference of ranks must have
    axes.plot([1, 1 + width], [y, y], color=INK, linewidth=1, clip_on=False, marker="|", markersize=5)
    axes.text(1 + width + 0.1, y, f"critical difference {width:.2f}", fontsize=6.5, va="center", color=INK)
