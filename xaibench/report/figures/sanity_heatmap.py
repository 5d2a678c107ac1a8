"""Explainers × modules: the mean similarity with the trained model's map in each cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xaibench.report.figures.style import FAINT, INK, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.summaries import MeanLine

COLOUR_MAP = "cividis"  # perceptually uniform, and the same for readers with and without colour blindness
NUMBERS_UP_TO = 24
"""Columns beyond which cells are too narrow for numbers."""


def plot_heatmap(
    axes: Axes, lines: Mapping[Arm, MeanLine], *, modules: Sequence[str], labels: Mapping[Arm, str]
) -> Axes:
    """Draw one row for each arm and one column for each randomized module; the trained model has none.

    Parameters
    ----------
    axes : Axes
    lines : mapping of arm to MeanLine
        Similarity against the step. A cell without a value is hatched.
    modules : sequence of str
        Names by step; the first, the trained model's, is left out.
    labels : mapping
    """
    values = heat_values(lines, len(modules))
    low = lowest(values)
    axes.pcolormesh(values, cmap=COLOUR_MAP, vmin=low, vmax=1, edgecolors="white", linewidth=0.6)
    for y, x in np.argwhere(~np.isfinite(values)):
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eeeeee", edgecolor=FAINT, hatch="//////", linewidth=0))
    if values.shape[1] <= NUMBERS_UP_TO:
        for y, x in np.argwhere(np.isfinite(values)):
            dark = (values[y, x] - low) / (1 - low) < 0.55
            text = f"{values[y, x]:.2f}".replace("0.", ".", 1).replace("-.00", ".00")
            look: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if dark else INK}
            # hundreds of words, all within the axes: measured for the layout, they would change nothing
            axes.text(x + 0.5, y + 0.5, text, fontsize=6, in_layout=False, **look)
    axes.set_yticks(np.arange(len(lines)) + 0.5, [labels[arm] for arm in lines])
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, modules[1:], rotation=90)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def heatmap_figure(
    panels: Mapping[str, Mapping[Arm, MeanLine]], *, modules: Sequence[str], labels: Mapping[Arm, str], words: str
) -> Figure:
    """Draw a heatmap for each similarity, one below the other.

    Parameters
    ----------
    panels : mapping of title to lines
    modules, labels
        See `plot_heatmap`.
    words : str
        What the columns are.
    """
    rows = max(len(lines) for lines in panels.values())
    width = 0.075 * max(len(labels[arm]) for lines in panels.values() for arm in lines) + 0.31 * len(modules) + 1.1
    with styled():
        figure = new_figure(width, len(panels) * (0.22 * rows + 0.3) + 1.1)
        shown = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (title, lines) in zip(shown, panels.items(), strict=True):
            plot_heatmap(axes, lines, modules=modules, labels=labels)
            axes.set_title(title)
            bar = figure.colorbar(axes.collections[0], ax=axes, pad=0.01, fraction=0.03, aspect=12)
            bar.outline.set_visible(False)
        figure.supxlabel(f"{words}  ·  hatched: undefined", fontsize=8, color=FAINT)
    return figure


def heat_values(lines: Mapping[Arm, MeanLine], n_steps: int) -> np.ndarray:
    """Means as an array of arms by steps 1, 2, …; NaN where there is none."""
    values = np.full((len(lines), n_steps - 1), np.nan)
    for row, line in zip(values, lines.values(), strict=True):
        kept = line.x >= 1
        row[line.x[kept].astype(int) - 1] = line.mean[kept]
    return values


def lowest(values: np.ndarray) -> float:
    """Where the colours start: 0, or the least value below it."""
    known = values[np.isfinite(values)]
    return min(0.0, float(known.min())) if len(known) else 0.0


def cell_colour(value: float, low: float) -> str:
    """Colour of a value between `low` and 1."""
    return mpl.colors.to_hex(mpl.colormaps[COLOUR_MAP]((value - low) / (1 - low)))
