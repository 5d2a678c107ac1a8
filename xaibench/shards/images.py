"""Samples as the network sees them, with those that cannot be used set aside as records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from xaibench.data.samples import Sample, UnreadableImage
from xaibench.explainers.targets import choose_targets
from xaibench.metrics.scoring import evaluating
from xaibench.metrics.undefined import MODEL_NOT_FINITE
from xaibench.records.record import Record
from xaibench.workbench import Workbench


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one size, ready to explain.

    Attributes
    ----------
    names : tuple of str
    images : Tensor, shape (B, 3, H, W)
        Normalized, on the device.
    labels : Tensor of int64, shape (B,)
        -1 where unknown or of other categories than the model's.
    targets : Tensor of int64, shape (B,)
        Classes to explain.
    confidences : Tensor, shape (B,)
        Softmax probability of the targets.
    correct : Tensor, shape (B,)
        Whether the model predicts the label; NaN where there is none.
    masks : Tensor of bool, shape (B, H, W)
        The explained class's object where it is marked, else the principal one; empty where there is none.
    """

    names: tuple[str, ...]
    images: Tensor
    labels: Tensor
    targets: Tensor
    confidences: Tensor
    correct: Tensor
    masks: Tensor


def parts_of(batch: Batch, at_once: int) -> Iterator[Batch]:
    """Cut a batch into parts of at most so many images."""
    for begin in range(0, len(batch.names), at_once):
        yield Batch(*(getattr(batch, each.name)[begin : begin + at_once] for each in fields(Batch)))


def read_batches(bench: Workbench, indices: Sequence[int]) -> tuple[list[Batch], list[Record]]:
    """Read samples, choose their targets, and give batches of equal image size.

    Returns
    -------
    batches : list of Batch
        Every usable image once; inside a batch in the order of `indices`.
    records : list of Record
        Metric ``image`` for each index: 1, or NaN and why it cannot be used; and ``confidence``, ``correct``.
    """
    batches: list[Batch] = []
    records: dict[int, list[Record]] = {}
    by_size: dict[tuple[int, int], list[tuple[int, Sample, Tensor]]] = {}
    for index in indices:
        try:
            sample = bench.dataset[index]
            image = bench.classifier.preprocessing.image(sample.image)
        except UnreadableImage as error:
            records[index] = [_failed(bench.dataset.name(index), str(error))]
            continue
        by_size.setdefault((image.shape[1], image.shape[2]), []).append((index, sample, image))
    for members in by_size.values():
        finite = _finite(bench, members, records)
        if finite:
            batches.append(_batch(bench, finite))
            for (index, sample, _), rows in zip(finite, _rows(batches[-1]), strict=True):
                records[index] = [
                    Record("image", 1.0, image=sample.name, label=rows[0].label, reason=sample.note),
                    *rows,
                ]
    return batches, [record for index in indices for record in records[index]]


def _failed(name: str, reason: str) -> Record:
    return Record("image", float("nan"), image=name, status="failed", reason=reason)


def _logits(bench: Workbench, images: Tensor) -> Tensor:
    with evaluating(bench.classifier.network):
        return torch.cat([bench.classifier.network(part) for part in images.split(bench.batch_size)])


Member = tuple[int, Sample, Tensor]


def _finite(bench: Workbench, members: list[Member], records: dict[int, list[Record]]) -> list[Member]:
    """Keep the images on which the model's output is finite."""
    logits = _logits(bench, _stacked(bench, members))
    kept = []
    for member, finite in zip(members, logits.isfinite().all(dim=1).tolist(), strict=True):
        if finite:
            kept.append(member)
        else:
            records[member[0]] = [_failed(member[1].name, MODEL_NOT_FINITE)]
    return kept


def _stacked(bench: Workbench, members: list[Member]) -> Tensor:
    return torch.stack([image for _, _, image in members]).to(bench.device)


def _batch(bench: Workbench, members: list[Member]) -> Batch:
    images = _stacked(bench, members)
    logits = _logits(bench, images)
    labels = torch.tensor(
        [sample.labels[0] if sample.labels and bench.labels_fit else -1 for _, sample, _ in members],
        device=images.device,
    )
    targets = choose_targets(logits, bench.settings.target, labels)
    confidences = logits.double().softmax(dim=1).gather(1, targets[:, None])[:, 0]
    correct = (logits.argmax(dim=1) == labels).double().masked_fill(labels < 0, torch.nan)
    masks = [
        _mask(bench, sample, target, image)
        for (_, sample, image), target in zip(members, targets.tolist(), strict=True)
    ]
    names = tuple(sample.name for _, sample, _ in members)
    return Batch(names, images, labels, targets, confidences, correct, torch.stack(masks).to(images.device))


def _mask(bench: Workbench, sample: Sample, target: int, image: Tensor) -> Tensor:
    """Where the explained class lies: the union of its objects if any is labelled so, else the principal object."""
    if sample.masks is None or len(sample.masks) == 0:
        return torch.zeros(image.shape[1:], dtype=torch.bool)
    of_target = [label == target for label in sample.labels] if bench.labels_fit else []
    chosen = sample.masks[np.array(of_target)].any(axis=0) if any(of_target) else sample.masks[0]
    return bench.classifier.preprocessing.mask(chosen[None])[0]


def _rows(batch: Batch) -> Iterator[list[Record]]:
    columns = (
        batch.names,
        batch.labels.tolist(),
        batch.targets.tolist(),
        batch.confidences.tolist(),
        batch.correct.tolist(),
    )
    for name, label, target, confidence, correct in zip(*columns, strict=True):
        rows = [Record("confidence", confidence, image=name, label=label, target=target, forward_passes=2.0)]
        if label >= 0:
            rows.append(Record("correct", correct, image=name, label=label, target=target))
        yield rows
