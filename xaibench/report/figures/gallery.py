"""Images × arms: what the network saw, and what each arm says it looked at."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.montage import map_tile, montage_axes, picture_tile, plot_montage
from xaibench.report.figures.style import INK, styled
from xaibench.report.labels import Arm
from xaibench.report.pictures import Pictured

SIDE, GAP, FIRST_GAP = 144, (40, 4), 6
_INCH = 120  # pixels of the montage an inch
_WRONG = "#b3261e"


def plot_gallery(axes: Axes, rows: Sequence[Pictured], *, arms: Sequence[Arm], labels: Mapping[Arm, str]) -> Axes:
    """Draw one row for each image and one column for each arm, the picture itself in the first.

    Objects are outlined; a degenerate map is hatched and says why; a picture's title says its class and what was
    explained, in red where the model is wrong.
    """
    tiles = [
        [
            picture_tile(shown.picture, shown.mask, SIDE),
            *(map_tile(shown.picture, shown.maps[a], shown.mask, SIDE) if a in shown.maps else None for a in arms),
        ]
        for shown in rows
    ]
    plot_montage(axes, tiles, side=SIDE, gap=GAP, first_gap=FIRST_GAP)
    for i, shown in enumerate(rows):
        colour = _WRONG if shown.correct is False else INK
        axes.text(0, i * (SIDE + GAP[0]) - 5, caption(shown), fontsize=7, color=colour, va="bottom", linespacing=1.1)
    for j, arm in enumerate(arms, start=1):
        middle = j * (SIDE + GAP[1]) + FIRST_GAP + SIDE / 2
        axes.text(middle, -8, labels[arm], fontsize=8, fontweight="bold", ha="center", va="bottom")
    return axes


def caption(shown: Pictured) -> str:
    """Say what an image shows and what was explained: ``star``, below it ``explained: square 0.62``."""
    sure = "" if np.isnan(shown.confidence) else f" {shown.confidence:.2f}"
    if not shown.label:
        return f"explained: {shown.predicted}{sure}" if shown.predicted else shown.name
    if shown.label == shown.predicted:
        return f"{shown.label}{sure}"
    return f"{shown.label}\nexplained: {shown.predicted}{sure}" if shown.predicted else shown.label


def gallery_figure(rows: Sequence[Pictured], *, arms: Sequence[Arm], labels: Mapping[Arm, str]) -> Figure:
    """Draw the gallery on a figure of its own."""
    width = ((len(arms) + 1) * (SIDE + GAP[1]) + FIRST_GAP) / _INCH
    height = (len(rows) * (SIDE + GAP[0]) - GAP[0]) / _INCH
    with styled():
        figure = Figure(figsize=(width + 0.1, height + 0.45), dpi=_INCH)
        plot_gallery(montage_axes(figure, left=0.05, bottom=0.05, top=0.4), rows, arms=arms, labels=labels)
    return figure
