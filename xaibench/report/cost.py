"""What the explanations and the metrics cost: measured times and memory of the path, forward passes of the metrics."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaibench.report.labels import arm_label, arms

TIMING_COLUMNS = [
    "layer",
    "phase",
    "milliseconds",
    "q25",
    "q75",
    "repetitions",
    "ratio_to_inference",
    "peak_memory_mib",
    "device",
]
COST_COLUMNS = ["metric", "arm", "images", "forward_passes", "forward_passes_per_image", "seconds", "seconds_per_image"]


def timing(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per layer and phase: milliseconds an image with quartiles, ratio to plain inference, memory."""
    measured = records[records["metric"].isin(["milliseconds", "ratio_to_inference", "peak_memory_mib"])]
    found = [[*key, *_timing_row(rows)] for key, rows in measured.groupby(["layer", "variant"], sort=False)]
    table = pd.DataFrame(found, columns=TIMING_COLUMNS)
    depth = list(dict.fromkeys(["", *(layers or ()), *table["layer"]]))
    return table.sort_values("layer", key=lambda column: column.map(depth.index), kind="stable", ignore_index=True)


def cost(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per metric and arm: forward passes and seconds, in all and per image; the seconds are measured."""
    rows = records[(records["image"] != "") & (records["metric"] != "image")]
    order = [arm_label(arm) for arm in [("", ""), *arms(records, layers)]]
    labels = [arm_label(arm) for arm in zip(rows["explainer"], rows["layer"], strict=True)]
    table = (
        rows.assign(arm=labels)
        .groupby(["metric", "arm"], sort=False)
        .agg(
            images=("image", "nunique"),
            forward_passes=("forward_passes", "sum"),
            seconds=("seconds", lambda spent: spent.sum(min_count=1)),
        )
        .reset_index()
    )
    table["forward_passes_per_image"] = table["forward_passes"] / table["images"]
    table["seconds_per_image"] = table["seconds"] / table["images"]
    metrics = list(dict.fromkeys(table["metric"]))
    table["place"] = [(metrics.index(m), order.index(a)) for m, a in zip(table["metric"], table["arm"], strict=True)]
    return table.sort_values("place", ignore_index=True)[COST_COLUMNS]


def _timing_row(rows: pd.DataFrame) -> list[object]:
    values = {metric: float(value) for metric, value in zip(rows["metric"], rows["value"], strict=True)}
    curves = [np.asarray(curve, dtype=float) for curve in rows.loc[rows["metric"] == "milliseconds", "curve_y"]]
    repeated = np.concatenate([*curves, np.empty(0)])
    repeated = repeated[np.isfinite(repeated)]
    low, high = np.quantile(repeated, [0.25, 0.75]) if len(repeated) else (np.nan, np.nan)
    median = float(np.median(repeated)) if len(repeated) else values.get("milliseconds", np.nan)
    others = [values.get(metric, np.nan) for metric in ("ratio_to_inference", "peak_memory_mib")]
    return [median, float(low), float(high), len(repeated), *others, _device(rows)]


def _device(rows: pd.DataFrame) -> str:
    return next((str(found) for text in rows["settings"] if (found := json.loads(text or "{}").get("device"))), "")
