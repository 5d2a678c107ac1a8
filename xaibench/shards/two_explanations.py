"""Shards of the sanity checks that explain each image twice: efficient MPRT and random logit."""

import time
from collections.abc import Sequence
from typing import Any

from xaibench.execution.serial import Result
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.efficient_mprt import efficient_mprt
from xaibench.metrics.random_logit import random_logit
from xaibench.metrics.units import randomization_units
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import read_batches
from xaibench.shards.rows import map_record
from xaibench.workbench import Workbench


def complicate(bench: Workbench, key: str, seed: int, indices: Sequence[int]) -> Result:
    """Record by how much each map's entropy rises when all parameters are randomized with this seed."""
    check, network = bench.sanity[key], bench.classifier.network
    records: list[Record] = []
    for batch in read_batches(bench, indices)[0]:
        start = time.perf_counter()
        units = randomization_units(network, batch.images[:1])
        found = efficient_mprt(
            network, batch.images, batch.targets, check.explainers, units=units, settings=check.settings, seed=seed
        )
        share = (time.perf_counter() - start) / (len(found) * len(batch.names))
        for arm, (values, reasons) in found.items():
            more = _more(check.explainers[arm[0]], check.settings, seed, share)
            for b, (value, reason) in enumerate(zip(values.tolist(), reasons, strict=True)):
                records.append(map_record(batch, b, arm, key, value, reason, **more))
    return records, {}


def explain_others(bench: Workbench, key: str, seed: int, indices: Sequence[int]) -> Result:
    """Record how similar each map is to the map of a class drawn with this seed; `target` is the image's own."""
    check = bench.sanity[key]
    records: list[Record] = []
    for batch in read_batches(bench, indices)[0]:
        start = time.perf_counter()
        compared = random_logit(
            bench.classifier.network,
            batch.images,
            batch.targets,
            check.explainers,
            settings=check.settings,
            seed=seed,
            names=batch.names,
        )
        share = (time.perf_counter() - start) / (len(compared.found) * len(batch.names))
        for (explainer, layer, similarity), (values, reasons) in compared.found.items():
            more = _more(check.explainers[explainer], check.settings, seed, share)
            for b, (value, reason) in enumerate(zip(values.tolist(), reasons, strict=True)):
                other = f"class {int(compared.targets[b])}"
                arm = (explainer, layer)
                row = map_record(batch, b, arm, key, value, reason, variant=similarity, module=other, **more)
                records.append(row)
    return records, {}


def _more(explainer: Explainer, settings: Any, seed: int, seconds: float) -> dict[str, Any]:
    """Cost and settings of one value: two explanations, shared by the explainer's layers and the similarities."""
    ways = len(getattr(settings, "similarities", ("entropy",)))
    return {
        "seed": seed,
        "forward_passes": 2 * explainer.forward_passes() / (len(explainer.layers) * ways),
        "seconds": seconds,
        "settings": settings_json(settings.defining()),
    }
