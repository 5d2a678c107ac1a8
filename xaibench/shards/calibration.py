"""A shard of calibration: the similarities of a run's cascades between maps that have nothing to do with each other."""

import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from xaibench.execution.serial import Result
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.upsample import upsample
from xaibench.metrics.calibration import other_image_pairs, random_map_pairs
from xaibench.metrics.explained import explained_maps, rectifiable
from xaibench.metrics.schemes import seed_of
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import read_batches
from xaibench.workbench import Workbench

N_PARTNERS = 2
"""With how many other images each image is compared."""


def calibrate(
    bench: Workbench,
    explainers: Mapping[str, Explainer],
    similarities: Sequence[str],
    indices: Sequence[int],
    *,
    rectify: bool,
    n_pairs: int,
) -> Result:
    """Compare random maps, and maps of different images, by each similarity at each layer's resolution.

    Returns
    -------
    records : list of Record
        Metric ``calibration``; see docs/architecture.md.
    maps : dict
        Empty.
    """
    records: list[Record] = []
    seen: set[tuple[str, str]] = set()
    batches, _ = read_batches(bench, indices)
    settings = settings_json({"name": "calibration", "rectify": rectify, "n_pairs": n_pairs, "n_partners": N_PARTNERS})
    for batch in batches:
        size = (batch.images.shape[2], batch.images.shape[3])
        small = explained_maps(
            bench.classifier.network, batch.images, batch.targets, explainers, seed=bench.settings.seed, rectify=rectify
        )
        for arm, maps in small.items():
            mode = explainers[arm[0]].upsampling
            start = time.perf_counter()
            of_images = other_image_pairs(upsample(maps, size, mode=mode), similarities, n_partners=N_PARTNERS)
            for name, (pairs, values) in of_images.items():
                firsts = [batch.names[i] for i in pairs[:, 0].tolist()]
                records += _rows("other_images", arm, name, values, start, settings, images=firsts)
            if arm in seen:
                continue  # one size of image calibrates the random maps
            seen.add(arm)
            start = time.perf_counter()
            of_noise = random_map_pairs(
                (maps.shape[1], maps.shape[2]),
                size,
                similarities=similarities,
                n_pairs=n_pairs,
                generator=torch.Generator().manual_seed(seed_of(bench.settings.seed, "calibration", *arm)),
                rectify=rectify and rectifiable(explainers[arm[0]]),
                upsampling=mode,
            )
            for name, values in of_noise.items():
                records += _rows("random_maps", arm, name, values, start, settings)
    return records, {}


def _rows(
    kind: str,
    arm: tuple[str, str],
    similarity: str,
    values: Tensor,
    start: float,
    settings: str,
    *,
    images: Sequence[str] = (),
) -> Iterator[Record]:
    share = (time.perf_counter() - start) / max(len(values), 1)
    for number, value in enumerate(values.tolist()):
        undefined = value != value
        yield Record(
            "calibration",
            value,
            image=images[number] if images else "",
            explainer=arm[0],
            layer=arm[1],
            variant=similarity,
            module=kind,
            step=number,
            status="undefined" if undefined else "ok",
            reason="one of the two maps is constant or not finite" if undefined else "",
            seconds=share,
            settings=settings,
        )
