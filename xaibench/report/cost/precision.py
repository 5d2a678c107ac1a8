"""Less precision with its price: how far maps and scores lie from float64's, beside what is gained in time."""

import json
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from xaibench.report.cost.grid import grid_cells, median

MAP_COLUMNS = [
    "dtype", "layer", "images", "relative_error", "largest_error", "rank_correlation", "lowest_correlation", "undefined",
    "explanation_speed_up", "inference_speed_up", "status", "reason",
]  # fmt: skip
SCORE_COLUMNS = [
    "dtype", "score", "values", "error", "largest_error", "undefined", "explanation_speed_up", "inference_speed_up",
]  # fmt: skip


def precision_maps(records: pd.DataFrame) -> pd.DataFrame:
    """One row per precision and layer: error of the heatmap, medians over images with the worst one, and speed-up.

    A speed-up is the time of the grid's base cell over that of the cell in this precision, both timed in turn: above 1
    is faster. A precision that could not be tried has one row that says why.
    """
    rows = _with_dtype(records, "map_relative_error", "map_rank_correlation")
    speed = speed_ups(records)
    found: list[list[object]] = []
    for (dtype, layer), own in rows.groupby(["dtype", "layer"], sort=False):
        errors = own.loc[own["metric"] == "map_relative_error", "value"].to_numpy(dtype=float)
        ranks = own.loc[own["metric"] == "map_rank_correlation", "value"].to_numpy(dtype=float)
        undefined = int(np.isnan(errors).sum())
        row: list[object] = [dtype, layer, len(errors) if layer else 0, *_middle_and(errors, np.max)]
        row += [*_middle_and(ranks, np.min), undefined if layer else 0, *speed.get(str(dtype), (np.nan, np.nan))]
        missing = own[own["status"] != "ok"]
        found.append([*row, *(missing[["status", "reason"]].iloc[0] if len(missing) else ("ok", ""))])
    return pd.DataFrame(found, columns=MAP_COLUMNS)


def precision_scores(records: pd.DataFrame) -> pd.DataFrame:
    """One row per precision and score, or curve's area: median and largest absolute error, and speed-up."""
    rows = _with_dtype(records, "score_error")
    speed = speed_ups(records)
    found: list[list[object]] = []
    for (dtype, score), own in rows.groupby(["dtype", "score"], sort=False):
        errors = own["value"].to_numpy(dtype=float)
        row: list[object] = [dtype, score, len(errors), *_middle_and(errors, np.max), int(np.isnan(errors).sum())]
        found.append([*row, *speed.get(str(dtype), (np.nan, np.nan))])
    return pd.DataFrame(found, columns=SCORE_COLUMNS)


def speed_ups(records: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Time of the base cell over that in each precision, of the explanation and of plain inference."""
    cells = [cell for cell in grid_cells(records) if cell.sweep == "dtype"]
    base = next((cell for cell in cells if cell.base), None)
    if base is None:
        return {}
    return {
        str(cell.factors["dtype"]): (
            median(base.explanation) / median(cell.explanation),
            median(base.inference) / median(cell.inference),
        )
        for cell in cells
    }


def _with_dtype(records: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    rows = records[records["metric"].isin(metrics)]
    known = {text: json.loads(text or "{}") for text in rows["settings"].unique()}
    settings = rows["settings"].map(known)
    return rows.assign(
        dtype=[one.get("dtype", "") for one in settings], score=[one.get("score", "") for one in settings]
    )


def _middle_and(values: np.ndarray, worst: Callable[[np.ndarray], float]) -> Iterator[float]:
    """Median and worst of the defined values; NaN where there are none."""
    known = values[~np.isnan(values)]
    yield float(np.median(known)) if len(known) else np.nan
    yield float(worst(known)) if len(known) else np.nan
