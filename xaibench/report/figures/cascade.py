"""Does the map depend on what the model learned? Similarity with the trained model's map, module after module."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.sanity.calibration import Band
from xaibench.report.sanity.similarities import ORDERS, title
from xaibench.report.summaries import MeanLine


def plot_cascade(
    axes: Axes,
    lines: Mapping[Arm, MeanLine],
    *,
    modules: Sequence[str],
    styles: Mapping[Arm, ArmStyle],
    labels: Mapping[Arm, str],
    bands: Mapping[Arm, Band] | None = None,
) -> Axes:
    """Draw the similarity of each arm against the module randomized last.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    lines : mapping of arm to MeanLine
        Similarity against the number of modules randomized.
    modules : sequence of str
        Names of the modules by step; the first is the trained model.
    styles, labels : mapping
        Look and name of each arm.
    bands : mapping of arm to Band, optional
        Similarity of unrelated maps: an upright bar for each arm on the right, where the lines end.
    """
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for arm, line in lines.items():
        style = styles[arm]
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.1, linewidth=0)
        look: dict[str, Any] = {"color": style.colour, "linestyle": style.line, "marker": style.marker}
        axes.plot(line.x, line.mean, label=labels[arm], markersize=2.8, linewidth=1.3, **look)
    places: list[float] = [*range(len(modules))]
    names = [module or "trained" for module in modules]
    right = len(modules) - 0.7
    known = {arm: bands[arm] for arm in lines if arm in bands and bands[arm].pairs} if bands else {}
    if known:
        width = max(1.6, 0.09 * len(modules), 0.28 * len(known))
        left, right = right + 0.1, right + 0.1 + width
        axes.axvspan(left, right, color="#f0f0f0", linewidth=0, zorder=0)
        for i, (arm, band) in enumerate(known.items()):
            x = left + width * (i + 0.5) / len(known)
            axes.plot([x, x], [band.low, band.high], color=styles[arm].colour, linewidth=1.7, solid_capstyle="butt")
        places, names = [*places, left + width / 2], [*names, "unrelated"]
    axes.set_xticks(places, names, rotation=90)
    axes.set_xlim(-0.3, right)
    axes.grid(axis="y")
    undefined = sum(line.n_undefined for line in lines.values())
    if undefined:
        place: dict[str, Any] = {"xy": (1, 1.02), "xycoords": "axes fraction", "ha": "right", "va": "bottom"}
        axes.annotate(f"{undefined} undefined left out", fontsize=6.5, color=FAINT, **place)
    return axes


def cascade_figure(
    panels: Mapping[str, Mapping[Arm, MeanLine]],
    *,
    modules: Sequence[str],
    labels: Mapping[Arm, str],
    bands: Mapping[str, Mapping[Arm, Band]] | None = None,
    order: str = "top_down",
    columns: int = 3,
    width: float | None = None,
) -> Figure:
    """Draw one panel for each similarity, in rows of `columns`, with one key for all.

    Parameters
    ----------
    panels : mapping of similarity to lines
    modules, labels
        See `plot_cascade`.
    bands : mapping of similarity to bands, optional
        See `plot_cascade`.
    order : str
        How the cascade went.
    columns : int
        Panels beside each other.
    width : float, optional
        Of the figure, in inches; by the columns where not given.
    """
    drawn = {similarity: lines for similarity, lines in panels.items() if lines}
    styles = arm_styles(list(dict.fromkeys(arm for lines in drawn.values() for arm in lines)))
    columns = min(columns, len(drawn))
    n_rows = math.ceil(len(drawn) / columns)
    per_row = 2 * columns if width is None else max(2, int(width))
    with styled():
        figure = new_figure(width or 3.4 * columns + 0.6, 3.1 * n_rows + 0.4 + 0.17 * math.ceil(len(styles) / per_row))
        shown = figure.subplots(n_rows, columns, squeeze=False, sharey=True).ravel()
        for axes, (similarity, lines) in zip(shown, drawn.items(), strict=False):
            own = (bands or {}).get(similarity)
            plot_cascade(axes, lines, modules=modules, styles=styles, labels=labels, bands=own)
            axes.set_title(title(similarity))
            if width is not None:
                axes.tick_params(axis="x", labelsize=6.5)
        for axes in shown[len(drawn) :]:
            axes.set_visible(False)
        figure.supylabel("similarity with the trained model's map", fontsize=8.5)
        unrelated = "  ·  grey: 95 % of pairs of unrelated maps" if bands and any(bands.values()) else ""
        words = ORDERS.get(order, order) + unrelated
        figure.supxlabel(
            words if width is None else words.replace("  ·  ", "\n").replace(" (", "\n("),
            fontsize=8.5 if width is None else 7,
        )
        handles, names = shown[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=min(per_row, len(styles)))
    return figure
