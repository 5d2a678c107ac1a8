"""A made-up run of the size the report must bear: 1,000 images, 8 layers and 3 references, 12 metrics, with its maps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file
from synthetic_run import PROVENANCE

from xaibench.records.record import settings_json
from xaibench.records.run_folder import RunFolder
from xaibench.records.table import SCHEMA

SIDES = (56, 28, 14, 7)
LAYERS = tuple(f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2))
ARMS = (*(("grad_cam", layer) for layer in LAYERS), ("random", ""), ("center", ""), ("sobel", ""))
CURVES = ("deletion", "insertion")
SHARES = ("average_drop", "average_gain", "drop_in_deletion", "coherency", "complexity_adcc", "adcc", "energy_in_mask",
          "best_iou")  # fmt: skip
YES_OR_NO = ("increase_in_confidence", "pointing_game")
N_POINTS, PICTURE_PX, SHARD_SIZE = 17, 128, 4


def large_run(folder: Path, *, n_images: int = 1000, maps: bool = True, seed: int = 0) -> Path:
    """Write a run of `n_images` into `folder`, in shards of four images, and return it; a few values are undefined."""
    identity = {
        "settings": {"experiment_name": "large", "seed": seed, "layers": list(LAYERS), "data": {"n": n_images}},
        "categories": [f"class {index}" for index in range(10)],
        "weights_digest": "ab" * 32,
        "data_digest": "cd" * 32,
    }
    run = RunFolder.create(folder, identity, PROVENANCE)
    rng = np.random.default_rng(seed)
    rows = pa.Table.from_pandas(large_records(n_images, rng), schema=SCHEMA, preserve_index=False)
    per_image = len(rows) // n_images
    for shard, start in enumerate(range(0, n_images, SHARD_SIZE)):
        names = _names(n_images)[start : start + SHARD_SIZE]
        own = rows.slice(start * per_image, len(names) * per_image)
        pq.write_table(own, folder / "records" / f"scores-{shard:04d}.parquet")
        if maps:
            save_file(dict(_maps(names, rng)), folder / "maps" / f"scores-{shard:04d}.safetensors")
    return run.path


def large_records(n_images: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of all images, one image after the other."""
    of_arms, of_image = [*CURVES, *SHARES, *YES_OR_NO, "tied_fraction"], ["image", "confidence", "correct"]
    keys = [(metric, "", "") for metric in of_image] + [(metric, *arm) for arm in ARMS for metric in of_arms]
    table = pd.DataFrame(keys * n_images, columns=["metric", "explainer", "layer"])
    labels = np.arange(n_images) % 10
    table["image"] = np.repeat(_names(n_images), len(keys))
    table["label"] = table["target"] = np.repeat(labels, len(keys))
    quality = _quality(n_images, rng)
    table["value"] = [value for row in quality for value in _values(row, of_arms, rng)]
    empty = (table["metric"] == "best_iou") & (rng.random(len(table)) < 0.01)
    table.loc[empty, "value"] = np.nan
    table["status"] = np.where(empty, "undefined", "ok")
    table["reason"] = np.where(empty, "the map has no positive evidence", "")
    settings = {metric: settings_json({"name": metric, "steps": N_POINTS - 1}) for metric in of_arms}
    table["settings"] = table["metric"].map(settings).fillna("{}")
    curved = table["metric"].isin(CURVES).to_numpy()
    fraction = np.linspace(0, 1, N_POINTS)
    table["curve_x"] = [fraction if curve else () for curve in curved]
    table["curve_y"] = [
        2 * value * (1 - fraction) if curve else () for value, curve in zip(table["value"], curved, strict=True)
    ]
    return table.assign(variant="", module="", step=0, seed=0, forward_passes=1.0, seconds=0.004)


def _names(n_images: int) -> list[str]:
    return [f"single-{index:05d}" for index in range(n_images)]


def _quality(n_images: int, rng: np.random.Generator) -> np.ndarray:
    """How good each arm is on each image, (images, arms): the deeper the better, references worse."""
    of_arms = np.array([*np.linspace(0.4, 0.7, len(LAYERS)), 0.1, 0.35, 0.3])
    ease = rng.normal(0, 0.1, (n_images, 1))
    return np.clip(of_arms + ease + rng.normal(0, 0.1, (n_images, len(ARMS))), 0.02, 0.98)


def _values(quality: np.ndarray, metrics: list[str], rng: np.random.Generator) -> Iterator[float]:
    yield from (1.0, float(rng.beta(12, 1)), float(rng.random() < 0.9))
    for of_arm in quality:
        for metric in metrics:
            yield float(rng.random() < of_arm) if metric in YES_OR_NO else float(of_arm * rng.uniform(0.8, 1))


def _maps(names: list[str], rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    for name in names:
        # a page of noise, or of noisy outlines, would be larger than any of pictures
        patches = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        yield f"picture/{name}", patches.repeat(PICTURE_PX // 8, axis=0).repeat(PICTURE_PX // 8, axis=1)
        mask = np.zeros((PICTURE_PX, PICTURE_PX), dtype=np.uint8)
        top, left = rng.integers(0, PICTURE_PX // 2, 2)
        mask[top : top + PICTURE_PX // 3, left : left + PICTURE_PX // 3] = 1
        yield f"mask/{name}", mask
        for place, (explainer, layer) in enumerate(ARMS):
            side = SIDES[place // 2] if layer else PICTURE_PX
            yield f"map/{explainer}/{layer}/{name}", rng.random((side, side), dtype=np.float32)
