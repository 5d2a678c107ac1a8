"""Deletion and insertion: the mean curve of every arm with its 95 % band."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import ArmStyle, arm_styles, new_figure, set_small, styled
from xaibench.report.labels import Arm
from xaibench.report.summaries import MeanLine

X_LABELS = {"deletion": "fraction of pixels removed", "insertion": "fraction of pixels inserted"}


def plot_curves(
    axes: Axes,
    lines: Mapping[Arm, MeanLine],
    *,
    styles: Mapping[Arm, ArmStyle],
    labels: Mapping[Arm, str],
    lower_is_better: bool,
) -> Axes:
    """Draw mean curves with bands; the key lists them best first, each with the area under it.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    lines : mapping of arm to MeanLine
        Score against the fraction of pixels.
    styles, labels : mapping
        Look and name of each arm.
    lower_is_better : bool
        Whether a small area is good, as in deletion.
    """
    areas = {arm: line.area for arm, line in lines.items()}
    for arm in sorted(lines, key=lambda arm: areas[arm], reverse=not lower_is_better):
        line, style = lines[arm], styles[arm]
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.13, linewidth=0)
        text = f"{areas[arm]:.3f}  {labels[arm]}"
        axes.plot(line.x, line.mean, color=style.colour, linestyle=style.line, label=text)
    axes.grid(axis="y")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.legend(
        title="area, best first",
        loc="upper right" if lower_is_better else "lower right",
        alignment="left",
        labelspacing=0.3,
        frameon=True,
        framealpha=0.8,
        edgecolor="none",
    )
    return axes


def curves_figure(
    curves: Mapping[str, Mapping[Arm, MeanLine]],
    *,
    labels: Mapping[Arm, str],
    columns: int | None = None,
    width: float | None = None,
) -> Figure:
    """Draw one panel for each metric that has curves, by its name; side by side, or in rows of `columns`.

    `width` is the figure's in inches, 4.3 for each column where not given.
    """
    drawn = {metric: lines for metric, lines in curves.items() if lines}
    styles = arm_styles(list(dict.fromkeys(arm for lines in drawn.values() for arm in lines)))
    with styled():
        columns = min(columns or len(drawn), len(drawn))
        lines_of_panels = math.ceil(len(drawn) / columns)
        figure = new_figure(width or 4.3 * columns, lines_of_panels * min(3.7, (width or 9) / columns))
        panels = figure.subplots(lines_of_panels, columns, squeeze=False, sharey=True)
        for axes, (metric, lines) in zip(panels.ravel(), drawn.items(), strict=False):
            lower = metric == "deletion"
            plot_curves(axes, lines, styles=styles, labels=labels, lower_is_better=lower)
            n_images = max(line.n_images for line in lines.values())
            axes.set_title(f"{metric.capitalize()} ({'lower' if lower else 'higher'} is better)")
            axes.set_xlabel(f"{X_LABELS.get(metric, 'fraction of pixels')}  ·  n = {n_images} images, 95 % bands")
            if width is not None:
                set_small(axes)
        for axes in panels[:, 0]:
            axes.set_ylabel("score of the target class")
    return figure
