"""The image browser: an image's maps, curves and scores side by side, and orders in which to look at images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.curve_metrics import MeanCurves
from xaibench.report.labels import Arm
from xaibench.report.page.charts import LineChart, line_chart, rounded
from xaibench.report.page.image_orders import ImageOrder, image_orders
from xaibench.report.page.tiles import Shown, shown
from xaibench.report.pictures import Pictured
from xaibench.report.scores import MetricScores
from xaibench.report.tables import Tables

LONGEST = 128
MOST_POINTS = 65
_ARROWS = {True: " ↑", False: " ↓", None: ""}
_WORDS = {
    "worst": "worst first",
    "best": "best first",
    "arms": "most disputed between arms first",
    "metrics": "most disputed between metrics first",
}


@dataclass(frozen=True)
class Browser:
    """The gallery's rows, and what the page's script needs to show one of them in full.

    `orders` holds (key, words), the first of them by name; `metrics` what worst and best may go by; `charts` the empty
    charts of an image's curves, by metric.
    """

    labels: list[str]
    rows: list[Shown]
    data: dict[str, Any] = field(repr=False)
    orders: list[tuple[str, str]]
    metrics: list[str]
    charts: list[tuple[str, LineChart]]


def browse(
    records: pd.DataFrame,
    pictured: Sequence[Pictured],
    *,
    tables: Tables,
    curves: Sequence[MeanCurves],
    order: Sequence[Arm],
    labels: Mapping[Arm, str],
) -> Browser | None:
    """Draw all maps of all images given; None where there are none.

    Parameters
    ----------
    records : DataFrame
        Scores and curves.
    pictured : sequence of Pictured
        The images.
    tables : Tables
        What was made of the records.
    curves : sequence of MeanCurves
        Metrics whose curves to show, with their mean curves.
    order : sequence of arm
        Columns of the gallery.
    labels : mapping of arm to str
        Their names.
    """
    if not pictured:
        return None
    present = [arm for arm in order if any(arm in one.maps for one in pictured)]
    names, numbers = [one.name for one in pictured], {arm: i for i, arm in enumerate(order)}
    rows = [shown(one, present, labels, longest=LONGEST) for one in pictured]
    scores = [one for one in tables.scores if ("", "") not in one.arms]
    scores.sort(key=lambda one: one.higher_is_better is None)  # those that rank arms come first
    ways = image_orders(tables, names)
    drawn = [_Curves.of(records, curve, names, present) for curve in curves]
    data: dict[str, Any] = {
        "images": names,
        "arms": [numbers[arm] for arm in present],
        "metrics": [f"{one.title}{_ARROWS[one.higher_is_better]}" for one in scores],
        "scores": _scores(scores, names, present),
        "best": _best(scores, names, present),
        "reasons": _reasons(scores, names, present),
        "curves": {one.curve.metric: one.data() for one in drawn},
        "orders": {"name": {"": _order(list(range(len(names))))}} | _orders(ways, rows),
        "degenerate": [row.n_degenerate for row in rows],
    }
    keys = [("name", "by name"), *((key, words) for key, words in _WORDS.items() if key in data["orders"])]
    keys += [("degenerate", "images with empty maps first")] if "degenerate" in data["orders"] else []
    metrics = list(dict.fromkeys(one.metric for one in ways if one.metric))
    charts = [(one.curve.metric, one.chart(numbers, labels)) for one in drawn]
    return Browser([labels[arm] for arm in present], rows, data, keys, metrics, charts)


def _scores(scores: Sequence[MetricScores], names: Sequence[str], present: Sequence[Arm]) -> list[list[list[Any]]]:
    """Values by image, metric and arm."""
    found = [_matrix(one, names, present) for one in scores]
    return [[[rounded(value) for value in matrix[place]] for matrix in found] for place in range(len(names))]


def _best(scores: Sequence[MetricScores], names: Sequence[str], present: Sequence[Arm]) -> list[list[list[int]]]:
    """By image and metric: which arms have the best value; none of a metric without direction or where all are equal."""
    return [[_best_arms(one, name, present) for one in scores] for name in names]


def _best_arms(scores: MetricScores, name: str, present: Sequence[Arm]) -> list[int]:
    values = _matrix(scores, [name], present)[0]
    known = values[np.isfinite(values)]
    if scores.higher_is_better is None or not len(known) or known.min() == known.max():
        return []
    return np.flatnonzero(values == (known.max() if scores.higher_is_better else known.min())).tolist()


def _reasons(scores: Sequence[MetricScores], names: Sequence[str], present: Sequence[Arm]) -> dict[str, str]:
    """Why a value is undefined, by ``image-metric-arm``."""
    image, arm = ({key: i for i, key in enumerate(keys)} for keys in (names, present))
    found = {}
    for metric, one in enumerate(scores):
        rows = one.rows[(one.rows["status"] != "ok") & one.rows["image"].isin(names)]
        for name, explainer, layer, reason in rows[["image", "explainer", "layer", "reason"]].itertuples(index=False):
            if (explainer, layer) in arm:
                found[f"{image[name]}-{metric}-{arm[explainer, layer]}"] = str(reason or "no reason recorded")
    return found


def _matrix(scores: MetricScores, names: Sequence[str], present: Sequence[Arm]) -> np.ndarray:
    columns = pd.Index(list(present), tupleize_cols=False)
    return scores.values.reindex(index=list(names), columns=columns).to_numpy(float)


def _order(places: list[int], values: Sequence[float] = (), words: str = "") -> dict[str, Any]:
    return {"places": places, "values": [rounded(value, 3) for value in values], "words": words}


def _orders(ways: Sequence[ImageOrder], rows: Sequence[Shown]) -> dict[str, dict[str, Any]]:
    """Orders by key and by the metric they go by; "" where they go by none."""
    found: dict[str, dict[str, Any]] = {}
    for way in ways:
        found.setdefault(way.key, {})[way.metric] = _order(way.places, way.values.tolist(), way.words)
    counts = np.array([row.n_degenerate for row in rows])
    if counts.any():
        places = np.argsort(-counts, kind="stable").tolist()
        found["degenerate"] = {"": _order(places, [float(n) for n in counts], "maps that have nothing to show")}
    return found


@dataclass(frozen=True)
class _Curves:
    """Curves of the images of one metric on common places along x."""

    curve: MeanCurves
    x: np.ndarray
    y: list[list[np.ndarray | None]]  # by image and arm

    @classmethod
    def of(cls, records: pd.DataFrame, curve: MeanCurves, names: Sequence[str], present: Sequence[Arm]) -> "_Curves":
        grid = max((line.x for line in curve.lines.values()), key=len)
        x = grid[np.unique(np.linspace(0, len(grid) - 1, min(len(grid), MOST_POINTS)).round().astype(int))]
        rows = records[(records["metric"] == curve.metric) & records["image"].isin(names)]
        found = {
            (image, explainer, layer): np.interp(x, curve_x, curve_y)
            for image, explainer, layer, curve_x, curve_y in rows[
                ["image", "explainer", "layer", "curve_x", "curve_y"]
            ].itertuples(index=False)
            if curve_y is not None and len(curve_y)
        }
        return cls(curve, x, [[found.get((name, *arm)) for arm in present] for name in names])

    def data(self) -> list[list[list[float | None]]]:
        """Heights by image, arm and place; empty where there is none."""
        return [[[] if one is None else [rounded(y, 3) for y in one] for one in image] for image in self.y]

    def chart(self, numbers: Mapping[Arm, int], labels: Mapping[Arm, str]) -> LineChart:
        """A chart that every image's curves fit into; it begins with the means, which the script replaces."""
        known = [one[np.isfinite(one)] for image in self.y for one in image if one is not None]
        ends = [float(end) for one in known if len(one) for end in (one.min(), one.max())]
        lines = {
            arm: replace(
                line, x=self.x, mean=np.interp(self.x, line.x, line.mean), low=_none(self.x), high=_none(self.x)
            )
            for arm, line in self.curve.lines.items()
        }
        return line_chart(
            lines, numbers=numbers, labels=labels, title=self.curve.title, x_label=self.curve.x_label,
            y_label=self.curve.y_label, lowest=min([0.0, *ends]), highest=max([0.0, *ends]),
        )  # fmt: skip


def _none(x: np.ndarray) -> np.ndarray:
    return np.full(len(x), np.nan)
