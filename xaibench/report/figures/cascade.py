"""Does the map depend on what the model learned? Similarity with the trained model's map, module after module."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.summaries import MeanLine

TITLES = {"spearman": "Spearman, signed", "spearman_abs": "Spearman, absolute", "ssim": "SSIM"}


def plot_cascade(
    axes: Axes,
    lines: Mapping[Arm, MeanLine],
    *,
    modules: Sequence[str],
    styles: Mapping[Arm, ArmStyle],
    labels: Mapping[Arm, str],
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
    """
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for arm, line in lines.items():
        style = styles[arm]
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.13, linewidth=0)
        look: dict[str, Any] = {"color": style.colour, "linestyle": style.line, "marker": style.marker}
        axes.plot(line.x, line.mean, label=labels[arm], markersize=3.2, **look)
    axes.set_xticks(range(len(modules)), [module or "trained" for module in modules], rotation=90)
    axes.set_xlim(-0.3, len(modules) - 0.7)
    axes.grid(axis="y")
    undefined = sum(line.n_undefined for line in lines.values())
    if undefined:
        place: dict[str, Any] = {"xy": (1, 1), "xycoords": "axes fraction", "ha": "right", "va": "top"}
        axes.annotate(f"{undefined} undefined values left out", fontsize=7, color=FAINT, **place)
    return axes


def cascade_figure(
    panels: Mapping[str, Mapping[Arm, MeanLine]], *, modules: Sequence[str], labels: Mapping[Arm, str]
) -> Figure:
    """Draw one panel for each similarity, with one key for all."""
    drawn = {similarity: lines for similarity, lines in panels.items() if lines}
    styles = arm_styles(list(dict.fromkeys(arm for lines in drawn.values() for arm in lines)))
    with styled():
        figure = new_figure(3.4 * len(drawn) + 0.6, 3.6)
        shown = figure.subplots(1, len(drawn), squeeze=False, sharey=True)[0]
        for axes, (similarity, lines) in zip(shown, drawn.items(), strict=True):
            plot_cascade(axes, lines, modules=modules, styles=styles, labels=labels)
            axes.set_title(TITLES.get(similarity, similarity))
        shown[0].set_ylabel("similarity with the trained model's map")
        figure.supxlabel("randomized last (all before it stay randomized)", fontsize=8.5)
        figure.legend(*shown[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(6, len(styles)))
    return figure
