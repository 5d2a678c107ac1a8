"""Rank correlation between every two metrics: within an image below the diagonal, between the mean rankings above it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xaibench.report.figures.style import FAINT, INK, new_figure, styled
from xaibench.report.wording import fixed

# Orange against blue, as readers with colour blindness can tell them apart; CIELAB lightness falls evenly from white at
# 0 to 39 at either end, so that equal distances look equal and size shows without colour, too.
COLOUR_MAP = LinearSegmentedColormap.from_list(
    "agreement",
    ["#994200", "#b76d3c", "#d09876", "#e5c5b3", "#f3f3f3", "#c3cbdf", "#92a5ca", "#5f80b5", "#145ea0"],
)
DARK_BEYOND = 0.6


def agreement_metrics(table: pd.DataFrame) -> list[str]:
    """Metrics of the table, in its order."""
    return list(dict.fromkeys([*table["first"], *table["second"]]))


def agreement_matrix(table: pd.DataFrame) -> np.ndarray:
    """Correlations as a square: mean over images below the diagonal, of the means above; NaN where undefined."""
    metrics = agreement_metrics(table)
    square = np.full((len(metrics), len(metrics)), np.nan)
    place = {metric: at for at, metric in enumerate(metrics)}
    columns = (table[name] for name in ("first", "second", "spearman", "spearman_of_means"))
    for first, second, within, between in zip(*columns, strict=True):
        square[place[second], place[first]] = within
        square[place[first], place[second]] = between
    return square


def agreement_colour(value: float) -> tuple[str, bool]:
    """Colour of a correlation, and whether it is a dark one."""
    return to_hex(COLOUR_MAP((value + 1) / 2)), bool(abs(value) > DARK_BEYOND)


def plot_agreement(axes: Axes, table: pd.DataFrame, *, titles: Mapping[str, str]) -> Axes:
    """Draw the square with its values; the diagonal is empty, and what is undefined hatched."""
    metrics, square = agreement_metrics(table), agreement_matrix(table)
    axes.pcolormesh(np.ma.masked_invalid(square), cmap=COLOUR_MAP, vmin=-1, vmax=1, edgecolors="white", linewidth=0.8)
    for y, x in np.ndindex(square.shape):
        value = float(square[y, x])
        if np.isfinite(value):
            _, dark = agreement_colour(value)
            colour = "white" if dark else INK
            axes.text(x + 0.5, y + 0.5, fixed(value), ha="center", va="center", fontsize=7, color=colour)
        elif x != y:
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eeeeee", edgecolor=FAINT, hatch="//////", linewidth=0))
    names = [titles.get(metric, metric) for metric in metrics]
    axes.set_xticks(np.arange(len(metrics)) + 0.5, names, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(metrics)) + 0.5, names)
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def agreement_figure(table: pd.DataFrame, *, titles: Mapping[str, str]) -> Figure:
    """Draw `plot_agreement` with its scale.

    Parameters
    ----------
    table : DataFrame
        See `xaibench.report.trust.metric_agreement.metric_agreement`.
    titles : mapping of metric to str
    """
    metrics = agreement_metrics(table)
    room = 0.075 * max(len(titles.get(metric, metric)) for metric in metrics)
    side = 0.46 * len(metrics)
    with styled():
        figure = new_figure(side + room * 1.25 + 0.9, side + room * 0.7 + 0.7)
        axes = figure.subplots()
        plot_agreement(axes, table, titles=titles)
        bar = figure.colorbar(
            axes.collections[0], ax=axes, pad=0.02, fraction=0.05, aspect=18, ticks=[-1, -0.5, 0, 0.5, 1]
        )
        bar.outline.set_visible(False)
        bar.set_label("Spearman's rank correlation", fontsize=7.5)
        note = "below the diagonal: within an image, mean over images\nabove: between the rankings by the means"
        figure.supxlabel(note, fontsize=7.5, color=FAINT)
    return figure
