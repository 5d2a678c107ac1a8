"""How the cost of an explanation grows with the batch, the image's side and the number of layers."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy import ndarray

from xaibench.report.cost.grid import GridCell
from xaibench.report.figures.cost import phase_colour, words
from xaibench.report.figures.style import FAINT, INK, new_figure, styled
from xaibench.timing.vocabulary import EXPLANATION_PATH

LABELS = {"batch_size": "images at once", "image_size": "side of the image, px", "n_layers": "layers at once"}
"""What is drawn along an x axis, in this order."""

DRAWN_SHARE = 1e-3
"""A phase below this part of the whole at every level would only stretch the axis."""

_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def scaling_sweeps(cells: Sequence[GridCell]) -> dict[str, list[GridCell]]:
    """Cells of each sweep that can be drawn: timed at two levels or more, in ascending order."""
    found = {}
    for factor in LABELS:
        own = [cell for cell in cells if cell.sweep == factor and len(cell.explanation)]
        if len({cell.value(factor) for cell in own}) > 1:
            found[factor] = sorted(own, key=lambda cell: int(cell.value(factor)))
    return found


def plot_scaling(axes: Axes, cells: Sequence[GridCell], factor: str, *, phases: Sequence[str]) -> Axes:
    """Draw each phase, the whole explanation and plain inference against a factor, on logarithmic axes.

    Parameters
    ----------
    axes : Axes
    cells : sequence of GridCell
        Of one sweep, ascending.
    factor : str
        On the x axis, a key of `LABELS`.
    phases : sequence of str
        Which to draw.
    """
    x = np.array([cell.value(factor) for cell in cells], dtype=float)
    _line(axes, x, [cell.inference for cell in cells], FAINT, "plain inference", linestyle="--", marker="")
    for phase, marker in zip(phases, _MARKERS, strict=False):
        repetitions = [cell.phases[phase] for cell in cells]
        _line(axes, x, repetitions, phase_colour(phase), words(phase), linestyle="-", marker=marker)
    whole = [cell.explanation for cell in cells]
    _line(axes, x, whole, INK, "explanation, in all", linestyle="-", marker="")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([float(value) for value in x]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(LABELS[factor])
    axes.grid(axis="y")
    return axes


def scaling_figure(cells: Sequence[GridCell], *, device: str = "") -> Figure | None:
    """Draw a panel for each factor that was swept; None where none was. Bands are the repetitions' quartiles."""
    sweeps = scaling_sweeps(cells)
    if not sweeps:
        return None
    phases = drawn_phases([cell for own in sweeps.values() for cell in own])
    with styled():
        figure = new_figure(2.5 * len(sweeps) + 2.0, 3.3)
        panels = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
        for axes, (factor, own) in zip(panels, sweeps.items(), strict=True):
            plot_scaling(axes, own, factor, phases=phases)
        panels[0].set_ylabel("milliseconds an image")
        panels[0].set_title("How the cost grows")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        if device:
            figure.supxlabel(f"medians and quartiles of the repetitions  ·  {device}", fontsize=7.5, color=FAINT)
    return figure


def drawn_phases(cells: Sequence[GridCell]) -> list[str]:
    """Phases that were timed in every cell and are worth a line."""
    return [
        phase
        for phase in EXPLANATION_PATH
        if all(phase in cell.phases for cell in cells)
        and any(np.median(cell.phases[phase]) > DRAWN_SHARE * np.median(cell.explanation) for cell in cells)
    ]


def _line(
    axes: Axes,
    x: Float[ndarray, " levels"],
    repetitions: Sequence[Float[ndarray, " _"]],
    colour: str,
    label: str,
    *,
    linestyle: str,
    marker: str,
) -> None:
    """Draw medians with a band between the quartiles; nothing where a level has no repetition."""
    if not all(len(values) for values in repetitions):
        return
    low, middle, high = np.array([np.quantile(values, [0.25, 0.5, 0.75]) for values in repetitions]).T
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, middle, color=colour, label=label, linestyle=linestyle, marker=marker, markersize=4)
