"""Pictures of several runs: scores side by side, times side by side."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaibench.report.arms import short_labels
from xaibench.report.compare.scores import ComparedMetric
from xaibench.report.compare.times import FASTER, OTHER, SLOWER
from xaibench.report.figures.scores import DIRECTIONS
from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm, arm_label

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
MARK_COLOURS = {SLOWER: "#D55E00", FASTER: "#0072B2", OTHER: FAINT, "": INK}
"""From the palette that colour-blind readers can tell apart; shapes say the same."""

_MARK_SHAPES = {SLOWER: ">", FASTER: "<", OTHER: "D", "": "o"}


def compared_arms(compared: Sequence[ComparedMetric]) -> list[Arm]:
    """Arms of all metrics, in order; those of no explainer left out."""
    found = {arm: None for one in compared for arm in one.arm_of.values() if arm != ("", "")}
    used = {entry[1] for one in compared for entry in one.means}
    return [arm for arm in found if arm_label(arm) in used]


def scores_by_run_figure(compared: Sequence[ComparedMetric], *, runs: Sequence[str], columns: int = 3) -> Figure:
    """Draw a panel for each metric that ranks arms: an arm a row in its colour, a run a marker."""
    metrics = [one for one in compared if one.scores.higher_is_better is not None]
    order = compared_arms(metrics)
    labels, styles = short_labels(order), arm_styles(order)
    columns = min(columns, len(metrics))
    lines = math.ceil(len(metrics) / columns)
    with styled():
        height = lines * (len(order) * (0.16 + 0.11 * len(runs)) + 0.85) + 0.75
        figure = new_figure(2.3 * columns + 1.1, height)
        panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axes, one in zip(panels, metrics, strict=False):
            plot_runs(axes, one, arms=order, runs=runs, styles=styles)
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_yticks(range(len(order)), [labels[arm] for arm in order])
        handles = [
            Line2D([], [], marker=MARKERS[i % len(MARKERS)], color=INK, linestyle="", markersize=5.5, label=run)
            for i, run in enumerate(runs)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(runs)))
        figure.supxlabel(
            "mean over the images that all runs have (or else over its own), with 95 % interval",
            fontsize=7.5,
            color=FAINT,
        )
    return figure


def plot_runs(
    axes: Axes, one: ComparedMetric, *, arms: Sequence[Arm], runs: Sequence[str], styles: Mapping[Arm, ArmStyle]
) -> Axes:
    """Draw the means of one metric, the runs of an arm below one another."""
    step = 0.7 / max(1, len(runs))
    for place, arm in enumerate(arms):
        for i, run in enumerate(runs):
            found = one.means.get((run, arm_label(arm)))
            if found is None or math.isnan(found.estimate):
                continue
            y, colour = place + (i - (len(runs) - 1) / 2) * step, styles[arm].colour
            axes.plot([found.low, found.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
            marker = MARKERS[i % len(MARKERS)]
            axes.plot(found.estimate, y, marker, markersize=5, color=colour, markerfacecolor="white", mew=1.4)
    for place in range(1, len(arms)):
        axes.axhline(place - 0.5, color="#efefef", linewidth=0.7, zorder=0)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(one.scores.title)
    axes.set_xlabel(DIRECTIONS[one.scores.higher_is_better])
    return axes


def times_figure(times: pd.DataFrame, *, threshold: float, most: int = 60) -> Figure:
    """Draw the ratio of each time to the first run's, on a logarithmic axis; beyond the band is beyond the threshold.

    Only the `most` times whose ratio is farthest from 1 are drawn where there are more.
    """
    shown = times[times["ratio"].notna()]
    far = shown["ratio"].map(lambda ratio: abs(math.log(ratio))).sort_values(ascending=False, kind="stable")
    shown = shown.loc[sorted(far.index[:most])]
    runs = list(dict.fromkeys(shown["run"]))
    with styled():
        figure = new_figure(3.2 * max(1, len(runs)) + 2.4, 0.17 * _most_rows(shown) + 1.25)
        panels = figure.subplots(1, max(1, len(runs)), squeeze=False)[0]
        for axes, run in zip(panels, runs, strict=False):
            plot_ratios(axes, shown[shown["run"] == run], threshold=threshold)
        present = [mark for mark in MARK_COLOURS if mark in set(shown["mark"])]
        names = {"": f"not settled, or within {100 * threshold:g} %"}
        handles = [
            Line2D(
                [], [], marker=_MARK_SHAPES[mark], color=MARK_COLOURS[mark], linestyle="", label=names.get(mark, mark)
            )
            for mark in present
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def plot_ratios(axes: Axes, rows: pd.DataFrame, *, threshold: float) -> Axes:
    """Draw one run's ratios, a time a row."""
    places = np.arange(len(rows))
    axes.axvspan(1 / (1 + threshold), 1 + threshold, color="#eeeeee", zorder=0)
    axes.axvline(1, color=FAINT, linewidth=0.8, zorder=1)
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        colour = MARK_COLOURS[row["mark"]]
        if math.isfinite(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6, solid_capstyle="round")
        axes.plot(row["ratio"], place, _MARK_SHAPES[row["mark"]], color=colour, markersize=4.5)
    axes.set_xscale("log")
    ends = [*rows["ratio"], *rows["low"].dropna(), *rows["high"].dropna(), 1 / (1 + threshold), 1 + threshold]
    axes.set_xlim(min(ends) / 1.12, max(ends) * 1.12)
    ticks = _ratio_ticks(min(ends), max(ends))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(places, list(rows["time"]), fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    first = rows["first"].iloc[0]
    axes.set_title(f"{rows['run'].iloc[0]} against {first}")
    axes.set_xlabel("ratio of medians with 95 % interval")
    return axes


def _ratio_ticks(low: float, high: float) -> list[float]:
    every = [0.05, 0.1, 0.2, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50]
    near = [tick for tick in every if low / 1.06 <= tick <= high * 1.06]
    if len(near) <= 7:
        return near
    return [tick for tick in near if tick not in (0.75, 0.9, 1.1, 1.25, 1.5, 3)]


def _most_rows(times: pd.DataFrame) -> int:
    return max([1, *times.groupby("run").size()])
