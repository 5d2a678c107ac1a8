"""How the ranking of the arms moves with each choice of a metric: ranks in a heatmap, Kendall's tau beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.evaluator.sensitivity import Moved, Sensitivity
from xaibench.report.figures.style import FAINT, INK, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.wording import fixed

COLOUR_MAP = "cividis_r"  # dark is far down; the same for readers with and without colour blindness


def plot_ranks(axes: Axes, of: Sensitivity, *, labels: Mapping[Arm, str]) -> Axes:
    """Draw one row for each variation and one column for each arm; ranks that moved are bold, with by how much."""
    ranks = np.array([[row.ranks[arm] for arm in of.arms] for row in of.rows])
    axes.pcolormesh(ranks, cmap=COLOUR_MAP, vmin=1, vmax=len(of.arms), edgecolors="white", linewidth=0.6)
    for y, row in enumerate(of.rows):
        for x, arm in enumerate(of.arms):
            _, dark = rank_colour(row.ranks[arm], len(of.arms))
            look: dict[str, Any] = {"color": "white" if dark else INK, "ha": "center", "va": "center"}
            weight = "bold" if row.moves.get(arm) else "normal"
            axes.text(x + 0.5, y + 0.5, rank_text(row, arm), fontsize=6.8, fontweight=weight, **look)
    _name_rows(axes, of)
    axes.set_xticks(np.arange(len(of.arms)) + 0.5, [labels[arm] for arm in of.arms], rotation=90)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def plot_taus(axes: Axes, of: Sensitivity) -> Axes:
    """Draw Kendall's tau of each variation with its interval, and write it beside."""
    axes.axvline(1, color=FAINT, linewidth=0.8)
    axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    for y, row in enumerate(of.rows):
        if row.moves and np.isfinite(row.tau.estimate):
            axes.plot([row.tau.low, row.tau.high], [y + 0.5] * 2, color="#0072B2", linewidth=1.6)
            axes.plot(row.tau.estimate, y + 0.5, "o", color="#0072B2", markersize=4)
            axes.text(1.13, y + 0.5, fixed(row.tau.estimate), fontsize=7, va="center", color=INK)
    low = min([0.0, *(row.tau.low for row in of.rows if np.isfinite(row.tau.low))])
    axes.set_xlim(max(-1.05, low - 0.1), 1.5)
    axes.set_xticks([tick for tick in (-1, -0.5, 0, 0.5, 1) if tick >= low - 0.1])
    axes.set_xlabel("Kendall's tau with the ranking\nthat the row is held against")
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    return axes


def rank_colour(rank: float, n_arms: int) -> tuple[str, bool]:
    """Colour of a rank among so many, and whether it is a dark one."""
    place = (rank - 1) / max(1, n_arms - 1)
    return mpl.colors.to_hex(mpl.colormaps[COLOUR_MAP](place)), place > 0.55


def rank_text(row: Moved, arm: Arm) -> str:
    """``3``, or ``3 ▲2`` for an arm that gained two ranks."""
    rank, move = row.ranks[arm], row.moves.get(arm, 0.0)
    return f"{rank:g}" + (f" {'▲' if move > 0 else '▼'}{abs(move):g}" if move else "")


def row_labels(of: Sensitivity) -> list[str]:
    """Name the rows: the base by its name in the records, all others by what is varied."""
    return [f"{of.base} (base)", *(row.variation.label for row in of.rows[1:])]


def sensitivity_figure(groups: Sequence[Sensitivity], *, labels: Mapping[Arm, str]) -> Figure:
    """Draw a heatmap and its taus for each group, one below the other."""
    n_arms = max(len(one.arms) for one in groups)
    left = 0.062 * max(len(label) for one in groups for label in row_labels(one))
    heights = [0.21 * len(one.rows) + 1.2 for one in groups]
    with styled():
        figure = new_figure(left + 0.5 * n_arms + 2.3, sum(heights) + 0.3)
        panels = figure.subplots(
            len(groups), 2, squeeze=False, sharey="row", height_ratios=heights, width_ratios=[0.5 * n_arms, 2.0]
        )
        for (ranks, taus), one in zip(panels, groups, strict=True):
            plot_ranks(ranks, one, labels=labels)
            plot_taus(taus, one)
        n_images = " and ".join(dict.fromkeys(str(one.n_images) for one in groups))
        note = f"ranks of the mean over {n_images} images, 1 is the best  ·  bold: moved  ·  95 % intervals over images"
        if any(row.variation.recomputed for one in groups for row in one.rows):
            note += "\nareas by other rules are recomputed from the curves of the base"
        figure.supxlabel(note, fontsize=7.5, color=FAINT)
    return figure


def _name_rows(axes: Axes, of: Sensitivity) -> None:
    """Name the rows, and part the choices by a gap."""
    axes.set_yticks(np.arange(len(of.rows)) + 0.5, row_labels(of))
    axes.set_ylim(len(of.rows), 0)
    axes.get_yticklabels()[0].set_fontweight("bold")
    keys = [(row.variation.context, row.variation.choice) for row in of.rows]
    for y in range(1, len(keys)):
        if keys[y] != keys[y - 1]:
            axes.axhline(y, color="white", linewidth=3.2)
