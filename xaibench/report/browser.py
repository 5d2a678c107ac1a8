"""The image browser: an image's maps, curves and scores side by side, and orders in which to look at images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report import overlays
from xaibench.report.charts import rounded
from xaibench.report.figures.gallery import caption
from xaibench.report.labels import Arm, higher_is_better, is_reference, metric_title
from xaibench.report.pictures import Pictured
from xaibench.report.scores import by_image, has_own_table
from xaibench.report.summaries import unique

LONGEST = 128
_FIRST = ("insertion", "deletion")


@dataclass(frozen=True)
class Shown:
    """One row of the gallery: sources of its pictures; a map's entry is None where there is none."""

    name: str
    caption: str
    wrong: bool
    picture: str
    maps: list[tuple[str, str, str] | None]


@dataclass(frozen=True)
class Browser:
    """The gallery's rows, and what the page's script needs to show one of them in full."""

    labels: list[str]
    rows: list[Shown]
    data: dict[str, Any] = field(repr=False)
    orders: list[tuple[str, str]]


def browse(
    records: pd.DataFrame, pictured: Sequence[Pictured], *, order: Sequence[Arm], labels: Mapping[Arm, str]
) -> Browser | None:
    """Draw all maps of all images given; None where there are none.

    Parameters
    ----------
    records : DataFrame
        Scores and curves.
    pictured : sequence of Pictured
        The images.
    order : sequence of arm
        Columns of the gallery.
    labels : mapping of arm to str
        Their names.
    """
    if not pictured:
        return None
    present = [arm for arm in order if any(arm in shown.maps for shown in pictured)]
    names = [shown.name for shown in pictured]
    scores = _scores(records, names, present)
    orders = _orders(scores, names, present)
    data = {
        "images": names,
        "arms": [order.index(arm) for arm in present],
        "metrics": [metric_title(metric) for metric in scores],
        "scores": [[_numbers(table, name) for table in scores.values()] for name in names],
        "curves": {metric: _curves(records, metric, names, present) for metric in _FIRST},
        "orders": {key: places for key, _, places in orders},
    }
    rows = [_shown(one, present, labels) for one in pictured]
    return Browser([labels[arm] for arm in present], rows, data, [(key, words) for key, words, _ in orders])


def _shown(one: Pictured, present: Sequence[Arm], labels: Mapping[Arm, str]) -> Shown:
    picture = overlays.fitted(one.picture, LONGEST)
    mask = None if one.mask is None else overlays.fitted_mask(one.mask, *picture.shape[:2])

    def drawn(pixels: np.ndarray) -> str:
        return overlays.data_uri(pixels if mask is None else overlays.outlined(pixels, mask))

    maps: list[tuple[str, str, str] | None] = []
    for arm in present:
        values = one.maps.get(arm)
        if values is None:
            maps.append(None)
        else:
            maps.append((labels[arm], drawn(overlays.overlay(picture, values)), overlays.degenerate(values)))
    return Shown(one.name, caption(one).replace("\n", ", "), one.correct is False, drawn(picture), maps)


def _numbers(table: pd.DataFrame, name: str) -> list[float | None]:
    values: list[float] = table.loc[[name]].to_numpy(float)[0].tolist()
    return [rounded(value) for value in values]


def _scores(records: pd.DataFrame, names: Sequence[str], present: Sequence[Arm]) -> dict[str, pd.DataFrame]:
    """Values by metric: a row an image, a column an arm."""
    rows = records[(records["explainer"] != "") & ~has_own_table(records) & records["image"].isin(names)]
    columns = pd.Index(list(present), tupleize_cols=False)
    return {
        metric: by_image(rows[rows["metric"] == metric], present).reindex(index=list(names), columns=columns)
        for metric in unique(rows["metric"])
    }


def _curves(records: pd.DataFrame, metric: str, names: Sequence[str], present: Sequence[Arm]) -> list[list[Any]]:
    """Curves of each image and arm as y values on the x of their own; empty where there is none."""
    rows = records[(records["metric"] == metric) & records["image"].isin(names)]
    found = {
        (image, explainer, layer): [rounded(y, 3) for y in curve]
        for image, explainer, layer, curve in zip(
            rows["image"], rows["explainer"], rows["layer"], rows["curve_y"], strict=True
        )
    }
    return [[found.get((name, *arm), []) for arm in present] for name in names]


def _orders(
    scores: Mapping[str, pd.DataFrame], names: Sequence[str], present: Sequence[Arm]
) -> list[tuple[str, str, list[int]]]:
    """Ways to go through the images: as they come, and by the leading metric's mean and spread over the arms."""
    orders = [("name", "by name", list(range(len(names))))]
    metric = next((metric for metric in (*_FIRST, *scores) if metric in scores), None)
    looking = [arm for arm in present if not is_reference(arm)]
    if metric is None or not looking:
        return orders
    table = scores[metric][pd.Index(looking, tupleize_cols=False)].to_numpy(float)
    sign = 1 if higher_is_better(metric) else -1
    title = metric_title(metric).lower()
    ranked = {
        "best": (f"best {title} first", -sign * _row(np.nanmean, table)),
        "worst": (f"worst {title} first", sign * _row(np.nanmean, table)),
        "disputed": (f"most disputed first ({title})", -_row(np.ptp, table)),
    }
    places = {key: (words, np.argsort(values, kind="stable").tolist()) for key, (words, values) in ranked.items()}
    return orders + [(key, words, place) for key, (words, place) in places.items()]


def _row(function: Any, table: np.ndarray) -> np.ndarray:
    """Apply a function to the defined values of each row; rows without any come last, as NaN."""
    rows = [row[np.isfinite(row)] for row in table]
    return np.array([function(row) if len(row) else np.nan for row in rows], dtype=float)
