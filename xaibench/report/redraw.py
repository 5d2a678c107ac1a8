"""Redraw everything a person reads from a run's records and maps: tables, figures, summary and page. No model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xaibench.records.run_folder import RunFolder
from xaibench.report import overlays
from xaibench.report.answer import answer
from xaibench.report.arms import short_labels
from xaibench.report.figures.every import RunParts, draw_figures, ordered_strips
from xaibench.report.figures.sanity_checks import drawn_cascades
from xaibench.report.labels import arms
from xaibench.report.page.gallery import GalleryLink, images_per_page, write_gallery
from xaibench.report.page.image_orders import telling_images
from xaibench.report.page.page import latest_provenance, page_title, render_page
from xaibench.report.paper import draw_for_paper
from xaibench.report.pictures import pictured, pictured_names
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.stopping import stopping_of
from xaibench.report.tables import Tables, make_tables, write_tables
from xaibench.report.trust.corruption_chains import chains_of
from xaibench.report.trust.trust import without_corrupted
from xaibench.report.writers import to_csv


@dataclass(frozen=True)
class Report:
    """What was written: the page's path, and the tables for whoever wants to say more."""

    page: Path
    tables: Tables


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
    parts = RunParts(records, maps, tables, order, short_labels(order), _categories(run.run), device, cascades)
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


def _page(
    parts: RunParts,
    run: Mapping[str, Any],
    layers: Sequence[str] | None,
    gallery: Sequence[GalleryLink],
    names: list[str],
) -> str:
    chosen = telling_images(parts.tables, names, images_per_page(len(parts.order)))
    return render_page(
        parts.records,
        tables=parts.tables,
        answer=answer(parts.tables),
        run=run,
        pictured=pictured(parts.maps, parts.records, names=chosen, categories=parts.categories),
        strips=ordered_strips(parts),
        cascades=parts.cascades,
        layers=layers,
        n_pictures=len(names),
        gallery=gallery,
    )


def _pages(parts: RunParts, folder: Path, run: Mapping[str, Any], names: Sequence[str]) -> list[GalleryLink]:
    """Pages beside the report for the images that it cannot hold."""
    return write_gallery(
        folder, parts.maps, parts.records, names=names, tables=parts.tables, order=parts.order, labels=parts.labels,
        categories=parts.categories, title=page_title(run),
    )  # fmt: skip


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
