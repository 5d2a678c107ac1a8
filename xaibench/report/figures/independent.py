"""Each module randomized alone: how similar the map stays, one small panel of bars for each arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.sanity.calibration import Band
from xaibench.report.summaries import MeanLine


def plot_independent(
    axes: Axes, line: MeanLine, *, modules: Sequence[str], style: ArmStyle, band: Band | None = None
) -> Axes:
    """Draw a bar for each module with its interval; the similarity of unrelated maps is a grey range behind.

    Parameters
    ----------
    axes : Axes
    line : MeanLine
        Similarity against the number of the module; 0 is the trained model, which has no bar.
    modules : sequence of str
        Names by number.
    style : ArmStyle
    band : Band, optional
    """
    if band is not None and band.pairs:
        axes.axhspan(band.low, band.high, color="#dcdcdc", linewidth=0, zorder=0)
    kept = (line.x >= 1) & np.isfinite(line.mean)
    x, mean = line.x[kept], line.mean[kept]
    axes.bar(x, mean, width=0.72, color=style.colour, alpha=0.85, linewidth=0)
    axes.vlines(x, line.low[kept], line.high[kept], color=INK, linewidth=0.8)
    for missing in line.x[(line.x >= 1) & ~np.isfinite(line.mean)]:
        at: dict[str, Any] = {"ha": "center", "va": "bottom", "rotation": 90}
        axes.text(missing, 0.02, "undefined", fontsize=5, color=FAINT, **at)
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.set_xticks(range(1, len(modules)), modules[1:], rotation=90, fontsize=6)
    axes.set_xlim(0.4, len(modules) - 0.4)
    axes.grid(axis="y")
    return axes


def independent_figure(
    lines: Mapping[Arm, MeanLine],
    *,
    modules: Sequence[str],
    labels: Mapping[Arm, str],
    bands: Mapping[Arm, Band],
    title: str,
    columns: int = 3,
) -> Figure:
    """Draw a panel for each arm, all on the same scale."""
    styles = arm_styles(list(lines))
    columns = min(columns, len(lines))
    n_rows = math.ceil(len(lines) / columns)
    with styled():
        figure = new_figure((0.7 + 0.115 * len(modules)) * columns + 0.4, 1.15 * n_rows + 1.1)
        shown = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, (arm, line) in zip(shown.ravel(), lines.items(), strict=False):
            plot_independent(axes, line, modules=modules, style=styles[arm], band=bands.get(arm))
            axes.set_title(labels[arm], fontsize=8)
        for place, axes in enumerate(shown.ravel()):
            axes.set_visible(place < len(lines))
            if place < len(lines) <= place + columns:
                axes.tick_params(labelbottom=True)
        figure.supylabel(f"{title}: similarity with the trained model's map", fontsize=8)
        grey = "  ·  grey: 95 % of pairs of unrelated maps" if any(band.pairs for band in bands.values()) else ""
        figure.supxlabel(f"module randomized alone{grey}", fontsize=8, color=FAINT)
    return figure
