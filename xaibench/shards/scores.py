"""A shard of scores: some images, every map of each of them, every metric of each map."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, fields, replace
from functools import lru_cache

import numpy as np

from xaibench.metrics.catalogue import INFORMATION, METRICS, LocalizationMetric, MaskingMetric
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.information_curves import information_curves
from xaibench.metrics.map_scores import ExplainerMetric, MapMetric, MapScores, ModelMetric
from xaibench.metrics.masking import masked_scores
from xaibench.metrics.memory_limits import fixed_batch_size
from xaibench.metrics.ordering import Order, positive_fraction, tied_fraction
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.undefined import why_undefined
from xaibench.records.record import Record, settings_json
from xaibench.shards.explained import Explained, explain_batch
from xaibench.shards.images import Batch, read_batches
from xaibench.shards.rows import Arm, map_record
from xaibench.workbench import Workbench


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
        with _fixed_shard_size(bench):
            explained = explain_batch(bench, batch)
        for rows in (
            _ties,
            _curves,
            _masking,
            _model_metrics,
            _information,
            _map_metrics,
            _explainer_metrics,
            _localization,
        ):
            records.extend(rows(bench, batch, explained))
        maps.update(_stored(bench, batch, explained))
    return records, maps


def _fixed_shard_size(bench: Workbench) -> AbstractContextManager[None]:
    """Name `shard_size` where the explanations do not fit the memory; with ``batch_size=auto`` they are split instead."""
    if bench.settings.batch_size == "auto":
        return nullcontext()
    return fixed_batch_size(bench.settings.shard_size, setting="shard_size")


# ── one function a family of metrics ─────────────────────────────────────────────────────────────────────────────


def _each(batch: Batch, explained: Explained) -> Iterator[tuple[int, int, Arm]]:
    for b in range(len(batch.names)):
        for m, arm in enumerate(explained.maps):
            yield b, m, arm


def _ties(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Tell the tied and the positive share of each map; the first rows carry what making the map cost."""
    flat = explained.attributions.flatten(0, 1)
    shape = explained.attributions.shape[:2]
    tied, positive = (share(flat).view(shape).tolist() for share in (tied_fraction, positive_fraction))
    reasons = np.array(why_undefined(flat), dtype=object).reshape(shape)
    for b, m, arm in _each(batch, explained):
        cost = {"forward_passes": explained.forward_passes[arm], "seconds": explained.seconds[arm]}
        yield map_record(batch, b, arm, "tied_fraction", tied[b][m], reasons[b, m], **cost)
        yield map_record(batch, b, arm, "positive_fraction", positive[b][m], reasons[b, m])


def _curves(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    chosen = {key: metric for key, metric in bench.metrics.items() if isinstance(metric, CurveMetric)}
    if not chosen:
        return
    start = time.perf_counter()
    wanted = {key: metric.curves(key) for key, metric in chosen.items()}
    found = perturbation_curves(
        bench.fast,
        batch.images,
        batch.targets,
        explained.attributions,
        [curve for curves in wanted.values() for curve in curves],
        batch_size=bench.batch_size,
    )
    passes = sum(float(drawn.forward_passes.sum()) for drawn in found.values())
    per_pass = (time.perf_counter() - start) / max(passes, 1.0)
    for key, metric in chosen.items():
        scores = metric.value([found[curve.name] for curve in wanted[key]])
        for b, m, arm in _each(batch, explained):
            seconds = float(scores.forward_passes[b, m]) * per_pass
            yield _record(bench, batch, b, arm, key, scores, m=m, seconds=seconds)
            yield from _removals(batch, b, arm, key, scores, m=m)
        if scores.errors is not None:
            whole = sum(len(curve.counts(batch.images[0, 0].numel())) for curve in wanted[key])
            yield from _precision(batch, explained, key, scores, whole=whole)


def _precision(batch: Batch, explained: Explained, key: str, scores: MapScores, *, whole: int) -> Iterator[Record]:
    """Tell how exact the areas of a metric with a precision are, and how many of the `whole` points were left out."""
    assert scores.errors is not None
    for b, m, arm in _each(batch, explained):
        reason = scores.reasons[b][m]
        saved = float("nan") if reason else whole - float(scores.forward_passes[b, m])
        yield map_record(batch, b, arm, "area_error", float(scores.errors[b, m]), reason, variant=key)
        yield map_record(batch, b, arm, "forward_passes_saved", saved, reason, variant=key)


def _removals(batch: Batch, b: int, arm: Arm, key: str, scores: MapScores, *, m: int) -> Iterator[Record]:
    """Tell what a metric that is given shares to remove did remove: asked for as x, removed as y."""
    for one in scores.removals:
        reason, variant = scores.reasons[b][m], f"{key}/{one.name}" if one.name else key
        curve = {"curve_x": tuple(one.asked.tolist()), "curve_y": tuple(one.removed[b, m].tolist())}
        value = float("nan") if reason else float(one.errors[b, m])
        yield map_record(batch, b, arm, "removal_error", value, reason, variant=variant, **({} if reason else curve))


def _curve_of(scores: MapScores, b: int, m: int) -> dict[str, tuple[float, ...]]:
    """Return one map's curve without the NaN that fills up a shorter one."""
    if scores.curve_x is None or scores.curve_y is None:
        return {}
    x, y = scores.curve_x[b, m], scores.curve_y[b, m]
    inside = ~x.isnan()
    return {"curve_x": tuple(x[inside].tolist()), "curve_y": tuple(y[inside].tolist())}


def _masking(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Score the images under their maps; metrics that mask and score alike share the passes."""
    alike: dict[object, list[str]] = {}
    for key, metric in bench.metrics.items():
        if isinstance(metric, MaskingMetric):
            alike.setdefault((metric.score, metric.mask), []).append(key)
    for keys in alike.values():
        first = bench.metrics[keys[0]]
        start = time.perf_counter()
        found = masked_scores(
            bench.fast,
            batch.images,
            batch.targets,
            explained.attributions,
            mask=first.mask,
            score=first.score,
            batch_size=bench.batch_size,
        )
        share = (time.perf_counter() - start) / found.masked.numel() / len(keys)
        clean, passes = found.clean[:, None].expand_as(found.masked), found.forward_passes / len(keys)
        for key in keys:
            scores = MapScores(bench.metrics[key](clean, found.masked).double(), passes, found.reasons)
            for b, m, arm in _each(batch, explained):
                yield _record(bench, batch, b, arm, key, scores, m=m, seconds=share)


def _model_metrics(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Ask the model about changed images."""
    for key, metric in bench.metrics.items():
        if isinstance(metric, ModelMetric) and type(metric) not in INFORMATION.values():
            start = time.perf_counter()
            size = bench.batch_size
            scores = metric.scores(bench.fast, batch.images, batch.targets, explained.attributions, batch_size=size)
            yield from _timed(bench, batch, explained, key, scores, start)


def _information(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Draw the information curves; two readings of the same settings share the passes."""
    alike: dict[str, list[str]] = {}
    for key, metric in bench.metrics.items():
        if type(metric) in INFORMATION.values():
            alike.setdefault(repr(asdict(metric)), []).append(key)
    for keys in alike.values():
        start = time.perf_counter()
        found = information_curves(
            bench.fast,
            batch.images,
            batch.targets,
            explained.attributions,
            **asdict(bench.metrics[keys[0]]),
            batch_size=bench.batch_size,
        )
        for key in keys:
            scores = found[bench.metrics[key].reading]
            shared = replace(scores, forward_passes=scores.forward_passes / len(keys))
            yield from _timed(bench, batch, explained, key, shared, start, among=len(keys))


def _map_metrics(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Look at the maps alone."""
    for key, metric in bench.metrics.items():
        if isinstance(metric, MapMetric):
            start = time.perf_counter()
            yield from _timed(bench, batch, explained, key, metric.map_scores(explained.attributions), start)


def _explainer_metrics(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Explain changed images again."""
    for key, metric in bench.metrics.items():
        if not isinstance(metric, ExplainerMetric):
            continue
        for name, explainer in bench.explainers.items():
            start = time.perf_counter()
            found = metric.explainer_scores(
                bench.classifier.network,
                batch.images,
                batch.targets,
                explainer,
                explained.of(name),
                batch_size=bench.batch_size,
            )
            share = (time.perf_counter() - start) / len(found) / len(batch.names)
            for layer, scores in found.items():
                for b in range(len(batch.names)):
                    yield _record(bench, batch, b, (name, layer), key, scores, m=0, seconds=share)
                    yield from _removals(batch, b, (name, layer), key, scores, m=0)


def _timed(
    bench: Workbench,
    batch: Batch,
    explained: Explained,
    key: str,
    scores: MapScores,
    start: float,
    *,
    among: int = 1,
) -> Iterator[Record]:
    """Record a metric's values for all maps, the time since `start` in equal parts, `among` so many metrics."""
    share = (time.perf_counter() - start) / scores.values.numel() / among
    for b, m, arm in _each(batch, explained):
        yield _record(bench, batch, b, arm, key, scores, m=m, seconds=share)
        yield from _removals(batch, b, arm, key, scores, m=m)


def _record(
    bench: Workbench, batch: Batch, b: int, arm: Arm, key: str, scores: MapScores, *, m: int, seconds: float
) -> Record:
    reason = scores.reasons[b][m]
    return map_record(
        batch,
        b,
        arm,
        key,
        float(scores.values[b, m]),
        reason,
        forward_passes=float(scores.forward_passes[b, m]),
        seconds=seconds,
        settings=_settings(bench, key, arm),
        **({} if reason else _curve_of(scores, b, m)),
    )


def _localization(bench: Workbench, batch: Batch, explained: Explained) -> Iterator[Record]:
    """Hold the maps against the objects; images without a marked object have no such rows."""
    marked = [b for b in range(len(batch.names)) if bool(batch.masks[b].any())]
    for key, metric in bench.metrics.items():
        if not isinstance(metric, LocalizationMetric) or not marked:
            continue
        for m, arm in enumerate(explained.maps):
            attributions, masks = explained.attributions[marked, m], batch.masks[marked]
            start = time.perf_counter()
            values = metric(attributions, masks).tolist()
            share = (time.perf_counter() - start) / len(marked)
            reasons = metric.why_undefined(attributions, masks)
            for b, value, reason in zip(marked, values, reasons, strict=True):
                settings = _settings(bench, key, arm)
                yield map_record(batch, b, arm, key, value, reason, settings=settings, seconds=share)


def _settings(bench: Workbench, key: str, arm: Arm) -> str:
    return _settings_text(bench, key, bench.explainers[arm[0]].resize)


@lru_cache(maxsize=256)
def _settings_text(bench: Workbench, key: str, resize: str) -> str:
    return settings_of(bench.metrics[key], resize=resize)


def settings_of(metric: object, *, resize: str) -> str:
    """Every choice that defines the metric's value, as JSON; `name` says which metric it is.

    A metric of curves tells each of them whole, so that two rows can be compared choice by choice; `resize` is how the
    map came to the image's size.
    """
    name = next((name for name, kind in METRICS.items() if kind is type(metric)), "")
    choices = {choice.name: _plain(getattr(metric, choice.name)) for choice in fields(metric)}  # type: ignore[arg-type]
    if isinstance(metric, CurveMetric):
        curves = metric.curves("curve")
        drawn = [curve.settings() for curve in curves]
        choices = drawn[0] if len(drawn) == 1 else choices | {c.name: s for c, s in zip(curves, drawn, strict=True)}
    return settings_json({"name": name, "resize": resize} | choices)


def _plain(value: object) -> object:
    """Fit for JSON: an order by its fields, other objects such as baselines as they would be written."""
    if isinstance(value, Order):
        return asdict(value)
    return value if isinstance(value, str | int | float | dict | list | tuple) or value is None else repr(value)


def _stored(bench: Workbench, batch: Batch, explained: Explained) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for b, name in enumerate(batch.names):
        arrays[f"picture/{name}"] = bench.classifier.preprocessing.picture(batch.images[b].cpu())
        if bool(batch.masks[b].any()):
            arrays[f"mask/{name}"] = batch.masks[b].cpu().numpy().astype(np.uint8)
        for (explainer, layer), values in explained.maps.items():
            arrays[f"map/{explainer}/{layer}/{name}"] = values[b].float().cpu().numpy()
    return arrays
