"""How well each faithfulness metric's ranking of the maps agrees with the masks': a dot with its interval for each."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, new_figure, styled
from xaibench.report.trust.validity import Validity

COLOUR = "#0072B2"


def plot_validity(axes: Axes, of: Validity) -> Axes:
    """Draw one line for each metric, from the top down; filled dots cannot be told from the best."""
    for place, (name, found) in enumerate(of.intervals.items()):
        if math.isnan(found.estimate):
            axes.text(
                0.02, place, "undefined", transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=FAINT
            )
            continue
        colour = COLOUR if name in of.compared else FAINT
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        face = colour if name in of.best.members else "white"
        axes.plot(found.estimate, place, "o", markersize=6.5, color=colour, markerfacecolor=face, mew=1.5)
    axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    lowest = min([0.0, *(one.low for one in of.intervals.values() if math.isfinite(one.low))])
    axes.set_xlim(max(-1.05, lowest - 0.1), 1.05)
    axes.set_ylim(len(of.intervals) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(f"against {of.title[:1].lower()}{of.title[1:]}")
    axes.set_xlabel("rank correlation  better →")
    return axes


def validity_figure(found: Sequence[Validity]) -> Figure:
    """Draw one panel for each measure of the masks."""
    names = list(found[0].intervals)
    with styled():
        figure = new_figure(2.15 * len(found) + 1.5, 0.26 * len(names) + 1.15)
        panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
        for axes, one in zip(panels, found, strict=True):
            plot_validity(axes, one)
        panels[0].set_yticks(range(len(names)), [found[0].titles[name] for name in names])
        note = (
            "Spearman's correlation with the masks' ranking of all maps, mean over images with 95 % interval\n"
            "filled: cannot be told from the best  ·  grey: ranks the maps of too few images to be compared"
        )
        figure.supxlabel(note, fontsize=7.5, color=FAINT)
    return figure
