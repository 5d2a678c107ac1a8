"""Times of several runs side by side: each phase, layer and factor, with the ratio to the first run.

A ratio is of medians; its interval resamples the repetitions of both runs. It tells what the repetitions within a run
leave open, not what differs from one start of the program to the next: hence a threshold beside it. A row is marked
``slower`` where the ratio is above 1 + threshold and its whole interval above 1, ``faster`` likewise the other way.
Where the conditions differ (another device, other threads, another network), it is marked ``other conditions``: that is no
regression, but another machine.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xaibench.records.comparable import dotted
from xaibench.records.merge import Merged

THRESHOLD = 0.10
SLOWER, FASTER, OTHER = "slower", "faster", "other conditions"
N_RESAMPLES = 4999

SOFTWARE = ("torch", "cuda", "cudnn", "libraries", "flags", "revision")
"""Other versions may well be the cause of a regression: they are told, and the row is marked all the same."""

_GRID = (
    "method", "n_layers", "batch_size", "image_size", "dtype", "memory_format", "compiled", "cuda_graph", "threads",
)  # fmt: skip
"""Factors of a grid of times, which name what varies better than what follows from them."""

MEASURED = (
    "memory",
    "clock_resolution_ms",
    "clock_overhead_ms",
    "reading_ms",
    "clocks",
    "load",
    "throttled",
    "temperature",
)
"""What the settings of a time say of its measurement, but is no choice; nor is any number with a point."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians and its interval, NaN where there are fewer than two repetitions."""

    estimate: float
    low: float
    high: float

    def mark(self, threshold: float) -> str:
        """``slower``, ``faster`` or nothing."""
        if self.estimate > 1 + threshold and self.low > 1:
            return SLOWER
        if self.estimate < 1 / (1 + threshold) and self.high < 1:
            return FASTER
        return ""


def median_ratio(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Ratio:
    """Median of `second` over median of `first`, with the percentile bootstrap of both.

    Parameters
    ----------
    first, second : sequence of float
        Repetitions, in any unit; those that are not finite are left out.
    confidence, n_resamples, seed
        Of the bootstrap.
    """
    a, b = (np.asarray(one, dtype=float) for one in (first, second))
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not len(a) or not len(b) or not np.median(a) > 0:
        return Ratio(np.nan, np.nan, np.nan)
    estimate = float(np.median(b) / np.median(a))
    if len(a) < 2 or len(b) < 2:
        return Ratio(estimate, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    drawn = [np.median(one[rng.integers(0, len(one), (n_resamples, len(one)))], axis=1) for one in (a, b)]
    with np.errstate(divide="ignore"):
        low, high = np.quantile(drawn[1] / drawn[0], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Ratio(estimate, float(low), float(high))


def times_table(
    merged: Merged,
    *,
    threshold: float = THRESHOLD,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row a layer, phase, factors and run after the first that timed it.

    Returns
    -------
    DataFrame
        `time` (its name), `layer`, `phase`, one column a factor (a setting that varies within a run), `first` and `run` (labels),
        `first_ms` and `ms` (medians of an image), `ratio` with `low` and `high`, `repetitions`, `mark`, and `conditions`,
        which says what differs.
    """
    rows = merged.records[(merged.records["metric"] == "milliseconds") & (merged.records["status"] == "ok")]
    said = {index: _conditions(text) for index, text in rows["settings"].items()}
    factors = _factors(rows, said)
    columns = ["layer", "phase", *factors, "first", "run", "first_ms", "ms", "ratio", "low", "high", "repetitions"]
    found = []
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    for key, same in _alike(rows, said, factors):
        labels = list(dict.fromkeys(same["run"]))
        base = same[same["run"] == labels[0]]
        for label in labels[1:]:
            other = same[same["run"] == label]
            ratio = median_ratio(_repetitions(base), _repetitions(other), **options)
            apart = _apart(merged, labels[0], label, said[base.index[0]], said[other.index[0]], factors)
            medians = [float(np.median(_repetitions(part))) for part in (base, other)]
            counts = f"{len(_repetitions(base))} / {len(_repetitions(other))}"
            mark = OTHER if apart["conditions"] else ratio.mark(threshold)
            words = "; ".join(filter(None, apart.values()))
            found.append([*key, labels[0], label, *medians, ratio.estimate, ratio.low, ratio.high, counts, mark, words])
    table = pd.DataFrame(found, columns=[*columns, "mark", "conditions"])
    table.insert(0, "time", _names(table, factors))
    return table


def _names(table: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Layer, phase, and those factors that are not at their most frequent value."""
    usual = {factor: table[factor].mode().iloc[0] for factor in factors if len(table)}
    names = []
    for row in table.to_dict("records"):
        layers = str(row["layer"]).split("+")
        layer = str(row["layer"]) if len(layers) < 3 else f"{len(layers)} layers"
        own = [f"{factor.replace('_', ' ')} {row[factor]}" for factor in factors if row[factor] != usual[factor]]
        names.append(" · ".join(filter(None, [layer, str(row["phase"]).replace("_", " "), *own])))
    return names


def _alike(
    rows: pd.DataFrame, said: Mapping[Any, Mapping[str, Any]], factors: Sequence[str]
) -> Iterator[tuple[list[Any], pd.DataFrame]]:
    """Rows of the same layer, phase and factors, from more than one run; in the order of the first run."""
    groups: dict[tuple, list[Any]] = {}
    for index, layer, phase in rows[["layer", "variant"]].itertuples(name=None):
        key = (layer, phase, *(_text(said[index].get(factor, "")) for factor in factors))
        groups.setdefault(key, []).append(index)
    for key, indices in groups.items():
        same = rows.loc[indices]
        if len(set(same["run"])) > 1:
            yield list(key), same


def _factors(rows: pd.DataFrame, said: Mapping[Any, Mapping[str, Any]]) -> list[str]:
    """Settings that tell apart the rows of one run, layer and phase: the grid's factors, no more than it takes."""
    keys = [*_GRID, *sorted({key for own in said.values() for key in own} - set(_GRID))]
    apart: dict[Any, tuple] = {
        index: (row.run, row.layer, row.variant) for index, row in zip(rows.index, rows.itertuples(), strict=True)
    }
    kept = []
    for key in keys:
        finer = {index: (*own, _text(said[index].get(key, ""))) for index, own in apart.items()}
        if len(set(finer.values())) > len(set(apart.values())):
            kept.append(key)
            apart = finer
    return kept


def _apart(
    merged: Merged, first: str, second: str, a: Mapping[str, Any], b: Mapping[str, Any], factors: Sequence[str]
) -> dict[str, str]:
    """What differs between the conditions of two rows, and what between the programs, as far as both tell it."""
    keys = [key for key in a if key in b and key not in factors and a[key] != b[key]]
    conditions = [f"{key}: {_text(a[key])} → {_text(b[key])}" for key in keys if key not in SOFTWARE]
    software = [f"{key} {_text(a[key])} → {_text(b[key])}" for key in keys if key in SOFTWARE]
    models = [dotted(merged[label].run).get("model.name", "") for label in (first, second)]
    conditions += [f"model: {models[0]} → {models[1]}"] if models[0] != models[1] else []
    conditions += _machines(merged, first, second)
    return {"conditions": ", ".join(conditions), "software": ", ".join(software)}


def _machines(merged: Merged, first: str, second: str) -> list[str]:
    """Processor and cores, as far as both runs tell them."""
    one, other = (latest_provenance(merged[label].run) for label in (first, second))
    keys = [key for key in ("processor", "cores") if key in one and key in other and one[key] != other[key]]
    return [f"{key}: {one[key]} → {other[key]}" for key in keys]


def latest_provenance(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Provenance of the last process that worked on a run; empty where there is none."""
    found = run.get("provenance") or {}
    found = found[-1] if isinstance(found, list) else found
    return found if isinstance(found, Mapping) else {}


def _conditions(text: str) -> dict[str, Any]:
    """Choices under which a time was taken."""
    settings = json.loads(text or "{}")
    return {key: value for key, value in settings.items() if key not in MEASURED and not _is_measured(value)}


def _is_measured(value: Any) -> bool:
    return isinstance(value, float)


def _repetitions(rows: pd.DataFrame) -> np.ndarray:
    """All repetitions; the median alone where they were not kept."""
    curves = [
        np.asarray(curve if len(curve) else [value], float)
        for curve, value in zip(rows["curve_y"], rows["value"], strict=True)
    ]
    return np.concatenate(curves)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
