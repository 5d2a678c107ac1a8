"""The timing grid as the page shows it: pictures inside the page, and what they say in words."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from xaibench.report.cost.grid import grid_cells
from xaibench.report.figures.precision import precision_figure
from xaibench.report.figures.scaling import scaling_figure
from xaibench.report.figures.style import styled


@dataclass(frozen=True)
class Drawing:
    """A picture inside the page: a title, words for who cannot see it, and an SVG as a data address."""

    title: str
    text: str
    source: str


@dataclass(frozen=True)
class ScalingView:
    """What the page says of a timing grid.

    Attributes
    ----------
    drawings : list of Drawing
    missing : list of (str, str)
        Conditions that could not be timed, and why.
    """

    drawings: list[Drawing]
    missing: list[tuple[str, str]]


def scaling_view(records: pd.DataFrame, *, grid: Mapping[str, pd.DataFrame], device: str = "") -> ScalingView | None:
    """Lay out the grid's pictures; None where no grid was timed.

    Parameters
    ----------
    records : DataFrame
    grid : mapping of str to DataFrame
        Tables of the grid, by name.
    device : str
        Named below the pictures.
    """
    cells = grid_cells(records)
    if not cells:
        return None
    figures = [
        (
            "How the cost grows",
            "Milliseconds an image of each phase against images at once, the image's side and layers at once, on logarithmic "
            "axes. A level line for images at once is work that gains nothing from a larger batch. The table of the grid "
            "has the numbers.",
            scaling_figure(cells, device=device),
        ),
        (
            "Less precision and its price",
            "Error against float64 over speed-up: of the heatmap at each layer on the left, of the scores on the right. The "
            "tables of precision have the numbers.",
            precision_figure(grid.get("precision_maps"), grid.get("precision_scores"), device=device),
        ),
    ]
    drawings = [Drawing(title, text, _inline(figure)) for title, text, figure in figures if figure is not None]
    missing = [(f"{cell.sweep.replace('_', ' ')} {cell.level}", cell.reason) for cell in cells if cell.status != "ok"]
    return ScalingView(drawings, missing)


def _inline(figure: Figure) -> str:
    """Write a figure as the address of an SVG that lies in the address itself; the same figure, the same text."""
    file = io.BytesIO()
    with styled():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode("ascii")
