"""The timing grid from records: one cell a set of conditions, with its repetitions, and the table of all cells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from xaibench.report.cost.tables import spread_of
from xaibench.timing.vocabulary import EXPLANATION_PATH, INFERENCE

FACTORS = (
    "n_layers", "method", "batch_size", "image_size", "dtype", "memory_format", "compiled", "cuda_graph", "threads",
)  # fmt: skip
_TIMED = ("milliseconds", "ratio_to_inference", "peak_memory_mib", "reserved_memory_mib")
_SAME_INFERENCE = FACTORS[2:]
"""Factors that plain inference depends on, too."""

GRID_COLUMNS = [
    "sweep", "level", "layers", "explanation", "q25", "q75", "p95", "outliers", "repetitions", INFERENCE, *EXPLANATION_PATH,
    "ratio_to_inference", "ratio_to_base", "peak_memory_mib", "batch_size", "status", "reason",
]  # fmt: skip


@dataclass
class GridCell:
    """What was measured of one cell.

    Attributes
    ----------
    sweep : str
        Factor that the sweep varies, or several joined by `` x ``.
    layers : str
        Explained together, joined by ``+``.
    factors : dict
        Conditions, by name.
    base : bool
        Whether it is the cell from which the others differ.
    phases : dict of str to array
        Milliseconds an image of each repetition, by phase.
    inference : array
        Those of plain inference under the same conditions, in the same sweep.
    peak_memory_mib : float
        Highest of its phases; NaN where not metered.
    status, reason : str
        Of the explanation where it was not timed.
    doubts : dict of str to str
        What makes the time of a phase doubtful.
    """

    sweep: str
    layers: str
    factors: dict[str, Any]
    base: bool
    phases: dict[str, Float[ndarray, " n"]] = field(default_factory=dict)
    inference: Float[ndarray, " n"] = field(default_factory=lambda: np.empty(0))
    peak_memory_mib: float = np.nan
    status: str = "ok"
    reason: str = ""
    doubts: dict[str, str] = field(default_factory=dict)

    @property
    def explanation(self) -> Float[ndarray, " n"]:
        """Milliseconds an image of each repetition of the whole path; empty where it was not timed."""
        parts = [self.phases[phase] for phase in EXPLANATION_PATH if phase in self.phases]
        return np.sum(parts, axis=0) if parts else np.empty(0)

    @property
    def level(self) -> str:
        """What the sweep varies, as a table says it: ``8``, or ``batch_size 8, threads 1``."""
        names = self.sweep.split(" x ")
        if len(names) == 1:
            return "" if self.sweep == "base" else _said(self.value(self.sweep))
        return ", ".join(f"{name} {_said(self.value(name))}" for name in names)

    def value(self, factor: str) -> Any:
        """The cell's value of a factor."""
        return self.layers if factor == "layer" else self.factors[factor]


def without_grid(records: pd.DataFrame) -> pd.DataFrame:
    """Leave out all timings of a grid but those of every layer alone: what tables and pictures of one path may show.

    The base's whole path, timed by itself, adds the phases that the sweep over layers lacks. What both have is the
    sweep's, whose layers took turns, so that a drift of the machine makes none look cheaper; it comes in its order.
    """
    known = {text: json.loads(text or "{}").get("sweep", "") for text in records["settings"].unique()}
    sweep = records["settings"].map(known).astype(str)
    if not (sweep == "layer").any():
        return records[sweep == ""]
    keys = pd.MultiIndex.from_frame(records[["metric", "layer", "variant"]])
    again = keys.isin(keys[sweep == "layer"]) & records["metric"].isin(_TIMED)
    kept = records[(sweep == "layer") | ((sweep == "") & ~again)]
    places = {layer: place for place, layer in enumerate(dict.fromkeys(records.loc[sweep == "layer", "layer"]))}
    return kept.sort_values("layer", key=lambda layers: layers.map(places).fillna(len(places)), kind="stable")


def grid_cells(records: pd.DataFrame) -> list[GridCell]:
    """Gather the cells of a grid, in the order of their first record; none where no grid was timed."""
    rows = records[records["metric"].isin(["milliseconds", "peak_memory_mib"])]
    settings = {text: known for text in rows["settings"].unique() if "sweep" in (known := json.loads(text or "{}"))}
    rows = rows[rows["settings"].isin(list(settings))]
    cells: dict[tuple[object, ...], GridCell] = {}
    for row in rows.itertuples():
        known = settings[row.settings]
        factors = {name: known[name] for name in FACTORS}
        # a batch halved for want of memory is another cell than the one that asked for this size
        key = (known["sweep"], known["layers"], known.get("batch_size_asked"), *factors.values())
        cell = cells.setdefault(key, GridCell(known["sweep"], known["layers"], factors, bool(known["base"])))
        _add(cell, row)
    _share_inference(list(cells.values()))
    return list(cells.values())


def timing_grid(records: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of each sweep: medians in milliseconds an image, spread, ratios, memory, or why there are none.

    `q25`, `q75`, `p95` and `outliers` are of the explanation, as `xaibench.report.cost.tables.timing` has them.

    Levels are in ascending order, words as they came. `ratio_to_base` compares with the base cell of the same sweep,
    which was timed in turn with it.
    """
    cells = grid_cells(records)
    rows = []
    for sweep in dict.fromkeys(cell.sweep for cell in cells):
        own = sorted((cell for cell in cells if cell.sweep == sweep), key=_order)
        base = next((cell for cell in own if cell.base), None)
        rows += [_row(cell, base) for cell in own]
    return pd.DataFrame(rows, columns=GRID_COLUMNS)


def median(values: Float[ndarray, " n"]) -> float:
    """Median; NaN of nothing."""
    return float(np.median(values)) if len(values) else np.nan


def _add(cell: GridCell, row: Any) -> None:
    if row.metric == "peak_memory_mib":
        if row.status == "ok" and row.variant != INFERENCE:
            cell.peak_memory_mib = float(np.nanmax([cell.peak_memory_mib, row.value]))
        return
    if row.status != "ok":
        cell.status, cell.reason = row.status, row.reason
    elif row.variant == INFERENCE:
        cell.inference = np.asarray(row.curve_y, dtype=float)
    else:
        cell.phases[row.variant] = np.asarray(row.curve_y, dtype=float)
        cell.doubts[row.variant] = row.reason


def _share_inference(cells: Sequence[GridCell]) -> None:
    """Plain inference was timed once for all cells of a sweep that differ in layers or method only."""
    known: dict[tuple[object, ...], ndarray] = {}
    for cell in cells:
        if len(cell.inference):
            known[_inference_key(cell)] = cell.inference
    for cell in cells:
        if cell.phases and not len(cell.inference):
            cell.inference = known.get(_inference_key(cell), cell.inference)


def _inference_key(cell: GridCell) -> tuple[object, ...]:
    return (cell.sweep, *(cell.factors[name] for name in _SAME_INFERENCE))


def _order(cell: GridCell) -> tuple[Any, ...]:
    """Numbers ascend; words and layers keep their places, as sorting is stable."""
    values = [cell.value(name) for name in cell.sweep.split(" x ") if name != "base"]
    return tuple(value if isinstance(value, int) else 0 for value in values)


def _row(cell: GridCell, base: GridCell | None) -> list[object]:
    whole = cell.explanation
    return [
        cell.sweep, cell.level, cell.layers, median(whole), *spread_of(whole), len(whole), median(cell.inference),
        *(median(cell.phases.get(phase, np.empty(0))) for phase in EXPLANATION_PATH),
        median(whole) / median(cell.inference), _to_base(cell, base), cell.peak_memory_mib, cell.factors["batch_size"], cell.status,
        cell.reason or _doubts(cell),
    ]  # fmt: skip


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _doubts(cell: GridCell) -> str:
    """What makes the whole doubtful: doubts of phases that are more than a hundredth of it, each once."""
    whole = median(cell.explanation)
    heavy = [cell.doubts[phase] for phase, values in cell.phases.items() if median(values) > 0.01 * whole]
    return "; ".join(dict.fromkeys(part for doubt in heavy for part in doubt.split("; ") if part))


def _to_base(cell: GridCell, base: GridCell | None) -> float:
    """Time of the explanation over the base's; of plain inference where only that was timed."""
    if base is None:
        return np.nan
    if len(cell.explanation) and len(base.explanation):
        return median(cell.explanation) / median(base.explanation)
    return median(cell.inference) / median(base.inference)
