"""What may be compared: which settings two runs must share, and which may differ.

=====================  =================================================================================================
setting                where two runs differ in it
=====================  =================================================================================================
a metric's settings    the metric is left out: under other conventions the same name is another number. How a map met
                       the image (``resize``) is the explainer's, and a seed is a seed
``target``             all scores are left out: another class was explained. Times are compared
``data``               images are paired by name and content (`same_images`); only ``data.seed`` and ``data.n`` may differ
                       where images are to be pooled
``seed``, any          another draw of the same configuration: a second level beside the images
``….seed``
process settings       nothing: they move values by rounding (device, threads, batch size), or no score at all (names,
                       shards, timing, sanity checks)
``layers``, names of   nothing: they say which arms there are, not what an arm's value is
explainers
everything else        other set-ups, which is what a comparison is about: model, weights, an explainer's settings, score,
                       upsampling, precision
=====================  =================================================================================================
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from xaibench.metrics.cards import CARDS

PROCESS = (
    "experiment_name", "job", "sanity", "timing", "training", "metric", "curve_steps", "batch_size", "shard_size",
    "device", "threads", "categories", "stop_when", "stop",
)  # fmt: skip
"""Settings that change no score, but by rounding; a metric's own are judged where it is recorded."""

ABSENT = "absent"
"""Stands for the value of a key that a run does not have."""

_GROUPS = ("metric", "explainer", "sanity")

Settings = Mapping[str, Any]
Differences = dict[str, tuple[Any, Any]]


def dotted(run: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides a run's values, by dotted keys as on the command line; the weights as ``model.digest``."""
    own = {key: value for key, value in run.items() if key in ("layers", "categories", "model", "data", "device")}
    settings = run.get("settings")
    return _flat(settings if isinstance(settings, Mapping) else {}) | _flat(own)


def differences(first: Settings, second: Settings) -> Differences:
    """Keys with other values, and both values; `ABSENT` for a key that is not there."""
    keys = dict.fromkeys([*first, *second])
    pairs = {key: (first.get(key, ABSENT), second.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def told(found: Mapping[str, tuple[Any, Any]], *, most: int = 4) -> str:
    """The differing settings in one line: ``steps: 16 → 32, baseline: zero → blur``."""
    parts = [f"{key}: {_short(one)} → {_short(other)}" for key, (one, other) in found.items()]
    rest = [f"… ({len(parts)} in all)"] if len(parts) > most else []
    return ", ".join(parts[:most] + rest)


def differences_of_runs(runs: Mapping[str, Settings]) -> pd.DataFrame:
    """One row a setting in which any of the runs differ, one column a run.

    A metric, explainer or sanity check that a run does not have at all is one row.

    Parameters
    ----------
    runs : mapping of str to mapping
        `dotted` settings by the run's label.
    """
    rows: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for settings in runs.values() for key in settings):
        values = [settings.get(key, ABSENT) for settings in runs.values()]
        if all(value == values[0] for value in values) or key in _GROUPS:
            continue
        group = ".".join(key.split(".")[:2])
        whole = [any(name.startswith(f"{group}.") for name in settings) for settings in runs.values()]
        if group.split(".")[0] in _GROUPS and not all(whole):
            rows[group] = ["present" if there else ABSENT for there in whole]
        else:
            rows[key] = [_short(value) for value in values]
    return pd.DataFrame([[key, *values] for key, values in rows.items()], columns=["setting", *runs])


def set_up(settings: Settings) -> dict[str, Any]:
    """Settings that make a set-up: not those of the process, the images, the metrics, the seeds, nor which arms there are."""
    return {key: value for key, value in settings.items() if not (_beside(key) or is_seed(key) or _names_arms(key))}


def conflicts(first: Settings, second: Settings) -> Differences:
    """Where two set-ups differ. An explainer that only one of the runs has is an arm more, and no conflict."""
    both = explainers(first) & explainers(second)
    found = differences(set_up(first), set_up(second))
    return {key: pair for key, pair in found.items() if not _is_explainer(key) or key.split(".")[1] in both}


def bearing(first: Settings, second: Settings, explainer: str, *, reference: bool) -> Differences:
    """Those conflicts, and seeds, that can move the values of an explainer.

    Parameters
    ----------
    first, second : mapping
        What `dotted` gives.
    explainer : str
        Key in the records.
    reference : bool
        Whether it ignores the model: then what is differentiated and how its map meets the image do not bear on it.
    """
    found = {**conflicts(first, second), **other_seeds(first, second)}
    beside = ("score", "upsampling") if reference else ()
    return {
        key: pair
        for key, pair in found.items()
        if key not in beside and (not _is_explainer(key) or key.split(".")[1] == explainer)
    }


def other_seeds(first: Settings, second: Settings) -> Differences:
    """Seeds that both have, with other values, and that can move a score."""
    return {
        key: pair
        for key, pair in differences(first, second).items()
        if is_seed(key) and ABSENT not in pair and key.split(".")[0] not in ("sanity", "timing")
    }


def population(settings: Settings) -> dict[str, Any]:
    """What the images are drawn from: the data's settings without how many and which."""
    which = ("data.seed", "data.n", "data.digest")
    return {key: value for key, value in settings.items() if key.startswith("data.") and key not in which}


def explainers(settings: Settings) -> set[str]:
    """Keys of the explainers that the settings name."""
    return {key.split(".")[1] for key in settings if _is_explainer(key)}


def is_seed(key: str) -> bool:
    """Whether a dotted key is a seed of the run; that of the data says which images."""
    return key.split(".")[-1] == "seed" and not key.startswith("data.")


def metric_settings(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Settings of each metric in the records, one mapping a metric; several settings of one metric side by side."""
    found: dict[str, dict[str, Any]] = {}
    for metric, text in rows[["metric", "settings"]].drop_duplicates().itertuples(index=False):
        own = {key: value for key, value in _flat(json.loads(text or "{}")).items() if not _of_the_map(key)}
        known = found.setdefault(str(metric), own)
        for key, value in own.items():
            known[key] = value if known.get(key, value) == value else f"{known[key]} or {value}"
    return found


def family(metric: str, settings: str = "{}") -> str:
    """Family of the metric's card, found by its name or, for one under a name of its own, in its settings."""
    card = CARDS.get(metric) or CARDS.get(json.loads(settings or "{}").get("name", ""))
    return "" if card is None else card.family


def _of_the_map(key: str) -> bool:
    return key.split(".")[-1] in ("resize", "seed")


def _beside(key: str) -> bool:
    return key.split(".")[0] in PROCESS or key.startswith("data.") or key == "target"


def _names_arms(key: str) -> bool:
    return key == "layers" or (_is_explainer(key) and key.endswith(".layers"))


def _is_explainer(key: str) -> bool:
    return key.startswith("explainer.")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    return {
        name: one
        for key, inner in value.items()
        for name, one in _flat(inner, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 48 else f"{text[:12]}…"
