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
from xaibench.report.answer import answer
from xaibench.report.arms import short_labels
from xaibench.report.checks import find_cascade
from xaibench.report.figures.cost import cost_figure, path_layers, path_phases
from xaibench.report.figures.curves import curves_figure
from xaibench.report.figures.evaluator_sensitivity import sensitivity_figure
from xaibench.report.figures.gallery import gallery_figure
from xaibench.report.figures.scores import scores_figure
from xaibench.report.figures.strip import strip_figure
from xaibench.report.figures.style import save
from xaibench.report.labels import Arm, arms
from xaibench.report.page import latest_provenance, render_page
from xaibench.report.pictures import Strip, pictured, pictured_names, spread_evenly, strips
from xaibench.report.sanity_figures import STEMS, Drawn, drawn_cascades, sanity_figures
from xaibench.report.sanity_rule import SanityRule
from xaibench.report.summaries import mean_curves, phase_costs
from xaibench.report.tables import Tables, make_tables, write_tables
from xaibench.report.writers import to_csv

PICTURES_ON_PAGE = 48
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


def write_report(folder: Path | str) -> Report:
    """Write tables/, figures/, summary.csv and report.html of a run into its folder.

    Parameters
    ----------
    folder : path
        A run folder. What is missing in it (timing, sanity checks, maps) is missing in the report; nothing else is
        needed, no model and no torch.

    Returns
    -------
    Report
        The same records, maps and run.json give the same bytes.

    Raises
    ------
    RunFolderError
        If the folder holds no run.
    ValueError
        If the settings' ``verdict`` is no rule.
    """
    run = RunFolder.open(Path(folder))
    records, maps, layers = run.records(), run.maps(), _layers(run.run)
    rule = _rule(run.run)
    tables = make_tables(records, layers=layers, rule=rule)
    order = arms(records, layers)
    device = str(latest_provenance(run.run).get("device") or "")
    cascades = drawn_cascades(records, order=order, rule=rule)
    parts = _Run(records, maps, tables, order, short_labels(order), _categories(run.run), device, cascades)
    write_tables(tables, run.path / "tables")
    (run.path / "summary.csv").write_text(to_csv(tables.summary), encoding="utf-8", newline="\n")
    draw_figures(parts, run.path / "figures")
    page = run.path / "report.html"
    page.write_text(_page(parts, run.run, layers), encoding="utf-8", newline="\n")
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


def _page(parts: _Run, run: Mapping[str, Any], layers: Sequence[str] | None) -> str:
    names = pictured_names(parts.maps)
    chosen = spread_evenly(names, PICTURES_ON_PAGE)
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
    )


def _curves(parts: _Run) -> Figure | None:
    curves = {metric: mean_curves(parts.records, metric) for metric in ("deletion", "insertion")}
    return curves_figure(curves, labels=parts.labels) if any(curves.values()) else None


def _scores(parts: _Run) -> Figure | None:
    ranked = parts.tables.ranking
    return scores_figure(ranked, arms=parts.order, labels=parts.labels) if ranked else None


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


def _evaluator_sensitivity(parts: _Run) -> Figure | None:
    found = parts.tables.sensitivity
    return sensitivity_figure(found, labels=parts.labels) if found else None


_FIGURES: dict[str, Callable[[_Run], Figure | None]] = {
    "curves": _curves,
    "scores": _scores,
    "evaluator_sensitivity": _evaluator_sensitivity,
    "gallery": _gallery,
    "strip": _strip,
    "cost": _cost,
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
