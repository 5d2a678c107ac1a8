"""Run folders with values that are known in advance, for tests of comparisons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from xaibench.records.record import Record, settings_json
from xaibench.records.run_folder import RunFolder
from xaibench.records.table import to_arrow

PROVENANCE = {
    "revision": "0" * 40,
    "libraries": {"torch": "2.14.0"},
    "processor": "made up",
    "cores": 2,
    "device": "cpu (made up)",
    "threads": 1,
}
CONDITIONS = {
    "device": "cpu (made up)",
    "images": [2, 3, 8, 8],
    "threads": 1,
    "torch": "2.14.0",
    "clock_overhead_ms": 0.1,
}


def written_run(
    folder: Path,
    rows: Sequence[Record],
    *,
    settings: Mapping[str, Any] | None = None,
    model: str = "m",
    data_digest: str = "d",
    finished: bool = True,
    provenance: Mapping[str, Any] | None = None,
    pictures: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a run of these rows; `settings` change the usual ones, by top-level key."""
    usual = {
        "experiment_name": "layers",
        "seed": 0,
        "target": "predicted",
        "score": "logit",
        "data": {"name": "shapes", "n": 8, "seed": 1, "variant": "single"},
        "model": {"name": model},
        "explainer": {"grad_cam": {"name": "grad_cam", "score": "logit"}, "sobel": {"name": "sobel"}},
    }
    identity = {
        "settings": {**usual, **(settings or {})},
        "layers": ["early", "late"],
        "model": {"name": model, "weights": None, "digest": f"digest of {model}"},
        "data": {"n": 8, "digest": data_digest},
        "device": "cpu",
    }
    run = RunFolder.create(folder, identity, {**PROVENANCE, **(provenance or {})})
    pq.write_table(to_arrow(rows), folder / "records" / "scores-0000.parquet")
    if pictures:
        save_file(
            {f"picture/{name}": array for name, array in pictures.items()}, folder / "maps" / "scores-0000.safetensors"
        )
    if finished:
        run.update(finished=True)
    return folder


def scores(
    values: Mapping[tuple[str, str], Sequence[float]],
    *,
    metric: str = "insertion",
    settings: Mapping[str, Any] | None = None,
    seconds: float = 1.0,
) -> list[Record]:
    """Rows of a metric: one image a value, named 0, 1, …; arms are (explainer, layer)."""
    text = settings_json(settings or {"name": metric, "steps": 16})
    return [
        Record(
            metric, float(value), image=f"{image:02d}", explainer=explainer, layer=layer, settings=text, seconds=seconds,
            status="ok" if np.isfinite(value) else "undefined", reason="" if np.isfinite(value) else "nothing there",
        )
        for (explainer, layer), own in values.items()
        for image, value in enumerate(own)
    ]  # fmt: skip


def times(
    milliseconds: Mapping[tuple[str, str], Sequence[float]], *, conditions: Mapping[str, Any] | None = None
) -> list[Record]:
    """Rows of times, by (layer, phase)."""
    text = settings_json({**CONDITIONS, **(conditions or {})})
    return [
        Record(
            "milliseconds", float(np.median(own)), layer=layer, variant=phase, settings=text,
            curve_x=tuple(map(float, range(len(own)))), curve_y=tuple(map(float, own)),
        )
        for (layer, phase), own in milliseconds.items()
    ]  # fmt: skip
