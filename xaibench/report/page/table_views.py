"""Tables as the page shows them: cells with a text for people and a value to sort by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from xaibench.report.labels import Arm, metric_title
from xaibench.report.tables import Tables
from xaibench.report.wording import UNDEFINED, interval_text, number


@dataclass(frozen=True)
class Cell:
    """What a cell says and what it sorts by; `mark` names a style, `metric` what it names."""

    text: str
    sort: str
    mark: str = ""
    metric: str = ""


@dataclass(frozen=True)
class TableView:
    """A table with its caption; `numeric` says which columns hold numbers.

    `keys` say where the page explains a column: its name in the data frame, or the metric that it holds.
    """

    name: str
    caption: str
    columns: list[str]
    numeric: list[bool]
    rows: list[list[Cell]]
    keys: list[str] = field(default_factory=list)


def table_view(name: str, frame: pd.DataFrame, caption: str) -> TableView:
    """Show a data frame as it is, numbers shortened; columns without any entry are left out."""
    used = [column for column in frame if not frame[column].map(_is_empty).all()]
    numeric = [bool(pd.api.types.is_numeric_dtype(frame[c])) and frame[c].dtype != bool for c in used]
    rows = [
        [_cell(value, column) for value, column in zip(row, used, strict=True)]
        for row in frame[used].itertuples(index=False)
    ]
    keys = [str(column) for column in used]
    return TableView(name, caption, [key.replace("_", " ") for key in keys], numeric, rows, keys)


def score_view(tables: Tables, *, order: Sequence[Arm], labels: Mapping[Arm, str]) -> TableView:
    """All arms against all metrics that rank them: mean and interval, the best set marked."""
    ranked = tables.ranking
    columns = ["arm", *(f"{metric_title(s.metric)} {'↑' if s.higher_is_better else '↓'}" for s in ranked)]
    rows = []
    for place, arm in enumerate(order):
        cells = [Cell(labels[arm], str(place))]
        for scores in ranked:
            found = scores.intervals.get(arm)
            if found is None or math.isnan(found.estimate):
                cells.append(Cell(UNDEFINED, ""))
                continue
            text = interval_text(found.estimate, found.low, found.high)
            text += f" ({found.n_undefined} undefined)" if found.n_undefined else ""
            cells.append(Cell(text, repr(float(found.estimate)), "best" if arm in scores.best.members else ""))
        rows.append(cells)
    caption = f"Mean over images [{100 * tables.confidence:g} % interval]; marked: the best set of each metric"
    return TableView(
        "scores", caption, columns, [False, *(True for _ in ranked)], rows, ["", *(s.metric for s in ranked)]
    )


def _cell(value: object, column: object) -> Cell:
    if column == "metric":
        return Cell(str(value), str(value), metric=str(value))
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(int(value)))
    if isinstance(value, int):
        return Cell(str(value), str(value))
    if isinstance(value, float):
        whole = math.isfinite(value) and value.is_integer() and abs(value) < 1e6
        return Cell(str(int(value)) if whole else number(value), "" if math.isnan(value) else repr(float(value)))
    return Cell(UNDEFINED if value is None else str(value), "" if value is None else str(value))


def _is_empty(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
