"""Maps of a network trained on permuted labels against those of the control: a pair of bars for each arm."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, INK, new_figure, styled
from xaibench.report.labels import Arm
from xaibench.report.sanity.similarities import title

BARS = {
    "permuted": ("trained on permuted labels", "#D55E00"),
    "control": ("trained anew on the true labels", "#0072B2"),
}
_COLUMNS = 3


def plot_data_randomization(axes: Axes, table: pd.DataFrame, *, labels: Mapping[Arm, str]) -> Axes:
    """Draw both bars of each arm, from the top down, with intervals; what is undefined says so.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        Rows of `data_randomization` of one similarity.
    labels : mapping
        Name of each arm.
    """
    for i, (name, (words, colour)) in enumerate(BARS.items()):
        places = np.arange(len(table)) + (i - 0.5) * 0.36
        axes.barh(places, table[name], height=0.34, color=colour, label=words)
        axes.hlines(places, table[f"{name}_low"], table[f"{name}_high"], color=INK, linewidth=0.9)
        for place in places[table[name].isna()]:
            axes.text(0.01, place, "undefined", fontsize=6, color=FAINT, va="center")
    names = [labels[arm] for arm in zip(table["explainer"], table["layer"], strict=True)]
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.45, -0.55)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return axes


def data_randomization_figure(table: pd.DataFrame, *, labels: Mapping[Arm, str]) -> Figure:
    """Draw a panel for each similarity, in rows of three."""
    variants = list(dict.fromkeys(table["variant"]))
    arms = list(dict.fromkeys(zip(table["explainer"], table["layer"], strict=True)))
    panels = [_aligned(table[table["variant"] == variant], arms) for variant in variants]
    columns = min(_COLUMNS, len(variants))
    n_rows = -(-len(variants) // columns)
    with styled():
        figure = new_figure(2.7 * columns + 1.3, n_rows * (0.27 * len(arms) + 0.5) + 0.7)
        shown = figure.subplots(n_rows, columns, squeeze=False, sharey=True).ravel()
        for axes, variant, panel in zip(shown, variants, panels, strict=False):
            plot_data_randomization(axes, panel, labels=labels)
            axes.set_title(title(variant))
        for axes in shown[len(variants) :]:
            axes.set_visible(False)
        figure.supxlabel("similarity with the trained model's map, 95 % intervals", fontsize=8, color=FAINT)
        figure.legend(*shown[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _aligned(rows: pd.DataFrame, arms: Sequence[Arm]) -> pd.DataFrame:
    """Give every panel the same arms: they share their names."""
    return (
        rows.set_index(["explainer", "layer"])
        .reindex(pd.MultiIndex.from_tuples(arms))
        .rename_axis(["explainer", "layer"])
        .reset_index()
    )
