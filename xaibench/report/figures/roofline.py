"""How near each phase comes to the machine's limits: rate of operations against operations a byte, under the roof."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaibench.report.cost.limits import OVERHEAD_BELOW, Roof
from xaibench.report.figures.style import FAINT, INK, OKABE_ITO, new_figure, styled
from xaibench.timing.vocabulary import BACKWARD, FORWARD, FULL_BACKWARD, INFERENCE, INPUT_BACKWARD, REDUCE

_MARKS = {
    INFERENCE: ("o", OKABE_ITO[0]),
    FORWARD: ("s", OKABE_ITO[4]),
    BACKWARD: ("D", OKABE_ITO[1]),
    REDUCE: ("v", OKABE_ITO[2]),
    INPUT_BACKWARD: ("<", OKABE_ITO[3]),
    FULL_BACKWARD: (">", OKABE_ITO[5]),
}
"""Phases that multiply, and so have a place under the roof."""

_LOOK: dict[str, Any] = {"markersize": 7, "markerfacecolor": "none", "markeredgewidth": 1.5}  # hollow: many coincide


def drawable(table: pd.DataFrame, roof: Roof) -> pd.DataFrame:
    """Rows of phases that have a place under the roof; none where the roof was not measured."""
    if not np.isfinite([roof.gflop_per_second, roof.gbyte_per_second]).all():
        return table.iloc[:0]
    alone = ~table["layer"].str.contains("+", regex=False)  # the layers together have their own row, not a place more
    return table[table["phase"].isin(list(_MARKS)) & (table["gflop_per_second"] > 0) & (table["gbyte"] > 0) & alone]


def plot_roofline(axes: Axes, table: pd.DataFrame, roof: Roof) -> Axes:
    """Draw the roof, the line below which overhead is the bound, and a mark a phase and layer.

    Parameters
    ----------
    axes : Axes
        Where to draw, logarithmic in both directions.
    table : DataFrame
        From `xaibench.report.cost.limits.roofline`.
    roof : Roof
        The machine's rates.
    """
    rows = drawable(table, roof)
    low, high = min(rows["intensity"].min(), roof.ridge), max(rows["intensity"].max(), roof.ridge)
    x = np.geomspace(low / 3, high * 3, 200)
    top = np.minimum(roof.gflop_per_second, x * roof.gbyte_per_second)
    axes.plot(x, top, color=INK, linewidth=1.6)
    axes.plot(x, OVERHEAD_BELOW * top, color=FAINT, linewidth=1.0, linestyle=(0, (4, 2)))
    for phase, x_of, y_of in zip(rows["phase"], rows["intensity"], rows["gflop_per_second"], strict=True):
        marker, colour = _MARKS[str(phase)]
        axes.plot(float(x_of), float(y_of), marker, color=colour, **_LOOK, zorder=3)
    _name_layers(axes, rows[rows["phase"] == BACKWARD])
    axes.set_xscale("log")
    axes.set_yscale("log")
    bottom = min(rows["gflop_per_second"].min(), OVERHEAD_BELOW * top[0])
    axes.set_ylim(bottom / 8, 2 * max(roof.gflop_per_second, rows["gflop_per_second"].max()))  # room for names
    axes.grid(which="major")
    axes.annotate(
        f"matrix products: {roof.gflop_per_second:.3g} × 10⁹ operations/s", (x[-1], top[-1]), xytext=(-2, 4),
        textcoords="offset points", ha="right", fontsize=7.5, color=INK,
    )  # fmt: skip
    slope = np.degrees(np.arctan(roof.gbyte_per_second))
    axes.text(
        float(np.sqrt(x[0] * roof.ridge)), float(1.15 * np.sqrt(x[0] * roof.ridge) * roof.gbyte_per_second),
        f"copies: {roof.gbyte_per_second:.3g} × 10⁹ bytes/s", ha="center", va="bottom", fontsize=7.5, color=INK,
        rotation=slope, rotation_mode="anchor", transform_rotates_text=True,
    )  # fmt: skip
    return axes


def _name_layers(axes: Axes, rows: pd.DataFrame) -> None:
    """Name the marks of the backward pass, the one whose place depends on the layer, below them and in several rows.

    Neighbours' names would cover each other and the marks, so each hangs on a line of its own.
    """
    drops = cycle((-24, -36, -48, -60))
    for _, row in rows.sort_values("intensity", kind="stable").iterrows():
        axes.annotate(
            str(row["layer"]), (row["intensity"], row["gflop_per_second"]), xytext=(0, next(drops)),
            textcoords="offset points", ha="center", va="top", fontsize=7, color=INK,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4},
        )  # fmt: skip


def roofline_figure(table: pd.DataFrame, roof: Roof, *, device: str = "") -> Figure:
    """Draw the roofline of a run; `device` is named below."""
    shown = drawable(table, roof)["phase"]
    with styled():
        figure = new_figure(7.4, 3.9)
        axes = plot_roofline(figure.subplots(), table, roof)
        axes.set_title("How near each phase comes to the machine's limits")
        axes.set_xlabel("operations a byte moved (bytes without caches and fusion)", color=INK)
        axes.set_ylabel("10⁹ operations a second")
        marks = [
            Line2D([], [], marker=marker, color=colour, linestyle="", **_LOOK, label=phase.replace("_", " "))
            for phase, (marker, colour) in _MARKS.items()
            if (shown == phase).any()
        ]
        lines = [
            Line2D([], [], color=INK, linewidth=1.6, label="the machine, measured"),
            Line2D([], [], color=FAINT, linewidth=1.0, linestyle=(0, (4, 2)), label="a tenth of it"),
        ]
        figure.legend(handles=[*marks, *lines], loc="outside right center")
        if device:
            figure.supxlabel(device, fontsize=8, color=FAINT)
    return figure
