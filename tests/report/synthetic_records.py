"""Records of a small made-up run: every row that docs/architecture.md lists, some of them undefined or failed."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from xaibench.records.record import Record, settings_json

LAYERS = ("layer1.2", "layer2.3", "layer3.5", "layer4.2")
ARMS = (*(("grad_cam", layer) for layer in LAYERS), ("random", ""), ("center", ""), ("sobel", ""))
BLOCKS = {"layer4": 3, "layer3": 6, "layer2": 4, "layer1": 3}
UNITS = ("fc", *(f"{stage}.{block}" for stage, blocks in BLOCKS.items() for block in reversed(range(blocks))), "stem")
SIMILARITIES = ("spearman", "spearman_abs", "ssim")
SEEDS = (0, 1, 2)

# how good each arm is, 0 to 1; layer3.5 and layer4.2 cannot be told apart, sobel beats layer1.2
QUALITY = dict(zip(ARMS, (0.30, 0.45, 0.70, 0.72, 0.10, 0.35, 0.40), strict=True))


def synthetic_records(n_images: int = 12, seed: int = 0) -> pd.DataFrame:
    """Rows of a run over `n_images` images, of which the last could not be read.

    Four Grad-CAM layers and three reference explainers; every column of `Record`, curves as tuples. On the second image
    (where there is one) the map of ``layer1.2`` is empty: its scores are undefined, but for the curves.
    """
    rng = np.random.default_rng(seed)
    names = [f"single-{index:05d}" for index in range(n_images)]
    rows = [*_image_rows(names, rng), *_score_rows(names[:-1], rng), *_sanity_rows(names[: min(4, n_images - 1)], rng)]
    rows += _timing_rows(rng)
    return as_frame(rows)


def as_frame(rows: list[Record]) -> pd.DataFrame:
    """The table of `rows`, one column a field, also where there are none."""
    columns = [field.name for field in dataclasses.fields(Record)]
    return pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)


def _image_keys(index: int, name: str) -> dict:
    return {"image": name, "label": index % 10, "target": index % 10}


def _image_rows(names: list[str], rng: np.random.Generator) -> Iterator[Record]:
    for index, name in enumerate(names[:-1]):
        keys = _image_keys(index, name)
        yield Record("image", 1.0, **keys)
        confidence = float(rng.beta(12, 1))
        for metric, value in (("confidence", confidence), ("correct", float(confidence > 0.75))):
            yield Record(metric, value, **keys, forward_passes=0.5, seconds=0.002)
    yield Record("image", math.nan, image=names[-1], status="failed", reason="the file is truncated")


def _score_rows(names: list[str], rng: np.random.Generator) -> Iterator[Record]:
    for index, name in enumerate(names):
        ease = float(rng.normal(0, 0.1))  # shared by all arms of an image: what makes pairing worth it
        for explainer, layer in ARMS:
            keys = {**_image_keys(index, name), "explainer": explainer, "layer": layer}
            quality = float(np.clip(QUALITY[explainer, layer] + ease + rng.normal(0, 0.06), 0.02, 0.98))
            empty = index == 1 and layer == "layer1.2"
            yield from _curve_rows(keys, quality)
            yield from _plain_rows(keys, quality, empty, rng)


def _curve_rows(keys: dict, quality: float) -> Iterator[Record]:
    fraction = np.linspace(0, 1, 17)
    shapes: dict[str, Callable] = {
        "deletion": lambda x: 0.95 * (1 - x) ** (1 + 8 * quality),
        "insertion": lambda x: 0.95 * (1 - (1 - x) ** (1 + 6 * quality)),
    }
    for metric, shape in shapes.items():
        score = np.round(shape(fraction), 6)
        baseline = "zero" if metric == "deletion" else "blur"
        settings = settings_json({"baseline": baseline, "order": "signed", "steps": 16})
        area = float(np.trapezoid(score, fraction))
        curve = {"curve_x": tuple(fraction.tolist()), "curve_y": tuple(score.tolist())}
        yield Record(metric, area, **keys, settings=settings, **curve, forward_passes=15.5, seconds=0.08)


def _plain_rows(keys: dict, quality: float, empty: bool, rng: np.random.Generator) -> Iterator[Record]:
    scores = {
        "average_drop": (round(0.8 * (1 - quality), 6), 1.0),
        "increase_in_confidence": (float(rng.random() < 0.2 * quality), 1.0),
        "pointing_game": (float(rng.random() < quality), 0.0),
        "energy_in_mask": (round(0.6 * quality, 6), 0.0),
        "best_iou": (round(0.7 * quality, 6), 0.0),
    }
    for metric, (value, passes) in scores.items():
        if empty:
            why = {"status": "undefined", "reason": "the map has no positive evidence"}
            yield Record(metric, math.nan, **keys, **why, forward_passes=passes, seconds=0.004 * passes)
        else:
            yield Record(metric, value, **keys, forward_passes=passes, seconds=0.001 + 0.004 * passes)
    tied = 1.0 if empty else 0.4 if keys["explainer"] == "grad_cam" else 0.0
    yield Record("tied_fraction", tied, **keys, seconds=0.001)


def _sanity_rows(names: list[str], rng: np.random.Generator) -> Iterator[Record]:
    for index, name in enumerate(names):
        for layer in LAYERS:
            for seed in SEEDS:
                keys = {**_image_keys(index, name), "explainer": "grad_cam", "layer": layer}
                for step, module in enumerate(("", *UNITS)):
                    step_keys = {**keys, "module": module, "step": step, "seed": seed}
                    yield from _similarities(step_keys, index, rng)


def _similarities(keys: dict, index: int, rng: np.random.Generator) -> Iterator[Record]:
    for variant in SIMILARITIES:
        floor = 0.3 if variant == "ssim" else 0.05
        value = floor + (1 - floor) * math.exp(-keys["step"] / 3)
        value = 1.0 if keys["step"] == 0 else float(np.clip(value + rng.normal(0, 0.08), -1, 1))
        passes = 1 / 12 if keys["step"] else 0.0
        if index == 1 and keys["layer"] == "layer1.2" and variant != "ssim":
            why = {"status": "undefined", "reason": "the trained model's map is constant"}
            yield Record(
                "parameter_randomization", math.nan, variant=variant, **keys, **why, forward_passes=passes, seconds=0.01
            )
        else:
            yield Record("parameter_randomization", value, variant=variant, **keys, forward_passes=passes, seconds=0.01)


def _timing_rows(rng: np.random.Generator) -> Iterator[Record]:
    for layer, phase, typical in _typical_times():
        settings = settings_json({"batch": 8, "device": "cpu", "repetitions": 20})
        times = np.round(typical * rng.lognormal(0, 0.05, size=20), 4)
        keys = {"layer": layer, "variant": phase, "settings": settings}
        repetitions = {"curve_x": tuple(map(float, range(20))), "curve_y": tuple(times.tolist())}
        yield Record("milliseconds", float(np.median(times)), **keys, **repetitions)
        yield Record("ratio_to_inference", float(np.median(times) / 4.0), **keys)
        yield Record("peak_memory_mib", round(120 + 4 * typical, 1), **keys)


def _typical_times() -> Iterator[tuple[str, str, float]]:
    yield "", "inference", 4.0
    yield "", "full_backward", 8.5
    for depth, layer in enumerate(LAYERS):
        backward = 1 + 1.6 * (3 - depth)
        path = {"forward_with_hooks": 4.2, "backward_to_layer": backward, "reduce": 0.05, "upsample": 0.2}
        for phase, typical in {**path, "explanation": sum(path.values())}.items():
            yield layer, phase, typical
