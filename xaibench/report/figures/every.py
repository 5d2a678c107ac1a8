"""Every figure of a run: which there are, and which there is data for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xaibench.report.arms import short_labels
from xaibench.report.cost.grid import grid_cells
from xaibench.report.cost.limits import roof
from xaibench.report.figures.convergence import convergence_figure
from xaibench.report.figures.corruption import corruption_figure
from xaibench.report.figures.cost import cost_figure, path_layers, path_phases
from xaibench.report.figures.critical_difference import critical_difference_figure
from xaibench.report.figures.curves import curves_figure
from xaibench.report.figures.evaluator_sensitivity import sensitivity_figure
from xaibench.report.figures.gallery import gallery_figure
from xaibench.report.figures.metric_agreement import agreement_figure
from xaibench.report.figures.pareto import pareto_figure
from xaibench.report.figures.precision import precision_figure
from xaibench.report.figures.roofline import drawable, roofline_figure
from xaibench.report.figures.sanity_checks import STEMS, Drawn, sanity_figures
from xaibench.report.figures.scaling import scaling_figure
from xaibench.report.figures.scores import scores_figure
from xaibench.report.figures.stopping import stopping_figure
from xaibench.report.figures.strip import strip_figure
from xaibench.report.figures.style import save
from xaibench.report.figures.validity import validity_figure
from xaibench.report.labels import Arm
from xaibench.report.pictures import Strip, pictured, pictured_names, spread_evenly, strips
from xaibench.report.sanity.checks import find_cascade
from xaibench.report.summaries import phase_costs
from xaibench.report.tables import Tables
from xaibench.report.trust.metric_agreement import metric_titles

ROWS_OF_GALLERY = 8


@dataclass(frozen=True)
class RunParts:
    """What figures are drawn from."""

    records: pd.DataFrame
    maps: Mapping[str, np.ndarray]
    tables: Tables
    order: list[Arm]
    labels: dict[Arm, str]
    categories: Sequence[str]
    device: str
    cascades: list[Drawn]


def draw_figures(parts: RunParts, folder: Path) -> None:
    """Draw every figure there is data for; remove an older one where there is none any more."""
    written = set()
    sanity = sanity_figures(parts.cascades, parts.tables.findings, labels=parts.labels)
    every: list[tuple[str, Callable[[], Figure | None]]] = [(name, partial(_FIGURES[name], parts)) for name in _FIGURES]
    for name, draw in [*every, *sanity]:
        figure = draw()
        if figure is not None:
            save(figure, folder, name)
            written.add(name)
    for stem in (*_FIGURES, *STEMS):
        for file in folder.glob(f"{stem}*"):
            if file.suffix in (".png", ".svg") and file.stem not in written:
                file.unlink()


def _curves(parts: RunParts) -> Figure | None:
    curves = {metric: parts.tables.mean_curves(metric) for metric in ("deletion", "insertion")}
    return curves_figure(curves, labels=parts.labels) if any(curves.values()) else None


def _scores(parts: RunParts) -> Figure | None:
    ranked = parts.tables.ranking
    return scores_figure(ranked, arms=parts.order, labels=parts.labels) if ranked else None


def _critical_difference(parts: RunParts) -> Figure | None:
    return critical_difference_figure(parts.tables.ranking, arms=parts.order, labels=parts.labels)


def _convergence(parts: RunParts) -> Figure | None:
    found = parts.tables.convergence
    return convergence_figure(found, arms=parts.order, labels=parts.labels) if found else None


def _gallery(parts: RunParts) -> Figure | None:
    names = spread_evenly(pictured_names(parts.maps), ROWS_OF_GALLERY)
    rows = pictured(parts.maps, parts.records, names=names, categories=parts.categories)
    shown = [arm for arm in parts.order if any(arm in row.maps for row in rows)]
    return gallery_figure(rows, arms=shown, labels=parts.labels) if shown else None


def _strip(parts: RunParts) -> Figure | None:
    found, cascade = ordered_strips(parts), find_cascade(parts.records)
    if not found:
        return None
    modules, order = (cascade.modules, cascade.order) if cascade else ([], "top_down")
    return strip_figure(found[0], modules=modules, labels=_all_labels(parts, found[0].maps), order=order)


def ordered_strips(parts: RunParts) -> list[Strip]:
    """Return the strips with their arms in the run's order; those without records come last."""
    order = {arm: place for place, arm in enumerate(parts.order)}
    found = strips(parts.maps)
    rows = [sorted(strip.maps, key=lambda arm: order.get(arm, len(order))) for strip in found]
    return [
        replace(strip, maps={arm: strip.maps[arm] for arm in arms}) for strip, arms in zip(found, rows, strict=True)
    ]


def _cost(parts: RunParts) -> Figure | None:
    costs = phase_costs(parts.records)
    measured = bool(path_phases(costs)) and len(path_layers(costs)) > 0
    return cost_figure(costs, device=parts.device) if measured else None


def _roofline(parts: RunParts) -> Figure | None:
    table, limit = parts.tables.limits.get("roofline"), roof(parts.records)
    drawn = table is not None and len(drawable(table, limit)) > 0
    return roofline_figure(table, limit, device=parts.device) if table is not None and drawn else None


def _pareto(parts: RunParts) -> Figure | None:
    found = parts.tables.cost_quality
    return pareto_figure(found, order=parts.order, labels=parts.labels, device=parts.device) if found else None


def _scaling(parts: RunParts) -> Figure | None:
    return scaling_figure(grid_cells(parts.records), device=parts.device)


def _precision(parts: RunParts) -> Figure | None:
    maps, scores = (parts.tables.grid.get(name) for name in ("precision_maps", "precision_scores"))
    return precision_figure(maps, scores, device=parts.device)


def _evaluator_sensitivity(parts: RunParts) -> Figure | None:
    found = parts.tables.sensitivity
    return sensitivity_figure(found, labels=parts.labels) if found else None


def _stopping(parts: RunParts) -> Figure | None:
    found = parts.tables.stopping
    return stopping_figure(found, arms=parts.order, labels=parts.labels) if found else None


def _metric_agreement(parts: RunParts) -> Figure | None:
    table = parts.tables.trust.agreement
    return agreement_figure(table, titles=metric_titles(parts.tables.ranking)) if len(table) else None


def _validity(parts: RunParts) -> Figure | None:
    found = parts.tables.trust.validity
    return validity_figure(found) if found else None


def _corruption(parts: RunParts) -> Figure | None:
    found = parts.tables.trust.reactions
    return corruption_figure(found, arms=parts.order, labels=parts.labels) if found else None


_FIGURES: dict[str, Callable[[RunParts], Figure | None]] = {
    "curves": _curves,
    "scores": _scores,
    "critical_difference": _critical_difference,
    "convergence": _convergence,
    "stopping": _stopping,
    "evaluator_sensitivity": _evaluator_sensitivity,
    "metric_agreement": _metric_agreement,
    "validity": _validity,
    "corruption": _corruption,
    "gallery": _gallery,
    "strip": _strip,
    "cost": _cost,
    "pareto": _pareto,
    "roofline": _roofline,
    "scaling": _scaling,
    "precision": _precision,
}


def _all_labels(parts: RunParts, present: Mapping[Arm, object]) -> dict[Arm, str]:
    return {**short_labels(list(present)), **parts.labels}
