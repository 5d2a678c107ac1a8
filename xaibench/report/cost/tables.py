"""What the explanations and the metrics cost: measured times and memory of the path, forward passes of the metrics."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from xaibench.report.labels import arm_label, arms
from xaibench.timing.vocabulary import COPY, EXPLANATION, EXPLANATION_PATH, HOOKS, INFERENCE, PHASES

TIMING_COLUMNS = [
    "layer", "phase", "milliseconds", "q25", "q75", "p95", "share", "outliers", "repetitions", "ratio_to_inference",
    "peak_memory_mib", "device",
]  # fmt: skip
_MEASURED = ("milliseconds", "ratio_to_inference", "peak_memory_mib")
COST_COLUMNS = ["metric", "arm", "images", "forward_passes", "forward_passes_per_image", "seconds", "seconds_per_image"]


def timing(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per layer and phase, and one for what hooks add: milliseconds an image, spread, shares, memory.

    Returns
    -------
    DataFrame
        `milliseconds`, `q25`, `q75`, `p95`: median, quartiles and 95th percentile of all repetitions. `share`: median
        over repetitions of the phase's part in its run of the path; for hooks, of the whole explanation. `outliers`:
        repetitions beyond 1.5 interquartile ranges above the third quartile; they are counted, not dropped. Undefined
        values are NaN.
    """
    measured = records[records["metric"].isin([*_MEASURED, "hook_milliseconds"])]
    found = [[*key, *_timing_row(rows)] for key, rows in measured.groupby(["layer", "variant"], sort=False)]
    table = pd.DataFrame(found, columns=[column for column in TIMING_COLUMNS if column != "share"])
    table["share"] = _shares(records, table)
    hooks = table["phase"] == HOOKS
    table.loc[hooks, "ratio_to_inference"] = table.loc[hooks, "milliseconds"] / _milliseconds(table, "", INFERENCE)
    return in_order(table[TIMING_COLUMNS], layers=layers)


def spread_of(repeated: Float[ndarray, " n"]) -> tuple[float, float, float, int]:
    """Quartiles and 95th percentile of repetitions, and how many lie beyond 1.5 interquartile ranges above the third."""
    if not len(repeated):
        return np.nan, np.nan, np.nan, 0
    low, high, p95 = (float(value) for value in np.quantile(repeated, [0.25, 0.75, 0.95]))
    return low, high, p95, int((repeated > high + 1.5 * (high - low)).sum())


def path_milliseconds(timing: pd.DataFrame) -> dict[str, float]:
    """Milliseconds an image of the whole explanation of each layer: measured in one go, or the sum of its phases.

    The sum for all layers alike where one of them lacks the whole, as a grid's were not timed in turn with it.
    """
    found = {}
    layers = timing[timing["layer"] != ""]
    in_one_go = set(layers.loc[layers["phase"] == EXPLANATION, "layer"]) == set(layers["layer"])
    for layer, rows in layers.groupby("layer", sort=False):
        phases = dict(zip(rows["phase"], rows["milliseconds"], strict=True))
        on_device = [phases.get(phase, np.nan) for phase in EXPLANATION_PATH if phase != COPY]
        total = phases[EXPLANATION] if in_one_go else sum(on_device) + phases.get(COPY, 0.0)
        if np.isfinite(total):
            found[str(layer)] = float(total)
    return found


def in_order(table: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """Sort rows by layer, shallow to deep, what belongs to none first, and within a layer as phases are reported."""
    depth = list(dict.fromkeys(["", *(layers or ()), *table["layer"]]))
    places = [*PHASES]
    places.insert(places.index(EXPLANATION) + 1, HOOKS)
    order = list(dict.fromkeys([*places, *table["phase"]]))
    keys = {"layer": depth.index, "phase": order.index}
    return table.sort_values(
        list(keys), key=lambda column: column.map(keys[str(column.name)]), kind="stable", ignore_index=True
    )


def cost(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per metric and arm: forward passes and seconds, in all and per image; the seconds are measured."""
    keys, counted = ["metric", "explainer", "layer"], (records["image"] != "") & (records["metric"] != "image")
    order = [arm_label(arm) for arm in [("", ""), *arms(records, layers)]]
    table = (
        records.loc[counted, [*keys, "image", "forward_passes", "seconds"]]
        .groupby(keys, sort=False)
        .agg(
            images=("image", "nunique"),
            forward_passes=("forward_passes", "sum"),
            seconds=("seconds", lambda spent: spent.sum(min_count=1)),
        )
        .reset_index()
    )
    table["arm"] = [arm_label(arm) for arm in zip(table["explainer"], table["layer"], strict=True)]
    table["forward_passes_per_image"] = table["forward_passes"] / table["images"]
    table["seconds_per_image"] = table["seconds"] / table["images"]
    metrics = list(dict.fromkeys(table["metric"]))
    table["place"] = [(metrics.index(m), order.index(a)) for m, a in zip(table["metric"], table["arm"], strict=True)]
    return table.sort_values("place", ignore_index=True)[COST_COLUMNS]


def _timing_row(rows: pd.DataFrame) -> list[object]:
    values = {metric: float(value) for metric, value in zip(rows["metric"], rows["value"], strict=True)}
    timed = rows["metric"].isin(["milliseconds", "hook_milliseconds"])
    repeated = np.concatenate([*(np.asarray(curve, dtype=float) for curve in rows.loc[timed, "curve_y"]), np.empty(0)])
    repeated = repeated[np.isfinite(repeated)]
    alone = values.get("milliseconds", values.get("hook_milliseconds", np.nan))
    median = float(np.median(repeated)) if len(repeated) else alone
    others = [values.get(metric, np.nan) for metric in ("ratio_to_inference", "peak_memory_mib")]
    return [median, *spread_of(repeated), len(repeated), *others, _device(rows)]


def _shares(records: pd.DataFrame, table: pd.DataFrame) -> list[float]:
    """Part of each row's phase in the path of its layer; NaN where it is none of the path."""
    rows = records[(records["metric"] == "milliseconds") & records["variant"].isin(EXPLANATION_PATH)]
    found: dict[tuple[str, str], float] = {}
    for layer, own in rows.groupby("layer", sort=False):
        curves = {phase: np.asarray(y, dtype=float) for phase, y in zip(own["variant"], own["curve_y"], strict=True)}
        if len({len(curve) for curve in curves.values()}) == 1 and all(len(curve) for curve in curves.values()):
            whole = np.sum(list(curves.values()), axis=0)
            found |= {(str(layer), phase): float(np.median(curve / whole)) for phase, curve in curves.items()}
    for layer, hooks in table.loc[table["phase"] == HOOKS, ["layer", "milliseconds"]].itertuples(index=False):
        found[layer, HOOKS] = hooks / _milliseconds(table, layer, EXPLANATION)
    return [found.get(key, np.nan) for key in zip(table["layer"], table["phase"], strict=True)]


def _milliseconds(table: pd.DataFrame, layer: str, phase: str) -> float:
    found = table.loc[(table["layer"] == layer) & (table["phase"] == phase), "milliseconds"]
    return float(found.iloc[0]) if len(found) else np.nan


def _device(rows: pd.DataFrame) -> str:
    return next((str(found) for text in rows["settings"] if (found := json.loads(text or "{}").get("device"))), "")
