"""The galleries of larger runs: every image with all its maps, in pages beside the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report import overlays
from xaibench.report.labels import Arm, is_reference
from xaibench.report.page.environment import environment
from xaibench.report.page.image_orders import FIRST
from xaibench.report.page.tiles import Shown, shown
from xaibench.report.pictures import Pictured, about_images, pictured
from xaibench.report.scores import MetricScores
from xaibench.report.tables import Tables
from xaibench.report.wording import lowered, number

FOLDER = "gallery"
LONGEST = 80
PICTURES_PER_PAGE = 600
"""A page of as many pictures is about 2 MB; a report's own, which are larger, 4 MB, and 8 MB were all of them noise."""


@dataclass(frozen=True)
class GalleryLink:
    """A page of the gallery: its file seen from the report, and the images it shows."""

    file: str
    number: int
    first: str
    last: str


@dataclass(frozen=True)
class _Row:
    """An image with its anchor, its pictures, and below each map its score by the leading metric."""

    anchor: str
    image: Shown
    scores: list[str]


def images_per_page(n_arms: int, *, pictures: int = PICTURES_PER_PAGE, most: int = 48) -> int:
    """How many images, each with all its maps, a page can hold: at least one."""
    return max(1, min(most, pictures // (n_arms + 1)))


def gallery_links(names: Sequence[str], *, per_page: int) -> list[GalleryLink]:
    """Say which pages there are for these images."""
    starts = range(0, len(names), per_page)
    return [
        GalleryLink(f"{FOLDER}/page-{i:03d}.html", i, names[start], names[min(start + per_page, len(names)) - 1])
        for i, start in enumerate(starts, start=1)
    ]


def write_gallery(
    folder: Path,
    maps: Mapping[str, np.ndarray],
    records: pd.DataFrame,
    *,
    names: Sequence[str],
    tables: Tables,
    order: Sequence[Arm],
    labels: Mapping[Arm, str],
    categories: Sequence[str],
    title: str,
) -> list[GalleryLink]:
    """Write ``gallery/page-001.html`` and so on into a run's folder, where one page cannot hold all images.

    Each page is one file without outside requests, and is written before the next is drawn. It leaves out the maps of
    references, which ignore the model, where there are others. Pages of an earlier report that are no longer needed are
    removed, and so is the folder when nothing is left in it.

    Parameters
    ----------
    folder : path
        The run's folder.
    maps, records, tables, categories
        The run's.
    names : sequence of str
        All images that have a picture.
    order : sequence of arm
        Columns.
    labels : mapping of arm to str
        Their names.
    title : str
        Of the run.

    Returns
    -------
    list of GalleryLink
        What to link to; empty where the report shows all images itself.
    """
    arms = [arm for arm in order if not is_reference(arm)] or order
    per_page, known = images_per_page(len(arms)), about_images(records)
    # the report itself shows references as well, so it may be full where one page without them is not
    links = gallery_links(names, per_page=per_page) if len(names) > images_per_page(len(order)) else []
    for link, chosen in zip(links, _chunks(names, per_page), strict=False):
        images = pictured(maps, known, names=chosen, categories=categories, only=arms)
        (folder / FOLDER).mkdir(exist_ok=True)
        text = _page(images, link, links, tables=tables, order=arms, labels=labels, title=title, whole=arms == order)
        (folder / link.file).write_text(text, encoding="utf-8", newline="\n")
    _remove_stale(folder, keep={Path(link.file).name for link in links})
    return links


def _chunks(names: Sequence[str], n: int) -> Iterator[Sequence[str]]:
    return (names[start : start + n] for start in range(0, len(names), n))


def _remove_stale(folder: Path, keep: set[str]) -> None:
    pages = folder / FOLDER
    for file in pages.glob("page-*.html"):
        if file.name not in keep:
            file.unlink()
    if pages.is_dir() and not any(pages.iterdir()):
        pages.rmdir()


def _page(
    images: Sequence[Pictured],
    link: GalleryLink,
    links: Sequence[GalleryLink],
    *,
    tables: Tables,
    order: Sequence[Arm],
    labels: Mapping[Arm, str],
    title: str,
    whole: bool,
) -> str:
    present = [arm for arm in order if any(arm in one.maps for one in images)]
    leading = leading_scores(tables)
    scores = _scores(leading, [one.name for one in images], present)
    rows = [
        _Row(f"image-{place}", shown(one, present, labels, longest=LONGEST, encode=overlays.quick_data_uri), own)
        for place, (one, own) in enumerate(zip(images, scores, strict=True), start=1)
    ]
    context: dict[str, Any] = {
        "title": title,
        "whole": whole,
        "link": link,
        "links": links,
        "labels": [labels[arm] for arm in present],
        "rows": rows,
        "metric": lowered(leading.title) if leading else "",
        "styles": [],
    }
    return environment().get_template("gallery.html.j2").render(context)


def leading_scores(tables: Tables) -> MetricScores | None:
    """The scores to tell first: insertion, deletion, or the first that ranks arms; None where nothing does."""
    ranked = {one.metric: one for one in reversed(tables.ranking)}
    return next((ranked[name] for name in (*FIRST, *reversed(ranked)) if name in ranked), None)


def _scores(scores: MetricScores | None, names: Sequence[str], present: Sequence[Arm]) -> list[list[str]]:
    """Each image's scores, an arm a text; "" for an image without any."""
    nothing = ["" for _ in present]
    if scores is None:
        return [nothing for _ in names]
    columns = pd.Index(list(present), tupleize_cols=False)
    values: list[list[float]] = scores.values.reindex(index=list(names), columns=columns).to_numpy(float).tolist()
    known = scores.values.index
    return [
        [number(value) for value in row] if name in known else nothing for name, row in zip(names, values, strict=True)
    ]
