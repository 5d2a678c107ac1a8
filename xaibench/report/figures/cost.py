"""What an explanation costs: milliseconds an image in each phase, for each layer, against plain inference."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, INK, new_figure, set_small, styled
from xaibench.timing.vocabulary import EXPLANATION_PATH, FORWARD, FULL_BACKWARD, INFERENCE, INPUT_BACKWARD

_FULL = {
    INPUT_BACKWARD: ("^", "#CC79A7", "with a backward to the image"),
    FULL_BACKWARD: ("D", "#D55E00", "with a full backward"),
}
"""Where an explanation would end that goes back further than to its layer: mark, colour and words."""

_COLOURS = {
    phase: mpl.colors.to_hex(mpl.colormaps["cividis"](place))
    for phase, place in zip(EXPLANATION_PATH, np.linspace(0.15, 0.95, len(EXPLANATION_PATH)), strict=True)
}


def path_phases(costs: pd.DataFrame) -> list[str]:
    """Those phases of the explanation path that were measured, in the order in which they run."""
    return [phase for phase in EXPLANATION_PATH if phase in costs.columns]


def path_layers(costs: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of layers, for which the path was measured."""
    return costs[costs[path_phases(costs)].notna().any(axis=1)]


def shared_cost(costs: pd.DataFrame, phase: str) -> float:
    """Time of a phase that belongs to no layer: the median of what there is, NaN where nothing is."""
    return float(costs[phase].median()) if phase in costs.columns else float("nan")


def phase_colour(phase: str) -> str:
    """Colour of a phase, along cividis, which is uniform and safe for colour-blind readers."""
    return _COLOURS[phase]


def words(phase: str) -> str:
    """Write a phase's name for people."""
    return phase.replace("_", " ")


def layers_in_words(layer: str) -> str:
    """Name of a layer, or how many are explained together."""
    return f"{layer.count('+') + 1} layers together" if "+" in layer else layer


def plot_cost(axes: Axes, costs: pd.DataFrame) -> Axes:
    """Draw a stacked bar for each layer, a line at plain inference and marks where full backwards would end.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    costs : DataFrame
        Milliseconds an image; one row a layer, one column a phase; NaN where not measured.
    """
    layers = path_layers(costs)
    places, end = np.arange(len(layers)), np.zeros(len(layers))
    for phase in path_phases(costs):
        duration = layers[phase].fillna(0).to_numpy()
        axes.barh(places, duration, left=end, height=0.62, color=phase_colour(phase), label=words(phase))
        end = end + duration
    inference = shared_cost(costs, INFERENCE)
    if not np.isnan(inference):
        axes.axvline(inference, color=INK, linestyle=(0, (4, 2)), label="plain inference")
    for phase, (marker, colour, meaning) in _FULL.items():
        full = shared_cost(costs, phase)
        if not np.isnan(full) and FORWARD in layers:
            axes.plot(layers[FORWARD] + full, places, marker, color=colour, markersize=5, label=meaning)
    axes.set_yticks(
        places,
        [f"{layers_in_words(str(layer))}   {total:.3g} ms" for layer, total in zip(layers.index, end, strict=True)],
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    return axes


def cost_figure(costs: pd.DataFrame, *, device: str = "", width: float = 7.4) -> Figure:
    """Draw the cost of the path at each layer; `device` is named below, as times mean nothing without it.

    `width` in inches; the key stands below where there is no room beside.
    """
    narrow = width < 5
    with styled():
        figure = new_figure(width, 0.36 * len(path_layers(costs)) + (2.1 if narrow else 1.3))
        axes = plot_cost(figure.subplots(), costs)
        axes.set_title("Time for one explanation")
        axes.set_xlabel("milliseconds an image, median" + (f"  ·  {device}" if device else ""), color=FAINT)
        if narrow:
            set_small(axes)
            axes.set_xlabel(axes.get_xlabel().replace("  ·  ", "\n"))
            figure.legend(loc="outside lower center", ncols=2, fontsize=6.5)
        else:
            figure.legend(loc="outside right center")
    return figure
