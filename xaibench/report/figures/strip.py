"""The randomization strip: one image's maps after each randomized module, one row an arm."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.montage import map_tile, montage_axes, plot_montage
from xaibench.report.figures.style import styled
from xaibench.report.labels import Arm
from xaibench.report.pictures import Strip
from xaibench.report.sanity.similarities import ORDERS

SIDE, GAP, FIRST_GAP = 88, (3, 3), 6
_INCH = 110  # pixels of the montage an inch


def plot_strip(axes: Axes, strip: Strip, *, modules: Sequence[str], labels: Mapping[Arm, str]) -> Axes:
    """Draw the maps of the trained model first, then those after each step of the cascade.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    strip : Strip
        One image with its maps by arm and step.
    modules : sequence of str
        Names of the modules by step; the first is the trained model.
    labels : mapping
        Name of each arm.
    """
    steps = steps_of(strip)
    tiles = [
        [map_tile(strip.picture, maps[step], strip.mask, SIDE) if step in maps else None for step in steps]
        for maps in strip.maps.values()
    ]
    tiles = [[tile and (tile[0], "") for tile in row] for row in tiles]  # hatching says it; there is no room for words
    plot_montage(axes, tiles, side=SIDE, gap=GAP, first_gap=FIRST_GAP)
    for i, arm in enumerate(strip.maps):
        axes.text(-8, i * (SIDE + GAP[0]) + SIDE / 2, labels[arm], fontsize=8, ha="right", va="center")
    for j, step in enumerate(steps):
        middle = j * (SIDE + GAP[1]) + (FIRST_GAP if j else 0) + SIDE / 2
        axes.text(middle, -6, module_name(step, modules), fontsize=7.5, ha="center", va="bottom")
    return axes


def strip_figure(strip: Strip, *, modules: Sequence[str], labels: Mapping[Arm, str], order: str = "top_down") -> Figure:
    """Draw the strip on a figure of its own; `order` is how the cascade went."""
    n_steps, longest = len(steps_of(strip)), max(len(labels[arm]) for arm in strip.maps)
    left = 0.2 + 0.075 * longest
    width = (n_steps * (SIDE + GAP[1]) + FIRST_GAP) / _INCH + left + 0.05
    height = (len(strip.maps) * (SIDE + GAP[0])) / _INCH + 0.5
    with styled():
        figure = Figure(figsize=(width, height), dpi=_INCH)
        axes = montage_axes(figure, left=left, bottom=0.25, top=0.25)
        plot_strip(axes, strip, modules=modules, labels=labels)
        axes.set_xlabel(f"{strip.name}  ·  {ORDERS.get(order, order)}", fontsize=8)
    return figure


def steps_of(strip: Strip) -> list[int]:
    """Steps for which any arm has a map."""
    return sorted({step for maps in strip.maps.values() for step in maps})


def module_name(step: int, modules: Sequence[str]) -> str:
    """Name of the module randomized in a step; ``trained`` for none."""
    if step == 0:
        return "trained"
    return modules[step] if step < len(modules) else f"step {step}"
