"""A complete made-up run folder: records, pictures with masks, maps, maps along a cascade, and run.json."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file
from synthetic_records import ARMS, LAYERS, UNITS, synthetic_records

from xaibench.records.run_folder import RunFolder
from xaibench.records.table import SCHEMA

CATEGORIES = ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "heart", "arrow", "diamond"]
PROVENANCE = {
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "python": "3.12.1",
    "libraries": {"xaibench": "0.1.0", "torch": "2.14.1", "numpy": "2.4.6"},
    "device": "cpu",
    "processor": "a made-up processor",
    "cores": 2,
    "threads": 2,
}
IDENTITY = {
    "settings": {
        "experiment_name": "layers",
        "seed": 0,
        "layers": list(LAYERS),
        "data": {"name": "shapes", "variant": "single", "n_images": 12},
        "metrics": {"deletion": {"steps": 16, "baseline": "zero"}, "insertion": {"steps": 16, "baseline": "blur"}},
    },
    "categories": CATEGORIES,
    "weights_digest": "ab" * 32,
    "data_digest": "cd" * 32,
}
_GRIDS = {"layer1.2": 32, "layer2.3": 16, "layer3.5": 8, "layer4.2": 4}


def synthetic_run(folder: Path, *, n_images: int = 12, records: pd.DataFrame | None = None, maps: bool = True) -> Path:
    """Write a run into `folder` and return it; with other `records`, those, and with ``maps=False`` no maps."""
    run = RunFolder.create(folder, IDENTITY, PROVENANCE)
    records = synthetic_records(n_images) if records is None else records
    table = pa.Table.from_pandas(records, schema=SCHEMA, preserve_index=False)
    pq.write_table(table, folder / "records" / "scores-0000.parquet")
    names = sorted(set(records.loc[records["metric"] == "confidence", "image"]))
    if maps and names:
        save_file(synthetic_maps(names), folder / "maps" / "scores-0000.safetensors")
    return run.path


def synthetic_maps(names: list[str], seed: int = 0) -> dict[str, np.ndarray]:
    """Pictures, masks, maps and the maps along a cascade of the first two images; one map is empty, one constant."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for index, name in enumerate(names):
        picture, mask, centre = _scene(rng)
        arrays[f"picture/{name}"], arrays[f"mask/{name}"] = picture, mask.astype(np.uint8)
        for explainer, layer in ARMS:
            arrays[f"map/{explainer}/{layer}/{name}"] = _map(rng, explainer, layer, picture, centre)
        if index == 1:
            arrays[f"map/grad_cam/layer1.2/{name}"][:] = -1
            arrays[f"map/grad_cam/layer2.3/{name}"][:] = 0.5
        for layer in LAYERS if index < 2 else ():
            start = arrays[f"map/grad_cam/{layer}/{name}"]
            for step in range(len(UNITS) + 1):
                kept = np.float32(np.exp(-step / 3))
                noise = rng.random(start.shape, dtype=np.float32) - np.float32(0.3)
                arrays[f"cascade/grad_cam/{layer}/0/{step}/{name}"] = kept * start + (1 - kept) * noise
    return arrays


def _scene(rng: np.random.Generator, size: int = 128) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A coloured square with a soft coloured ground, its mask and its centre in [0, 1]."""
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + rng.uniform(0, 6)) for _ in range(3)], -1)
    picture = 127 + 60 * waves + rng.normal(0, 12, (size, size, 3))
    centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.22)
    mask = np.maximum(abs(x - centre[0]), abs(y - centre[1])) < radius
    picture[mask] = rng.uniform(20, 235, 3) + rng.normal(0, 10, (int(mask.sum()), 3))
    return np.clip(picture, 0, 255).astype(np.uint8), mask, centre


def _map(rng: np.random.Generator, explainer: str, layer: str, picture: np.ndarray, centre: np.ndarray) -> np.ndarray:
    if explainer == "random":
        return rng.random((128, 128), dtype=np.float32)
    if explainer == "sobel":
        down, across = np.gradient(picture.mean(axis=2))
        return np.hypot(down, across).astype(np.float32)
    side = _GRIDS.get(layer, 128)
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    middle = np.array([0.5, 0.5]) if explainer == "center" else centre
    blob = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 0.04)
    noise = 0.02 if explainer == "center" else 0.5 * side / 32
    return (blob + noise * rng.normal(0, 0.3, (side, side)) - 0.1).astype(np.float32)
