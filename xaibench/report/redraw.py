"""Redraw everything a person reads from a run's records and maps: tables, figures, summary and page. No model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xaibench.records.run_folder import RunFolder
from xaibench.report import overlays
from xaibench.report.answer import answer
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
from xaibench.report.figures.sanity_checks import STEMS, Drawn, drawn_cascades, sanity_figures
from xaibench.report.figures.scaling import scaling_figure
from xaibench.report.figures.scores import scores_figure
from xaibench.report.figures.stopping import stopping_figure
from xaibench.report.figures.strip import strip_figure
from xaibench.report.figures.style import save
from xaibench.report.figures.validity import validity_figure
from xaibench.report.labels import Arm, arms
from xaibench.report.page.gallery import GalleryLink, images_per_page, write_gallery
from xaibench.report.page.image_orders import telling_images
from xaibench.report.page.page import latest_provenance, page_title, render_page
from xaibench.report.paper import draw_for_paper
from xaibench.report.pictures import Strip, pictured, pictured_names, spread_evenly, strips
from xaibench.report.sanity.checks import find_cascade
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.stopping import stopping_of
from xaibench.report.summaries import phase_costs
from xaibench.report.tables import Tables, make_tables, write_tables
from xaibench.report.trust.corruption_chains import chains_of
from xaibench.report.trust.metric_agreement import metric_titles
from xaibench.report.trust.trust import without_corrupted
from xaibench.report.writers import to_csv

ROWS_OF_GALLERY = 8


@dataclass(frozen=True)
class Report:
    """What was written: the page's path, and the tables for whoever wants to say more."""

    page: Path
    tables: Tables


@dataclass(frozen=True)
class _Run:
    """What figures are drawn from."""

    records: pd.DataFrame
    maps: Mapping[str, np.ndarray]
    tables: Tables
    order: list[Arm]
    labels: dict[Arm, str]
    categories: Sequence[str]
    device: str
    cascades: list[Drawn]


def write_report(
    folder: Path | str,
    *,
    difference: float | None = None,
    colour_map: str = overlays.COLOUR_MAP,
    paper: bool = False,
) -> Report:
    """Write tables/, figures/, summary.csv, report.html and, for a larger run, gallery/ of a run into its folder.

    Parameters
    ----------
    folder : path
        A run folder. What is missing in it (timing, sanity checks, maps) is missing in the report; nothing else is
        needed, no model and no torch.
    difference : float, optional
        A difference of means, in each metric's unit: the comparisons then tell how many images would find it, too.
    colour_map : str
        Of the maps laid over pictures, by matplotlib's name; the default is perceptually uniform and safe for
        colour-blind readers.
    paper : bool
        Whether to draw figures/paper/ as well: PDF at the width of one column and of two. Where that folder is there
        already, it is drawn in any case, so that it never shows older records.

    Returns
    -------
    Report
        The same records, maps and run.json give the same bytes.

    Raises
    ------
    RunFolderError
        If the folder holds no run.
    ValueError
        If the settings' ``verdict`` is no rule, the difference not above 0, or the colour map unknown.
    """
    with overlays.coloured(colour_map):
        return _write(RunFolder.open(Path(folder)), difference, paper=paper)


def _write(run: RunFolder, difference: float | None, *, paper: bool) -> Report:
    whole, maps, layers = run.records(), run.maps(), _layers(run.run)
    rule, chains = _rule(run.run), chains_of(run.run)
    records = without_corrupted(whole, chains)
    options: dict[str, Any] = {} if difference is None else {"difference": difference}
    stopping = stopping_of(run.run, records)
    tables = make_tables(whole, layers=layers, rule=rule, stopping=stopping, chains=chains, **options)
    order = arms(records, layers)
    device = str(latest_provenance(run.run).get("device") or "")
    cascades = drawn_cascades(records, order=order, rule=rule)
    parts = _Run(records, maps, tables, order, short_labels(order), _categories(run.run), device, cascades)
    write_tables(tables, run.path / "tables")
    (run.path / "summary.csv").write_text(to_csv(tables.summary), encoding="utf-8", newline="\n")
    draw_figures(parts, run.path / "figures")
    for_paper = run.path / "figures" / "paper"
    if paper or for_paper.exists():
        draw_for_paper(
            for_paper,
            records=records,
            tables=tables,
            order=order,
            labels=parts.labels,
            cascades=cascades,
            device=device,
        )
    page = run.path / "report.html"
    names = pictured_names(maps)
    gallery = _pages(parts, run.path, run.run, names)
    page.write_text(_page(parts, run.run, layers, gallery, names), encoding="utf-8", newline="\n")
    return Report(page, tables)


def draw_figures(parts: _Run, folder: Path) -> None:
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


def _page(
    parts: _Run, run: Mapping[str, Any], layers: Sequence[str] | None, gallery: Sequence[GalleryLink], names: list[str]
) -> str:
    chosen = telling_images(parts.tables, names, images_per_page(len(parts.order)))
    return render_page(
        parts.records,
        tables=parts.tables,
        answer=answer(parts.tables),
        run=run,
        pictured=pictured(parts.maps, parts.records, names=chosen, categories=parts.categories),
        strips=_strips(parts),
        cascades=parts.cascades,
        layers=layers,
        n_pictures=len(names),
        gallery=gallery,
    )


def _pages(parts: _Run, folder: Path, run: Mapping[str, Any], names: Sequence[str]) -> list[GalleryLink]:
    """Pages beside the report for the images that it cannot hold."""
    return write_gallery(
        folder, parts.maps, parts.records, names=names, tables=parts.tables, order=parts.order, labels=parts.labels,
        categories=parts.categories, title=page_title(run),
    )  # fmt: skip


def _curves(parts: _Run) -> Figure | None:
    curves = {metric: parts.tables.mean_curves(metric) for metric in ("deletion", "insertion")}
    return curves_figure(curves, labels=parts.labels) if any(curves.values()) else None


def _scores(parts: _Run) -> Figure | None:
    ranked = parts.tables.ranking
    return scores_figure(ranked, arms=parts.order, labels=parts.labels) if ranked else None


def _critical_difference(parts: _Run) -> Figure | None:
    return critical_difference_figure(parts.tables.ranking, arms=parts.order, labels=parts.labels)


def _convergence(parts: _Run) -> Figure | None:
    found = parts.tables.convergence
    return convergence_figure(found, arms=parts.order, labels=parts.labels) if found else None


def _gallery(parts: _Run) -> Figure | None:
    names = spread_evenly(pictured_names(parts.maps), ROWS_OF_GALLERY)
    rows = pictured(parts.maps, parts.records, names=names, categories=parts.categories)
    shown = [arm for arm in parts.order if any(arm in row.maps for row in rows)]
    return gallery_figure(rows, arms=shown, labels=parts.labels) if shown else None


def _strip(parts: _Run) -> Figure | None:
    found, cascade = _strips(parts), find_cascade(parts.records)
    if not found:
        return None
    modules, order = (cascade.modules, cascade.order) if cascade else ([], "top_down")
    return strip_figure(found[0], modules=modules, labels=_all_labels(parts, found[0].maps), order=order)


def _strips(parts: _Run) -> list[Strip]:
    """Return the strips with their arms in the run's order; those without records come last."""
    order = {arm: place for place, arm in enumerate(parts.order)}
    found = strips(parts.maps)
    rows = [sorted(strip.maps, key=lambda arm: order.get(arm, len(order))) for strip in found]
    return [
        replace(strip, maps={arm: strip.maps[arm] for arm in arms}) for strip, arms in zip(found, rows, strict=True)
    ]


def _cost(parts: _Run) -> Figure | None:
    costs = phase_costs(parts.records)
    measured = bool(path_phases(costs)) and len(path_layers(costs)) > 0
    return cost_figure(costs, device=parts.device) if measured else None


def _roofline(parts: _Run) -> Figure | None:
    table, limit = parts.tables.limits.get("roofline"), roof(parts.records)
    drawn = table is not None and len(drawable(table, limit)) > 0
    return roofline_figure(table, limit, device=parts.device) if table is not None and drawn else None


def _pareto(parts: _Run) -> Figure | None:
    found = parts.tables.cost_quality
    return pareto_figure(found, order=parts.order, labels=parts.labels, device=parts.device) if found else None


def _scaling(parts: _Run) -> Figure | None:
    return scaling_figure(grid_cells(parts.records), device=parts.device)


def _precision(parts: _Run) -> Figure | None:
    maps, scores = (parts.tables.grid.get(name) for name in ("precision_maps", "precision_scores"))
    return precision_figure(maps, scores, device=parts.device)


def _evaluator_sensitivity(parts: _Run) -> Figure | None:
    found = parts.tables.sensitivity
    return sensitivity_figure(found, labels=parts.labels) if found else None


def _stopping(parts: _Run) -> Figure | None:
    found = parts.tables.stopping
    return stopping_figure(found, arms=parts.order, labels=parts.labels) if found else None


def _metric_agreement(parts: _Run) -> Figure | None:
    table = parts.tables.trust.agreement
    return agreement_figure(table, titles=metric_titles(parts.tables.ranking)) if len(table) else None


def _validity(parts: _Run) -> Figure | None:
    found = parts.tables.trust.validity
    return validity_figure(found) if found else None


def _corruption(parts: _Run) -> Figure | None:
    found = parts.tables.trust.reactions
    return corruption_figure(found, arms=parts.order, labels=parts.labels) if found else None


_FIGURES: dict[str, Callable[[_Run], Figure | None]] = {
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


def _all_labels(parts: _Run, present: Mapping[Arm, object]) -> dict[Arm, str]:
    return {**short_labels(list(present)), **parts.labels}


def _rule(run: Mapping[str, Any]) -> SanityRule:
    """The rule of run.json: its own key, as it changes no value, or that of the settings."""
    return SanityRule.of(run if run.get("verdict") else run.get("settings"))


def _layers(run: Mapping[str, Any]) -> list[str] | None:
    """Layers from shallow to deep, where run.json says them."""
    settings = run.get("settings")
    found = run.get("layers") or (settings.get("layers") if isinstance(settings, Mapping) else None)
    return [str(layer) for layer in found] if isinstance(found, list) else None


def _categories(run: Mapping[str, Any]) -> list[str]:
    found = run.get("categories")
    return [str(name) for name in found] if isinstance(found, list) else []
