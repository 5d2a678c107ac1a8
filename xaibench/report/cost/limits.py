"""How far the explanation path is from what the machine and the shapes allow: roofline, memory, and its own checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from xaibench.report.cost.tables import in_order

OVERHEAD_BELOW = 0.1
"""A phase that reaches less than this part of both rates waits for something else: launches, Python, the library."""

ROOFLINE_COLUMNS = [
    "layer", "phase", "gflop", "gbyte", "intensity", "gflop_per_second", "gbyte_per_second", "percent_of_peak",
    "percent_of_copy_rate", "bound",
]  # fmt: skip
MEMORY_COLUMNS = [
    "layer", "phase", "peak_memory_mib", "reserved_memory_mib", "predicted_memory_mib", "beyond_prediction_mib",
    "graph_memory_mib", "captured_memory_mib",
]  # fmt: skip
CHECK_COLUMNS = ["layer", "check", "median", "low", "high", "rounds"]
_CHECKS = {
    "phases_to_whole": "sum of the phases over the whole",
    "hook_milliseconds": "hooks: milliseconds an image added to the forward pass",
}


@dataclass(frozen=True)
class Roof:
    """The machine's measured rates: 10⁹ operations and 10⁹ bytes a second; NaN where not measured."""

    gflop_per_second: float
    gbyte_per_second: float

    @property
    def ridge(self) -> float:
        """Operations a byte from which on products, no longer copies, are the limit."""
        return self.gflop_per_second / self.gbyte_per_second


def roof(records: pd.DataFrame) -> Roof:
    """Take the machine's rates from the records; of several measurements the best."""
    return Roof(
        *(
            float(records.loc[records["metric"] == metric, "value"].max())
            for metric in ("matrix_gflop_per_second", "copy_gbyte_per_second")
        )
    )


def roofline(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per layer and phase: operations and bytes an image, rates reached, and what bounds the phase.

    `bound` is ``compute`` or ``memory``, whichever rate is nearer to the machine's own; ``overhead`` where both are
    under a tenth of it; "" where there is nothing to do. Bytes are an upper bound, so a phase that the caches serve can
    exceed the copy rate.
    """
    table = _by_phase(records, ["milliseconds", "gflop", "gbyte"])
    table = table[table["gflop"].notna()]
    limit = roof(records)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["intensity"] = table["gflop"] / table["gbyte"]
        for amount in ("gflop", "gbyte"):
            table[f"{amount}_per_second"] = table[amount] / table["milliseconds"] * 1e3
        table["percent_of_peak"] = 100 * table["gflop_per_second"] / limit.gflop_per_second
        table["percent_of_copy_rate"] = 100 * table["gbyte_per_second"] / limit.gbyte_per_second
    pairs = zip(table["percent_of_peak"], table["percent_of_copy_rate"], strict=True)
    table["bound"] = [bound(compute / 100, memory / 100) for compute, memory in pairs]
    return in_order(table[ROOFLINE_COLUMNS], layers=layers)


def bound(compute: float, memory: float) -> str:
    """Say what bounds a phase that reaches these parts of the rates of products and copies."""
    if np.isnan([compute, memory]).any() or compute == memory == 0:
        return ""
    if max(compute, memory) < OVERHEAD_BELOW:
        return "overhead"
    return "compute" if compute >= memory else "memory"


def memory(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per layer and phase: MiB measured, and predicted from shapes, for the whole batch."""
    table = _by_phase(records, [column for column in MEMORY_COLUMNS[2:] if column != "beyond_prediction_mib"])
    table = table[table["predicted_memory_mib"].notna()]
    table["beyond_prediction_mib"] = table["peak_memory_mib"] - table["predicted_memory_mib"]
    return in_order(table[MEMORY_COLUMNS], layers=layers)


def path_checks(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per layer and check: median over rounds of a paired comparison, with its exact 95 % interval."""
    rows = records[records["metric"].isin(list(_CHECKS))]
    found = []
    for layer, metric, curve in zip(rows["layer"], rows["metric"], rows["curve_y"], strict=True):
        values = np.asarray(curve, dtype=float)
        values = values[np.isfinite(values)]
        low, high = median_interval(values)
        middle = float(np.median(values)) if len(values) else np.nan
        found.append([layer, _CHECKS[metric], middle, low, high, len(values)])
    table = pd.DataFrame(found, columns=CHECK_COLUMNS)
    sorted_table = in_order(table.rename(columns={"check": "phase"}), layers=layers)
    return sorted_table.rename(columns={"phase": "check"})


def median_interval(values: Float[ndarray, " n"], *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the median by order statistics, exact for any distribution; NaN where there are too few values."""
    if not len(values):
        return np.nan, np.nan
    low, high = stats.quantile_test(values, p=0.5).confidence_interval(confidence)
    return float(low), float(high)


def _by_phase(records: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row per layer and phase, one column a metric; NaN where there is none."""
    rows = records[records["metric"].isin(metrics)]
    keys = ["layer", "variant"]
    values: dict[str, Any] = {
        str(metric): own.groupby(keys, sort=False)["value"].first()
        for metric, own in rows.groupby("metric", sort=False)
    }
    index = pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    columns = {metric: values[metric].reindex(index) if metric in values else np.nan for metric in metrics}
    return pd.DataFrame(columns, index=index, dtype=float).reset_index().rename(columns={"variant": "phase"})
