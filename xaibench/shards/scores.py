"""A shard of scores: some images, every map of each of them, every metric of each map."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass

import numpy as np
import torch
from torch import Tensor

from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import capture
from xaibench.explainers.upsample import upsample
from xaibench.metrics.catalogue import CurveMetric, LocalizationMetric, MaskingMetric
from xaibench.metrics.masking import masked_scores
from xaibench.metrics.ordering import tied_fraction
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.undefined import why_undefined
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import Batch, read_batches
from xaibench.workbench import Workbench

Arm = tuple[str, str]  # explainer, layer


@dataclass(frozen=True, eq=False)
class Explained:
    """All maps of a batch.

    Attributes
    ----------
    maps : dict from (explainer, layer) to Tensor, shape (B, h, w)
        At the layers' own resolution.
    attributions : Tensor, shape (B, M, H, W)
        The same, upsampled, in the order of `maps`.
    forward_passes, seconds : dict from (explainer, layer) to float
        What one image's map cost; layers explained together share.
    """

    maps: Mapping[Arm, Tensor]
    attributions: Tensor
    forward_passes: Mapping[Arm, float]
    seconds: Mapping[Arm, float]


def score_images(bench: Workbench, indices: Sequence[int]) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Explain the images and score every map.

    Parameters
    ----------
    bench : Workbench
    indices : sequence of int
        Samples of the data set. They decide the batches, so equal indices give equal bits.

    Returns
    -------
    records : list of Record
    maps : dict of array
        ``picture/…``, ``mask/…`` and ``map/…`` as in docs/architecture.md.
    """
    batches, records = read_batches(bench, indices)
    maps: dict[str, np.ndarray] = {}
    for batch in batches:
        explained = explain_batch(bench, batch)
        for rows in (_ties, _curves, _masking, _localization):
            records.extend(rows(bench, batch, explained))
        maps.update(_stored(bench, batch, explained))
    return records, maps


def explain_batch(bench: Workbench, batch: Batch) -> Explained:
    """Make every explainer's maps; CAMs that want the same layers and score share one pass."""
    maps: dict[Arm, Tensor] = {}
    passes: dict[Arm, float] = {}
    seconds: dict[Arm, float] = {}
    attributions = []
    for group in _sharing(bench):
        start = time.perf_counter()
        made = _maps_of(bench, batch, group)
        size = (batch.images.shape[2], batch.images.shape[3])
        full = {arm: upsample(values, size, mode=bench.explainers[arm[0]].upsampling) for arm, values in made.items()}
        share = (time.perf_counter() - start) / len(made) / len(batch.names)
        cost = bench.explainers[group[0]].forward_passes() / len(made)
        for arm, values in made.items():
            maps[arm], passes[arm], seconds[arm] = values, cost, share
            attributions.append(full[arm])
    return Explained(maps, torch.stack(attributions, dim=1), passes, seconds)


def _sharing(bench: Workbench) -> list[list[str]]:
    """Group the explainers that one capture can serve."""
    groups: dict[object, list[str]] = {}
    for name, explainer in bench.explainers.items():
        key = (explainer.layers, explainer.score, explainer.token_grid) if isinstance(explainer, CAM) else name
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _maps_of(bench: Workbench, batch: Batch, group: Sequence[str]) -> dict[Arm, Tensor]:
    first = bench.explainers[group[0]]
    if not isinstance(first, CAM):
        found = first.maps(bench.classifier.network, batch.images, batch.targets)
        return {(group[0], layer): values for layer, values in found.items()}
    captured = capture(
        bench.classifier.network,
        batch.images,
        first.layers,
        targets=batch.targets,
        score=first.score,
        token_grid=first.token_grid,
    )
    cams = {name: explainer for name in group if isinstance(explainer := bench.explainers[name], CAM)}
    return {(name, layer): values for name, cam in cams.items() for layer, values in cam.maps_of(captured).items()}


# ── one function a family of metrics ─────────────────────────────────────────────────────────────────────────────


def _row(batch: Batch, b: int, arm: Arm, metric: str, value: float, reason: str, **more: object) -> Record:
    """Make the record of one map's value; NaN is undefined, for the reason given."""
    undefined = bool(np.isnan(value))
    return Record(
        metric,
        value,
        image=batch.names[b],
        label=int(batch.labels[b]),
        target=int(batch.targets[b]),
        explainer=arm[0],
        layer=arm[1],
        status="undefined" if undefined else "ok",
        reason=(reason or "not defined here") if undefined else "",
        **more,  # type: ignore[arg-type]
    )


def _each(batch: Batch, explained: Explained) -> Iterator[tuple[int, int, Arm]]:
    for b in range(len(batch.names)):
        for m, arm in enumerate(explained.maps):
            yield b, m, arm


def _ties(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Tell the tied share of each map; these rows carry what making the map cost."""
    flat = explained.attributions.flatten(0, 1)
    shape = explained.attributions.shape[:2]
    values = tied_fraction(flat).view(shape).tolist()
    reasons = np.array(why_undefined(flat), dtype=object).reshape(shape)
    for b, m, arm in _each(batch, explained):
        cost = {"forward_passes": explained.forward_passes[arm], "seconds": explained.seconds[arm]}
        yield _row(batch, b, arm, "tied_fraction", values[b][m], reasons[b, m], **cost)


def _curves(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    chosen = {key: metric for key, metric in bench.metrics.items() if isinstance(metric, CurveMetric)}
    if not chosen:
        return
    start = time.perf_counter()
    found = perturbation_curves(
        bench.fast,
        batch.images,
        batch.targets,
        explained.attributions,
        [metric.curve(key) for key, metric in chosen.items()],
        batch_size=bench.settings.batch_size,
    )
    passes = sum(float(scores.forward_passes.sum()) for scores in found.values())
    per_pass = (time.perf_counter() - start) / max(passes, 1.0)
    for key, scores in found.items():
        settings, x = settings_of(chosen[key]), tuple(scores.fractions.tolist())
        for b, m, arm in _each(batch, explained):
            n = float(scores.forward_passes[b, m])
            curve = {"curve_x": x, "curve_y": tuple(scores.scores[b, m].tolist())} if not scores.reasons[b][m] else {}
            cost = {"forward_passes": n, "seconds": n * per_pass, "settings": settings}
            yield _row(batch, b, arm, key, float(scores.areas[b, m]), scores.reasons[b][m], **cost, **curve)


def _masking(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    chosen = {key: metric for key, metric in bench.metrics.items() if isinstance(metric, MaskingMetric)}
    by_score: dict[str, list[str]] = {}
    for key, metric in chosen.items():
        by_score.setdefault(metric.score, []).append(key)
    for score, keys in by_score.items():
        start = time.perf_counter()
        found = masked_scores(
            bench.fast,
            batch.images,
            batch.targets,
            explained.attributions,
            score=score,
            batch_size=bench.settings.batch_size,
        )
        share = (time.perf_counter() - start) / found.masked.numel() / len(keys)
        for key in keys:
            values = chosen[key](found.clean[:, None].expand_as(found.masked), found.masked)
            for b, m, arm in _each(batch, explained):
                cost = {"forward_passes": float(found.forward_passes[b, m]) / len(keys), "seconds": share}
                settings = settings_of(chosen[key])
                yield _row(batch, b, arm, key, float(values[b, m]), found.reasons[b][m], settings=settings, **cost)


def _localization(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Hold the maps against the objects; images without a marked object have no such rows."""
    marked = [b for b in range(len(batch.names)) if bool(batch.masks[b].any())]
    for key, metric in bench.metrics.items():
        if not isinstance(metric, LocalizationMetric) or not marked:
            continue
        settings = settings_of(metric)
        for m, arm in enumerate(explained.maps):
            attributions, masks = explained.attributions[marked, m], batch.masks[marked]
            start = time.perf_counter()
            values = metric(attributions, masks).tolist()
            share = (time.perf_counter() - start) / len(marked)
            reasons = metric.why_undefined(attributions, masks)
            for b, value, reason in zip(marked, values, reasons, strict=True):
                yield _row(batch, b, arm, key, value, reason, settings=settings, seconds=share)


def settings_of(metric: object) -> str:
    """Every choice that defines the metric's value, as JSON."""
    values = asdict(metric) if is_dataclass(metric) and not isinstance(metric, type) else {}
    return settings_json({key: value if _plain(value) else repr(value) for key, value in values.items()})


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | dict | list | tuple) or value is None


def _stored(bench: Workbench, batch: Batch, explained: Explained) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for b, name in enumerate(batch.names):
        arrays[f"picture/{name}"] = bench.classifier.preprocessing.picture(batch.images[b].cpu())
        if bool(batch.masks[b].any()):
            arrays[f"mask/{name}"] = batch.masks[b].cpu().numpy().astype(np.uint8)
        for (explainer, layer), values in explained.maps.items():
            arrays[f"map/{explainer}/{layer}/{name}"] = values[b].float().cpu().numpy()
    return arrays
