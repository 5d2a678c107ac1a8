"""Records of a made-up timing grid: a base cell, three sweeps, a precision that gains and one that the device lacks."""

import math

import numpy as np
from synthetic_records import as_frame

from xaibench.records.record import Record, settings_json
from xaibench.timing.vocabulary import EXPLANATION, EXPLANATION_PATH, INFERENCE

BASE = {
    "n_layers": 4, "method": "grad_cam", "batch_size": 4, "image_size": 224, "dtype": "float32",
    "memory_format": "channels_last", "compiled": False, "cuda_graph": False, "threads": 2,
}  # fmt: skip
PHASE_MS = dict(zip(EXPLANATION_PATH, (10.0, 8.0, 1.0, 1.0, 1e-5), strict=True))
SPREAD = (0.9, 1.0, 1.3)


def cell_rows(sweep, *, layers="a+b+c+d", times=1.0, inference=True, missing="", explained=True, **factors):
    """Records of one cell whose phases take `times` as long as the base's 20 ms; plain inference takes half."""
    known = {**BASE, **factors}
    settings = settings_json({**known, "sweep": sweep, "layers": layers, "base": not factors and layers == "a+b+c+d"})
    if missing:
        return [
            Record(
                "milliseconds",
                math.nan,
                layer=layers,
                variant=EXPLANATION,
                status="undefined",
                reason=missing,
                settings=settings,
            )
        ]
    phases = {phase: (layers, ms) for phase, ms in PHASE_MS.items()} if explained else {}
    phases |= {INFERENCE: ("", 10.0)} if inference else {}
    rows = []
    for phase, (layer, ms) in phases.items():
        own = tuple(times * ms * factor for factor in SPREAD)
        keys = {"layer": layer, "variant": phase, "settings": settings}
        doubt = "too short for the clock" if phase == EXPLANATION_PATH[-1] else ""
        rows.append(
            Record("milliseconds", float(np.median(own)), reason=doubt, curve_x=(0.0, 1.0, 2.0), curve_y=own, **keys)
        )
        rows.append(Record("peak_memory_mib", 100.0 * times + len(phase), **keys))
    return rows


def precision_record(dtype, metric, value, *, layer="", score="", image="one"):
    settings = settings_json({"dtype": dtype, "against": "float64", **({"score": score} if score else {})})
    arm = ("grad_cam", layer) if layer else ("", "")
    status, reason = ("undefined", "constant map") if math.isnan(value) else ("ok", "")
    variant = f"{dtype} {score}".strip()
    return Record(
        metric,
        value,
        image=image,
        explainer=arm[0],
        layer=arm[1],
        variant=variant,
        status=status,
        reason=reason,
        settings=settings,
    )


def grid_records():
    rows = [*cell_rows("layer"), *cell_rows("layer", layers="a", times=0.9, inference=False, n_layers=1)]
    rows += cell_rows("layer", layers="d", times=0.5, inference=False, n_layers=1)
    for size, times in ((8, 0.8), (1, 1.6)):
        rows += cell_rows("batch_size", times=times, batch_size=size)
    rows += cell_rows("batch_size")
    rows += [*cell_rows("compiled"), *cell_rows("compiled", times=0.7, compiled=True, explained=False)]
    rows += cell_rows("compiled", compiled=True, missing="no hooks inside")
    rows += [*cell_rows("dtype"), *cell_rows("dtype", dtype="bfloat16", times=0.25)]
    rows += cell_rows("dtype", dtype="float16", missing="float16 needs a CUDA device")
    for layer, errors in (("a", (1e-2, 4e-2)), ("d", (2e-3, math.nan))):
        for image, value in zip(("one", "two"), errors, strict=True):
            rows.append(precision_record("bfloat16", "map_relative_error", value, layer=layer, image=image))
            rows.append(precision_record("bfloat16", "map_rank_correlation", 1 - value, layer=layer, image=image))
    rows.append(precision_record("float32", "map_relative_error", 1e-7, layer="a"))
    rows.append(precision_record("float32", "map_rank_correlation", 1.0, layer="a"))
    for dtype, errors in (("float32", (1e-8, 3e-8)), ("bfloat16", (1e-3, 5e-3))):
        rows += [precision_record(dtype, "score_error", value, score="logit", image=f"{value}") for value in errors]
    refused = settings_json({"dtype": "float16"})
    rows.append(
        Record(
            "map_relative_error", math.nan, variant="float16", status="undefined", reason="no CUDA", settings=refused
        )
    )
    return as_frame(rows)
