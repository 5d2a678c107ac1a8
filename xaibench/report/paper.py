"""Figures for a paper: PDF at the width of one column and of two, with embedded fonts of a size that can be read there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from xaibench.report.figures.cascade import cascade_figure
from xaibench.report.figures.convergence import convergence_figure
from xaibench.report.figures.cost import cost_figure, path_layers, path_phases
from xaibench.report.figures.critical_difference import critical_difference_figure
from xaibench.report.figures.curves import curves_figure
from xaibench.report.figures.sanity_checks import Drawn
from xaibench.report.figures.scores import scores_figure
from xaibench.report.figures.style import save_pdf
from xaibench.report.labels import Arm
from xaibench.report.summaries import phase_costs
from xaibench.report.tables import Tables

SINGLE, DOUBLE = 3.25, 7.0
"""Inches: 82.5 mm and 178 mm, what most venues print."""
_COLUMNS = {SINGLE: "single", DOUBLE: "double"}


def draw_for_paper(
    folder: Path,
    *,
    records: pd.DataFrame,
    tables: Tables,
    order: Sequence[Arm],
    labels: Mapping[Arm, str],
    cascades: Sequence[Drawn] = (),
    device: str = "",
) -> list[Path]:
    """Write ``NAME_single.pdf`` and ``NAME_double.pdf`` of every figure that makes sense in a paper.

    Parameters
    ----------
    folder : path
        Made where it does not exist; older figures of these names are removed.
    records, tables : DataFrame, Tables
        Records, and what was made of them.
    order, labels : sequence and mapping
        Arms as ordered, and their names.
    cascades : sequence of Drawn
        Randomization tests; the first cumulative one is drawn.
    device : str
        Named below the times.

    Returns
    -------
    list of Path
        The files; the same records give the same bytes.
    """
    written = []
    for name, draw in _figures(records, tables, order, labels, cascades, device):
        for width, column in _COLUMNS.items():
            figure = draw(width)
            if figure is not None:
                written.append(save_pdf(figure, folder / f"{name}_{column}.pdf"))
    for column in _COLUMNS.values():
        for file in folder.glob(f"*_{column}.pdf"):
            if file not in written:
                file.unlink()
    return written


def _figures(
    records: pd.DataFrame,
    tables: Tables,
    order: Sequence[Arm],
    labels: Mapping[Arm, str],
    cascades: Sequence[Drawn],
    device: str,
) -> Iterator[tuple[str, Callable[[float], Figure | None]]]:
    """Name each figure there is data for, and how to draw it at a width."""
    curves = {metric: tables.mean_curves(metric) for metric in ("deletion", "insertion")}
    if any(curves.values()):
        yield "curves", lambda width: curves_figure(curves, labels=labels, columns=_fitting(width, 3.0), width=width)
    ranked = tables.ranking
    if ranked:
        yield (
            "scores",
            lambda width: scores_figure(
                ranked, arms=order, labels=labels, columns=_fitting(width - 0.9, 1.5), width=width
            ),
        )
        yield (
            "critical_difference",
            lambda width: critical_difference_figure(ranked, arms=order, labels=labels, width=width),
        )
    if tables.convergence:
        yield (
            "convergence",
            lambda width: convergence_figure(tables.convergence, arms=order, labels=labels, width=width),
        )
    costs = phase_costs(records)
    if path_phases(costs) and len(path_layers(costs)):
        yield "cost", lambda width: cost_figure(costs, device=device, width=width)
    cascade = next((one for one in cascades if one.cascade.cumulative), None)
    if cascade is not None:
        panels = {
            name: {arm: line for arm, line in lines.items() if line.n_images} for name, lines in cascade.panels.items()
        }
        yield "cascade", lambda width: cascade_figure(
            panels, modules=cascade.cascade.modules, labels=labels, bands=cascade.bands, order=cascade.cascade.order,
            columns=_fitting(width, 3.2), width=width,
        )  # fmt: skip


def _fitting(width: float, panel: float) -> int:
    """Panels of so many inches beside each other."""
    return max(1, int(width / panel))
