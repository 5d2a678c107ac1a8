"""A shard of the sanity check: one seed's cascade of randomizations over a few images."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from xaibench.execution.serial import Shard
from xaibench.metrics.parameter_randomization import StepResult, randomization_similarities
from xaibench.metrics.units import randomization_units
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import Batch, read_batches
from xaibench.workbench import Workbench

STORED_IMAGES = 2
"""Images whose maps are kept after every step."""


def sanity_shards(bench: Workbench) -> list[Shard]:
    """Cut every sanity check into shards, one a seed."""
    per_image = sum(explainer.forward_passes() for explainer in bench.explainers.values())
    shards = []
    for key, check in bench.sanity.items():
        few = range(min(check.n_images, len(bench.dataset)))
        shards += [
            Shard(f"sanity-{key}-{number:04d}", partial(randomize, bench, key, seed, few), 60.0 * len(few) * per_image)
            for number, seed in enumerate(check.seeds)
        ]
    return shards


def randomize(
    bench: Workbench, key: str, seed: int, indices: Sequence[int]
) -> tuple[list[Record], dict[str, np.ndarray]]:
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

    Returns
    -------
    records : list of Record
        Metric `key`. Step 0 is the trained model, 1 by definition; tables leave it out of every mean.
    maps : dict of array
        ``cascade/…`` of the first seed and images, step 0 included.
    """
    settings = bench.sanity[key]
    records: list[Record] = []
    maps: dict[str, np.ndarray] = {}
    batches, _ = read_batches(bench, indices)
    names = {explainer.name: name for name, explainer in bench.explainers.items()}
    for batch in batches:
        network = bench.classifier.network
        units = randomization_units(network, batch.images[:1], granularity=settings.granularity)
        steps = randomization_similarities(
            network,
            batch.images,
            batch.targets,
            list(bench.explainers.values()),
            units=units,
            settings=settings,
            seed=seed,
        )
        for step in steps:
            records.extend(_rows(bench, key, batch, step, names))
            if seed == settings.seeds[0]:
                maps.update(_stored(batch, step, names))
    return records, maps


def _rows(bench: Workbench, key: str, batch: Batch, step: StepResult, names: dict[str, str]) -> Iterator[Record]:
    settings = bench.sanity[key]
    defining = settings_json(settings.defining())
    share = step.seconds / max(len(step.similarities) * len(batch.names), 1)
    for (explainer, layer, similarity), values in step.similarities.items():
        kind = bench.explainers[names[explainer]]
        passes = kind.forward_passes() / (len(kind.layers) * len(settings.similarities))
        reasons = step.reasons[explainer, layer, similarity]
        for b, (value, reason) in enumerate(zip(values.tolist(), reasons, strict=True)):
            yield Record(
                key,
                value,
                image=batch.names[b],
                label=int(batch.labels[b]),
                target=int(step.targets[b]),
                explainer=names[explainer],
                layer=layer,
                variant=similarity,
                module=step.module,
                step=step.step,
                seed=step.seed,
                status="undefined" if math.isnan(value) else "ok",
                reason=reason,
                forward_passes=passes,
                seconds=share,
                settings=defining,
            )


def _stored(batch: Batch, step: StepResult, names: dict[str, str]) -> dict[str, np.ndarray]:
    return {
        f"cascade/{names[explainer]}/{layer}/{step.seed}/{step.step}/{name}": values[b].float().cpu().numpy()
        for (explainer, layer), values in step.maps.items()
        for b, name in enumerate(batch.names[:STORED_IMAGES])
    }
