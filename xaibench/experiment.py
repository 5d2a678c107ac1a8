"""The whole story of an experiment: load, explain, score, store, report."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from xaibench.execution.serial import Shard, run_shards
from xaibench.metrics.catalogue import MaskingMetric
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.fusing import Fused
from xaibench.metrics.inference import float32_products, largest_deviation
from xaibench.metrics.precision_error import precision_error
from xaibench.models.layers import layer_names
from xaibench.records.provenance import provenance
from xaibench.records.run_folder import RunFolder, fingerprint, values_digest
from xaibench.report.redraw import write_report
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.stop_rule import StopRule
from xaibench.report.stopping import stopping_entry, stopping_of
from xaibench.report.terminal import print_report
from xaibench.settings import BESIDE_THE_VALUES, RunSettings
from xaibench.shards.explained import explain_batch
from xaibench.shards.images import Batch, read_batches
from xaibench.shards.sanity import sanity_shards
from xaibench.shards.scores import settings_of
from xaibench.shards.timing import time_path
from xaibench.shards.timing_grid import grid_shards
from xaibench.shards.within_memory import WithinMemory
from xaibench.stopper import Stopper
from xaibench.timing.conditions import device_name
from xaibench.timing.grid import TimingGrid
from xaibench.workbench import Workbench, load_classifier, set_up


@float32_products("ieee")
def run_experiment(settings: RunSettings, *, progress: bool = True) -> Path:
    """Run an experiment, or go on with it, and write its report.

    On a CUDA device float32 means float32 in all of it: torch's tf32 is switched off meanwhile, and comes back only
    where it is asked for by name (`inference.dtype=tf32`, the timing grid's `tf32`).

    Parameters
    ----------
    settings : RunSettings
        What to do. Everything in it is checked before work starts.
    progress : bool
        Show a progress bar and, at the end, the answer.

    Returns
    -------
    Path
        The run's folder.

    Raises
    ------
    ValueError
        If a setting does not fit; nothing has been written then.
    RunFolderError
        If the folder belongs to another run or cannot be written.
    """
    SanityRule.of(asdict(settings))
    StopRule.of(asdict(settings))
    bench = set_up(settings)
    scoring = WithinMemory(bench)
    shards, identity = plan(bench, scoring), _identity(bench)
    folder = RunFolder.create(
        _path(settings, identity),
        identity,
        provenance(device=device_name(bench.device), threads=torch.get_num_threads()),
    )
    run_shards(shards, folder, progress=progress)
    records = folder.records()
    if not (records[records["metric"] == "image"]["status"] == "ok").any():
        reasons = "; ".join(sorted(set(records["reason"]) - {""})[:3])
        raise ValueError(f"none of the {len(bench.dataset)} images could be used: {reasons}")
    folder.update(
        finished=True,
        values_digest=values_digest(records),
        question=settings.question,
        verdict=settings.verdict,
        inference=_inference(scoring.bench),
        **_stopping(folder, records),
    )
    report = write_report(folder.path)
    if progress:
        print_report(report.tables, folder=folder.path, page=report.page, stream=sys.stdout)
    return folder.path


def plan(bench: Workbench, scoring: WithinMemory | None = None) -> list[Shard]:
    """Cut the work into shards; the settings alone decide them, so a resumed run has the same.

    `scoring` does the shards of scores, and tells afterwards which batch size fitted the memory.
    """
    n = len(bench.dataset)
    shards = [*_scores_shards(bench, scoring or WithinMemory(bench)), *sanity_shards(bench)]
    if isinstance(bench.timing, TimingGrid):
        shards += grid_shards(bench, bench.timing)
    elif bench.timing is not None:
        few = range(min(bench.timing.n_images, n))
        shards.append(Shard("timing-0000", partial(time_path, bench, bench.timing, few), 1500.0))
    return shards


def _scores_shards(bench: Workbench, scoring: WithinMemory) -> list[Shard]:
    """Cut the images into shards; where the run may stop early, each looks first at what those before it settle."""
    visits, size, per_image = bench.visits, bench.settings.shard_size, _passes_per_image(bench)
    parts = [visits[begin : begin + size] for begin in range(0, len(visits), size)]
    names = [f"scores-{number:04d}" for number in range(len(parts))]
    stopper, shards = _stopper(bench, names), []
    for name, part in zip(names, parts, strict=True):
        unless = None if stopper is None else partial(stopper.needless, name)
        shards.append(Shard(name, partial(scoring.score, part), per_image * len(part), unless))
    return shards


def _stopper(bench: Workbench, shards: Sequence[str]) -> Stopper | None:
    """Make what ends the run early, after a look whether its test can be done; None where it uses all images."""
    rule = StopRule.of(asdict(bench.settings))
    if rule is None:
        return None
    arms = [(name, layer) for name, explainer in bench.explainers.items() for layer in explainer.layers]
    rule.check(settings_of(bench.metrics[rule.metric], resize=""), arms)
    return Stopper(rule, shards, total=len(bench.dataset), arms=arms)


def _stopping(folder: RunFolder, records: pd.DataFrame) -> dict[str, Any]:
    found = stopping_of(folder.run, records)
    return {} if found is None else {"stopping": stopping_entry(found)}


def _passes_per_image(bench: Workbench) -> float:
    """About how many forward passes an image's scores take."""
    arms = sum(len(explainer.layers) for explainer in bench.explainers.values())
    explained = sum(3 * explainer.forward_passes() for explainer in bench.explainers.values())
    height, width = bench.classifier.preprocessing.image_size or (224, 224)
    curves = [metric for metric in bench.metrics.values() if isinstance(metric, CurveMetric)]
    points = sum(curve.expected_points(height, width) for metric in curves for curve in metric.curves(""))
    masked = any(isinstance(metric, MaskingMetric) for metric in bench.metrics.values())
    return 5.0 + explained + arms * (points + int(masked))


def _identity(bench: Workbench) -> dict[str, Any]:
    """Return everything that decides the values."""
    settings = {key: value for key, value in asdict(bench.settings).items() if key not in BESIDE_THE_VALUES}
    if bench.settings.stop_when is None:  # the question of a run that uses all images decides nothing
        settings = {key: value for key, value in settings.items() if key not in ("stop_when", "stop")}
    classifier = bench.classifier
    return {
        "settings": settings,
        "layers": list(bench.layers),
        "categories": list(classifier.categories),
        "model": {"name": classifier.name, "weights": classifier.weights, "digest": classifier.digest},
        "data": {"n": len(bench.dataset), "digest": bench.dataset.digest()},
        "device": bench.device.type,
    }


def _path(settings: RunSettings, identity: dict[str, Any]) -> Path:
    if settings.out is not None:
        return Path(settings.out)
    return Path("results") / f"{settings.experiment_name}-{fingerprint(identity)[:8]}"


def _inference(bench: Workbench) -> dict[str, Any]:
    """Tell how the network was run, and measure on a few images what that changed."""
    known: dict[str, Any] = {"batch_size": bench.batch_size}
    if bench.fast is bench.classifier.network:
        return known | {"copy": False}
    network, few = bench.classifier.network, range(min(8, len(bench.dataset)))
    batches = read_batches(bench, few)[0]
    deviations = [largest_deviation(network, bench.fast, batch.images) for batch in batches]
    known |= {
        "copy": True,
        "fused": isinstance(bench.fast, Fused),
        "largest_probability_deviation": max(deviations, default=None),
    }
    if bench.settings.inference.get("dtype", "float32") != "float32":
        known["areas_against_float64"] = _area_errors(bench, batches)
    return known


def _area_errors(bench: Workbench, batches: Sequence[Batch]) -> list[dict[str, Any]]:
    """What less precision does to the areas of the run's own curves and maps, batch by batch."""
    curves = [curve for key, m in bench.metrics.items() if isinstance(m, CurveMetric) for curve in m.curves(key)]
    rows = []
    for batch in batches if curves else ():
        attributions = explain_batch(bench, batch).attributions
        network = bench.classifier.network
        found = precision_error(
            network, bench.fast, batch.images, batch.targets, attributions, curves, batch_size=bench.batch_size
        )
        rows += found.rows()
    return rows


def layers_table(settings: RunSettings) -> str:
    """List a model's layers in the order of execution: name, class, output, stride, calls."""
    classifier = load_classifier(settings)
    size = classifier.preprocessing.image_size
    rows = [("layer", "class", "output", "stride", "calls")]
    for info in layer_names(classifier.network, *([size] if size else [])):
        shape = " × ".join(map(str, info.shape)) if info.shape else "–"
        stride = f"{info.stride:g}" if info.stride else "–"
        rows.append((info.name, info.kind, shape, stride, str(info.calls)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
