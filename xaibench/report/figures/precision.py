"""Less precision with its price: error against float64 over speed-up."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from xaibench.report.figures.style import FAINT, INK, OKABE_ITO, new_figure, styled

COLOURS = dict(zip(("float32", "tf32", "bfloat16", "float16"), OKABE_ITO, strict=False))
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")


def plot_errors(
    axes: Axes, table: pd.DataFrame, *, error: str, speed_up: str, group: str, markers: Mapping[str, str]
) -> Axes:
    """Draw a marker for each row at its speed-up and error, in the colour of its precision.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        Column `dtype`, and those named next; rows without an error above zero are left out.
    error, speed_up, group : str
        Columns of the two axes, and of what a marker's shape tells.
    markers : mapping of str to str
        Shape of each group.
    """
    for dtype, rows in table.groupby("dtype", sort=False):
        axes.plot(rows[speed_up], rows[error], color=COLOURS[str(dtype)], linewidth=1.0, alpha=0.5)
        for name, x, y in zip(rows[group], rows[speed_up], rows[error], strict=True):
            axes.plot(x, y, markers[name], color=COLOURS[str(dtype)], markersize=5.5)
        offset: dict[str, Any] = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center", "fontweight": "bold"}
        top = float(rows[speed_up].iloc[0]), float(rows[error].max())
        axes.annotate(str(dtype), top, color=COLOURS[str(dtype)], **offset)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvline(1.0, color=FAINT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    low, high = min(0.5, 0.7 * table[speed_up].min()), max(2.0, 1.4 * table[speed_up].max())
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.margins(y=0.18)
    axes.grid(axis="y")
    return axes


def precision_figure(maps: pd.DataFrame | None, scores: pd.DataFrame | None, *, device: str = "") -> Figure | None:
    """Draw the maps' error and the scores', medians over images; None where nothing has an error and a speed-up."""
    if maps is None or scores is None:
        return None
    maps = drawable(maps, "relative_error", "explanation_speed_up")
    scores = drawable(scores, "error", "inference_speed_up")
    if maps.empty and scores.empty:
        return None
    with styled():
        figure = new_figure(8.6, 3.5)
        left, right = figure.subplots(1, 2)
        for axes, table, error, speed, group, title in (
            (left, maps, "relative_error", "explanation_speed_up", "layer", "Heatmap: relative error"),
            (right, scores, "error", "inference_speed_up", "score", "Scores: absolute error"),
        ):
            names = list(dict.fromkeys(table[group]))
            markers = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(names)}
            if not table.empty:
                plot_errors(axes, table, error=error, speed_up=speed, group=group, markers=markers)
            axes.set_title(title)
            axes.set_xlabel("speed-up of " + ("the explanation" if group == "layer" else "plain inference"))
            _key(axes, markers)
        left.set_ylabel("against float64, median over images")
        if device:
            figure.supxlabel(f"right is faster, down is closer to float64  ·  {device}", fontsize=7.5, color=FAINT)
    return figure


def drawable(table: pd.DataFrame, error: str, speed_up: str) -> pd.DataFrame:
    """Rows of a known precision with an error above zero and a speed-up; float64 itself has no error."""
    known = table["dtype"].isin(list(COLOURS))
    return table[known & (table[error] > 0) & table[speed_up].notna()]


def _ticks(low: float, high: float) -> list[float]:
    """Powers of two, or of four or more where those were too many."""
    exponents = np.arange(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1)
    return [float(2.0**exponent) for exponent in exponents if exponent % max(1, len(exponents) // 5) == 0]


def _key(axes: Axes, markers: Mapping[str, str]) -> None:
    for name, marker in markers.items():
        axes.plot([], [], marker, color=INK, markersize=5, label=name)
    axes.legend(loc="best", fontsize=7, handletextpad=0.3)
