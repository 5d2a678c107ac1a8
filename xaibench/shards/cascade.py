"""A shard of parameter randomization: one seed's cascade over a few images."""

from collections.abc import Iterator, Sequence

import numpy as np

from xaibench.execution.serial import Result
from xaibench.metrics.parameter_randomization import StepResult, randomization_similarities
from xaibench.metrics.units import coverage, randomization_units
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import Batch, read_batches
from xaibench.shards.rows import map_record
from xaibench.workbench import Workbench

STORED_IMAGES = 2
"""Images whose maps are kept after every step."""


def randomize(bench: Workbench, key: str, seed: int, indices: Sequence[int], *, keep_maps: bool) -> Result:
    """Randomize the network step by step and compare every explainer's maps with the trained network's.

    Parameters
    ----------
    bench : Workbench
    key : str
        Name of a `ParameterRandomization` in `bench.sanity`, under which it is recorded.
    seed : int
        One of its seeds.
    indices : sequence of int
        Samples that take part; those that cannot be used are left out, the score shards tell why.
    keep_maps : bool
        Whether the maps of the first images are given.

    Returns
    -------
    records : list of Record
        Metric `key`. Step 0 is the trained model, 1 by definition; tables leave it out of every mean. And
        ``coverage``, of the units together.
    maps : dict of array
        ``cascade/…``, step 0 included; empty unless they are to be kept.
    """
    check = bench.sanity[key]
    settings, network = check.settings, bench.classifier.network
    records: list[Record] = []
    maps: dict[str, np.ndarray] = {}
    batches, _ = read_batches(bench, indices)
    for number, batch in enumerate(batches):
        units = randomization_units(network, batch.images[:1], granularity=settings.granularity)
        if number == 0:
            reached, defining = coverage(network, units), settings_json(settings.defining())
            for kind, share in reached._asdict().items():
                records.append(_coverage(share, kind, seed, defining))
        steps = randomization_similarities(
            network, batch.images, batch.targets, check.explainers, units=units, settings=settings, seed=seed
        )
        for step in steps:
            records.extend(_rows(bench, key, batch, step))
            if keep_maps:
                maps.update(_stored(batch, step))
    return records, maps


def _coverage(share: float, kind: str, seed: int, defining: str) -> Record:
    none = {"status": "undefined", "reason": f"the network has no {kind}"} if np.isnan(share) else {}
    return Record("coverage", share, variant=kind, seed=seed, settings=defining, **none)  # type: ignore[arg-type]


def _rows(bench: Workbench, key: str, batch: Batch, step: StepResult) -> Iterator[Record]:
    check = bench.sanity[key]
    defining = settings_json(check.settings.defining())
    explainers = check.settings.smoothed(check.explainers, seed=step.seed)
    share = step.seconds / max(len(step.similarities) * len(batch.names), 1)
    for (explainer, layer, similarity), values in step.similarities.items():
        kind = explainers[explainer]
        passes = kind.forward_passes() / (len(kind.layers) * len(check.settings.similarities))
        reasons = step.reasons[explainer, layer, similarity]
        for b, (value, reason) in enumerate(zip(values.tolist(), reasons, strict=True)):
            yield map_record(
                batch,
                b,
                (explainer, layer),
                key,
                value,
                reason,
                target=int(step.targets[b]),
                variant=similarity,
                module=step.module,
                step=step.step,
                seed=step.seed,
                forward_passes=passes,
                seconds=share,
                settings=defining,
            )


def _stored(batch: Batch, step: StepResult) -> dict[str, np.ndarray]:
    return {
        f"cascade/{explainer}/{layer}/{step.seed}/{step.step}/{name}": values[b].float().cpu().numpy()
        for (explainer, layer), values in step.maps.items()
        for b, name in enumerate(batch.names[:STORED_IMAGES])
    }
