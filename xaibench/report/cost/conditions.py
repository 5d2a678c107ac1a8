"""Under which conditions times were taken, from records: the clock and what it costs, threads, flags, the machine's state."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

CONDITION_COLUMNS = ["condition", "value"]

STATED = {
    "device": "device",
    "torch": "torch",
    "clock": "clock",
    "clock_resolution_ms": "clock: smallest step, ms",
    "clock_overhead_ms": "clock: reported for no work, ms; every phase contains it",
    "memory": "memory meter",
    "threads": "threads",
    "interop_threads": "threads between operators",
    "image_dtype": "precision of images",
    "parameter_dtypes": "precision of weights",
    "autocast": "autocast",
    "images_memory_format": "memory format of images",
    "weights_memory_format": "memory format of weights",
    "float32_matmul_precision": "float32 products on CUDA",
    "deterministic_algorithms": "deterministic algorithms",
    "mkldnn": "oneDNN",
    "cudnn": "cuDNN",
    "cudnn_benchmark": "cuDNN tries algorithms out",
    "cudnn_deterministic": "cuDNN deterministic",
    "cudnn_allow_tf32": "cuDNN uses tf32",
}
"""Settings of timed rows that say how a time was taken, and their names for a reader."""

ON_CUDA = (
    "float32_matmul_precision", "cudnn", "cudnn_benchmark", "cudnn_deterministic", "cudnn_allow_tf32",
)  # fmt: skip
"""Settings that change nothing on a CPU."""

LOOKS = {
    "processor_mhz": "processor's clock, MHz",
    "gpu_mhz": "GPU's clock, MHz",
    "load_average": "programs that wanted to run (load)",
}
"""Metrics of the looks at the machine before and after."""


def timing_conditions(records: pd.DataFrame) -> pd.DataFrame:
    """One row per condition: its value, or all that occurred, numbers from least to largest; empty where nothing was timed.

    Cells of a grid differ in what was swept, and its table says in what; clock and machine differ from one sweep to the next.
    """
    timed = records[records["metric"] == "milliseconds"]
    known = [json.loads(text or "{}") for text in timed["settings"].unique()]
    cuda = any(str(one.get("device", "")).startswith("cuda") for one in known)
    stated = {name: words for name, words in STATED.items() if cuda or name not in ON_CUDA}
    found = [[words, _said([one[name] for one in known if name in one])] for name, words in stated.items()]
    for metric, words in LOOKS.items():
        rows = records[records["metric"] == metric]
        for when in ("before", "after"):
            values = rows.loc[rows["variant"] == when, "value"].dropna().tolist()
            found.append([f"{words}, {when}", _said(values)])
    found.append(["what slowed the GPU down", _slowed(records)])
    return pd.DataFrame([row for row in found if row[1]], columns=CONDITION_COLUMNS)


def _said(values: Sequence[Any]) -> str:
    """Say one value, or the ends of several numbers, or several words, each once in the order in which they came."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers and len(numbers) == len(values):
        finite = [number for number in numbers if math.isfinite(number)]
        return " to ".join(dict.fromkeys(f"{end:.4g}" for end in (min(finite), max(finite)))) if finite else ""
    return ", ".join(dict.fromkeys(_word(value) for value in values))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _slowed(records: pd.DataFrame) -> str:
    """What NVML named at any look; "" on a CPU, and where the GPU's clock could not be read and nothing was named."""
    looks = records[records["metric"] == "gpu_mhz"]
    named = [part for reason in looks["reason"] for part in reason.split(", ") if part]
    return ", ".join(dict.fromkeys(named)) or ("nothing seen" if len(looks) else "")
