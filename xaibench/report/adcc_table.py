"""ADCC of a data set's means, beside the mean of the images' ADCC: two numbers that papers give the same name."""

import json
from collections.abc import Iterator, Sequence

import pandas as pd

from xaibench.report.labels import arm_label, arms
from xaibench.statistics.adcc_means import adcc_of_means

ADCC_COLUMNS = ["metric", "explainer", "layer", "arm", "images", "adcc_of_means", "mean_of_adcc"]
TERMS = ("average_drop", "coherency", "complexity_adcc")


def adcc_table(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per arm and set of metrics: ADCC of the means of drop, coherency and complexity.

    Returns
    -------
    DataFrame
        A set is average_drop, coherency and complexity_adcc under one prefix, such as a preset's, which `metric` has before
        ``adcc``. A drop that is not relative makes none. `images` counts those on which all three are defined; means are over these.
        `mean_of_adcc` is the mean of the images' own ADCC under that prefix, over all on which it is defined; NaN where it
        was not asked for.
    """
    rows: list[list[object]] = []
    for prefix in _prefixes(records):
        keys = [prefix + term for term in TERMS]
        of_set = records[records["metric"].isin([*keys, f"{prefix}adcc"])]
        for arm in arms(of_set, layers):
            own = of_set[(of_set["explainer"] == arm[0]) & (of_set["layer"] == arm[1])]
            table = own.pivot_table(index="image", columns="metric", values="value", dropna=False)
            if set(keys) <= set(table.columns):
                drops, coherencies, complexities = (table[key].to_numpy(dtype=float) for key in keys)
                each = float(table[f"{prefix}adcc"].mean()) if f"{prefix}adcc" in table else float("nan")
                row = len(table[keys].dropna()), adcc_of_means(drops, coherencies, complexities), each
                rows.append([f"{prefix}adcc", *arm, arm_label(arm), *row])
    return pd.DataFrame(rows, columns=ADCC_COLUMNS)


def _prefixes(records: pd.DataFrame) -> Iterator[str]:
    """What stands before the names of a whole set of terms."""
    known: dict[str, str] = dict(records[["metric", "settings"]].drop_duplicates("metric").itertuples(index=False))
    for metric in known:
        prefix = metric.removesuffix("coherency")
        if metric.endswith("coherency") and all(prefix + term in known for term in TERMS):
            drop = json.loads(known[f"{prefix}average_drop"] or "{}")
            if drop.get("relative", True):
                yield prefix
