"""A shard of the data randomization test: one seed's networks, trained on permuted and on true labels."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xaibench.data.samples import Dataset, UnreadableImage
from xaibench.data.shapes import Shapes
from xaibench.metrics.data_randomization import (
    PERMUTED,
    TRUE,
    DataRandomization,
    NetworkComparison,
    compare_networks,
    permuted,
)
from xaibench.metrics.memorizing import Memorizing
from xaibench.metrics.schemes import seed_of
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import Batch, read_batches
from xaibench.shards.rows import map_record
from xaibench.training.memorize import Memorized, memorize, memorized_file
from xaibench.workbench import Workbench

STORED_IMAGES = 2
"""Images whose maps of the retrained networks are kept."""
_log = logging.getLogger(__name__)


class TrainingSet(NamedTuple):
    """Images to learn by heart: normalized, (N, 3, H, W), on the CPU; with their true labels, (N,)."""

    images: Tensor
    labels: Tensor


def data_randomization_shard(
    bench: Workbench, key: str, seed: int, indices: Sequence[int]
) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Train a network on permuted labels and one on true ones, and compare their maps with the model's.

    Trainings are kept in the cache (see `memorized_file`) and gone on with where they were broken off.

    Parameters
    ----------
    bench : Workbench
    key : str
        Name of a `DataRandomization` in `bench.sanity`, under which it is recorded.
    seed : int
        One of its seeds.
    indices : sequence of int
        Samples that are explained; those that cannot be used are left out, the score shards tell why.

    Returns
    -------
    records : list of Record
        ``training_accuracy`` of each network, and metric `key` for each map; NaN, with the reason, also where training
        did not reach the accuracy: the test is not valid then. `module` tells the labels.
    maps : dict of array
        ``other/<module>/<explainer>/<layer>/<image>`` of the first seed and images.
    """
    settings: DataRandomization = bench.sanity[key].settings
    known = training_set(bench, key)
    dealt = permuted(known.labels, seed)
    labels = {PERMUTED: dealt.labels} | ({TRUE: known.labels} if settings.control else {})
    notes = {PERMUTED: f"{dealt.share_kept:.1%} of the permuted labels are the true ones by chance", TRUE: ""}
    batches, _ = read_batches(bench, indices)
    records: list[Record] = []
    maps: dict[str, np.ndarray] = {}
    for module, these in labels.items():
        trained = _trained(bench, known.images, these, settings.memorizing(seed), module)
        records.append(_accuracy_record(settings, seed, module, trained, len(these), notes[module]))
        for batch in batches:
            start = time.perf_counter()
            compared = _compared(bench, key, seed, trained, batch)
            share = (time.perf_counter() - start) / (len(compared.found) * len(batch.names))
            records += _rows(bench, key, seed, module, batch, compared, why_invalid(trained), share)
            if seed == settings.seeds[0]:
                maps |= _stored(module, batch, compared)
    return records, maps


def check_trainable(bench: Workbench, key: str) -> None:
    """See, without reading an image, that the data can be learned by heart.

    Raises
    ------
    ValueError
        If labels are unknown or not the model's classes, fewer than two classes occur, images come in several sizes, or
        drawn training images would be those that are evaluated.
    """
    settings: DataRandomization = bench.sanity[key].settings
    if not bench.labels_fit:
        raise ValueError(
            f"sanity.{key} trains on labels, but the data's categories are not the model's classes; give data with "
            f"labels of the model's classes, or leave {key} out of sanity"
        )
    if bench.classifier.preprocessing.image_size is None:
        raise ValueError(
            f"sanity.{key} trains on batches, but the model's preprocessing gives images of several sizes; "
            "give it a crop, or exact (height, width) for resize"
        )
    if isinstance(bench.dataset, Shapes) and bench.dataset.seed == settings.train_seed:
        raise ValueError(
            f"sanity.{key}.train_seed must differ from data.seed={bench.dataset.seed}, or the network would be trained on "
            "the very images that are evaluated"
        )
    dataset, indices = _source(bench.dataset, settings)
    if hasattr(dataset, "label"):
        found = {dataset.label(index) for index in indices} - {None}
        if len(found) < 2:
            raise ValueError(
                f"sanity.{key} permutes labels, so its {len(indices)} training images must be of two classes at least; "
                f"found {len(found)}; give labelled data of more classes, or a larger n_train"
            )


def training_set(bench: Workbench, key: str) -> TrainingSet:
    """Read the images to learn by heart and their principal labels.

    For data that are drawn, these are images of another seed, of which none is evaluated; for a folder, `n_train` of its
    own, drawn by `train_seed`, or all if there are no more. Unreadable images and those without a label are left out.

    Raises
    ------
    ValueError
        See `check_trainable`.
    """
    check_trainable(bench, key)
    dataset, indices = _source(bench.dataset, bench.sanity[key].settings)
    images, labels = [], []
    for index in indices:
        try:
            sample = dataset[index]
            image = bench.classifier.preprocessing.image(sample.image)
        except UnreadableImage as error:
            _log.warning("left out of the training: %s", error)
            continue
        if sample.labels:
            images.append(image)
            labels.append(sample.labels[0])
    if len(set(labels)) < 2:
        raise ValueError(
            f"sanity.{key} permutes labels, so the usable ones of its {len(indices)} training images must be of two "
            f"classes at least; found {len(labels)} images of {len(set(labels))} class(es)"
        )
    return TrainingSet(torch.stack(images), torch.tensor(labels))


def why_invalid(trained: Memorized) -> str:
    """Say why the test proves nothing with this network; "" if its training reached the accuracy asked for."""
    if trained.reached:
        return ""
    text = f"training reached only {trained.accuracy:.1%} after {len(trained.history)} epochs, not the "
    text += f"{trained.accuracy_asked:.0%} that the test asks for"
    return text if math.isfinite(trained.history[-1]["loss"]) else f"{text}: the loss is no longer finite"


def _source(dataset: Dataset, settings: DataRandomization) -> tuple[Dataset, Sequence[int]]:
    if isinstance(dataset, Shapes):
        return replace(dataset, n=settings.n_train, seed=settings.train_seed), range(settings.n_train)
    generator = torch.Generator().manual_seed(seed_of(settings.train_seed, "training images"))
    return dataset, sorted(torch.randperm(len(dataset), generator=generator)[: settings.n_train].tolist())


def _trained(bench: Workbench, images: Tensor, labels: Tensor, settings: Memorizing, module: str) -> Memorized:
    network = bench.classifier.network

    def tell(epoch: int, row: dict[str, float]) -> None:
        _log.info("%s, epoch %d: accuracy %.3f, loss %.3f", module, epoch, row["accuracy"], row["loss"])

    file = memorized_file(network, images, labels, settings)
    return memorize(network, images, labels, settings=settings, checkpoint=file, progress=tell)


def _compared(bench: Workbench, key: str, seed: int, trained: Memorized, batch: Batch) -> NetworkComparison:
    check = bench.sanity[key]
    return compare_networks(
        bench.classifier.network,
        trained.network,
        batch.images,
        batch.targets,
        check.explainers,
        similarities=check.settings.similarities,
        rectify=check.settings.rectify,
        seed=seed,
    )


def _accuracy_record(
    settings: DataRandomization, seed: int, module: str, trained: Memorized, n_images: int, note: str
) -> Record:
    n_epochs = len(trained.history)
    return Record(
        "training_accuracy",
        trained.accuracy,
        module=module,
        seed=seed,
        reason=note,
        forward_passes=2.0 * n_images * n_epochs,  # one to learn, one to see what is known
        seconds=trained.seconds,
        settings=settings_json(settings.defining()),
        curve_x=tuple(float(epoch) for epoch in range(1, n_epochs + 1)),
        curve_y=tuple(row["accuracy"] for row in trained.history),
    )


def _rows(
    bench: Workbench,
    key: str,
    seed: int,
    module: str,
    batch: Batch,
    compared: NetworkComparison,
    invalid: str,
    seconds: float,
) -> Iterator[Record]:
    check = bench.sanity[key]
    settings = settings_json(check.settings.defining())
    for (name, layer, similarity), (values, reasons) in compared.found.items():
        explainer = check.explainers[name]
        passes = 2 * explainer.forward_passes() / (len(explainer.layers) * len(check.settings.similarities))
        more = {"variant": similarity, "module": module, "seed": seed, "settings": settings}
        for b, (value, reason) in enumerate(zip(values.tolist(), reasons, strict=True)):
            value = math.nan if invalid else value
            cost = {"forward_passes": passes, "seconds": seconds}
            yield map_record(batch, b, (name, layer), key, value, invalid or reason, **more, **cost)


def _stored(module: str, batch: Batch, compared: NetworkComparison) -> dict[str, np.ndarray]:
    return {
        f"other/{module}/{explainer}/{layer}/{name}": values[b].float().cpu().numpy()
        for (explainer, layer), values in compared.maps.items()
        for b, name in enumerate(batch.names[:STORED_IMAGES])
    }
