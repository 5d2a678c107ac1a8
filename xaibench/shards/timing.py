"""The timing shard: what each phase of an explanation costs on this machine, and how far that is from its limits."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from xaibench.metrics.memory_limits import halving
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import read_batches
from xaibench.timing.clock import clock_for
from xaibench.timing.conditions import conditions
from xaibench.timing.derived import hook_milliseconds, phases_to_whole
from xaibench.timing.explanation_path import ExplanationPath
from xaibench.timing.machine_state import MachineState, machine_state
from xaibench.timing.phases import PhaseTiming, time_explanation_path
from xaibench.timing.roofline import Rates, measure_rates
from xaibench.timing.vocabulary import EXPLANATION, FORWARD, FULL_BACKWARD, HOOKS, INPUT_BACKWARD
from xaibench.workbench import Workbench

WITH_GRAPH = (FORWARD, INPUT_BACKWARD, FULL_BACKWARD)
"""The phases on whose rows the graph of their work stands."""


def time_path(
    bench: Workbench, settings: ExplanationPath, indices: Sequence[int]
) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Time the explanation path of the run's layers on some of its images; where all have to be left out, nothing."""
    batches, _ = read_batches(bench, indices)
    if not batches:
        return [], {}
    layout = torch.channels_last if _channels_last(bench) else torch.contiguous_format
    images = batches[0].images.contiguous(memory_format=layout)
    options = {
        "score": bench.settings.score, "upsampling": bench.settings.upsampling, "repeats": settings.repeats,
        "warmup": settings.warmup, "max_seconds": float(settings.max_seconds),
    }  # fmt: skip
    return timed_path(bench.classifier.network, images, bench.layers, batches[0].targets, options), {}


def timed_path(
    network: nn.Module,
    images: Float[Tensor, "B C H W"],
    layers: Sequence[str],
    targets: Int64[Tensor, " B"],
    options: dict[str, Any],
) -> list[Record]:
    """Time the path as `time_explanation_path` does with these `options`, and measure the machine beside it.

    Where memory runs out, again with half of the images: the reason of each measured row then says how many were taken.
    """
    before = machine_state(images.device)
    fitted = halving(
        len(images),
        lambda size: time_explanation_path(network, images[:size], layers, targets=targets[:size], **options),
    )
    states = {"before": before, "after": machine_state(images.device)}
    timings = [_doubted(timing, fitted.reason) for timing in fitted.result]
    rates = measure_rates(images.device, images.dtype)
    stated = conditions(network, images[: fitted.batch_size], clock=clock_for(images.device))
    return [*path_records(timings, stated), *machine_records(timings, rates, states, stated)]


def path_records(timings: Sequence[PhaseTiming], stated: dict[str, object]) -> Iterator[Record]:
    """Rows of each phase, and of what follows from several: what was measured, and what was counted.

    Parameters
    ----------
    timings : sequence of PhaseTiming
        From one call of `time_explanation_path`.
    stated : dict
        Its `conditions`. Rows that were counted carry only those that fix a count.
    """
    for timing in timings:
        yield from _measured(timing, stated)
        yield from _counted(timing, stated)
    settings = settings_json(stated)
    derived = {
        ("phases_to_whole", EXPLANATION): phases_to_whole(timings),
        ("hook_milliseconds", HOOKS): hook_milliseconds(timings),
    }
    for (metric, variant), layers in derived.items():
        for layer, values in layers.items():
            yield _record(metric, median(values), layer=layer, variant=variant, settings=settings, curve_y=values)


def machine_records(
    timings: Sequence[PhaseTiming], rates: Rates, states: dict[str, MachineState], stated: dict[str, object]
) -> Iterator[Record]:
    """Rows of what the machine can do at best, how near each phase comes, and what it was doing meanwhile."""
    settings = settings_json(stated)
    curves = {
        "matrix_gflop_per_second": (rates.gflop_per_second, rates.product_sides, rates.products),
        "copy_gbyte_per_second": (rates.gbyte_per_second, rates.copy_mib, rates.copies),
    }
    for metric, (value, sizes, found) in curves.items():
        yield _record(metric, value, settings=settings, curve_x=sizes, curve_y=found)
    for timing in timings:
        milliseconds = timing.median_ms * timing.n_images
        if milliseconds > 0 and not math.isnan(timing.needs.operations):
            percent = 100 * timing.needs.operations / 1e6 / milliseconds / rates.gflop_per_second
            record = partial(_record, layer=timing.layer, variant=timing.phase, reason=timing.reason)
            yield record("percent_of_peak", percent, settings=settings)
    yield from state_records(states, settings)


def state_records(states: dict[str, MachineState], settings: str) -> Iterator[Record]:
    """Rows of what the machine was doing at each look; what slowed a GPU down stands beside its clock, even if unknown."""
    for when, state in states.items():
        looks = {"processor_mhz": state.processor_mhz, "gpu_mhz": state.gpu_mhz, "load_average": state.load}
        for metric, value in looks.items():
            reason = ", ".join(state.throttles) if metric == "gpu_mhz" else ""
            if reason or not math.isnan(value):
                yield _record(metric, value, variant=when, settings=settings, reason=reason)


def _doubted(timing: PhaseTiming, reason: str) -> PhaseTiming:
    """Put a reason before those that a phase has already."""
    return replace(timing, reason="; ".join(part for part in (reason, timing.reason) if part))


def _channels_last(bench: Workbench) -> bool:
    weights = [p for p in bench.classifier.network.parameters() if p.ndim == 4 and p.shape[2] * p.shape[3] > 1]
    return bool(weights) and not weights[0].is_contiguous()


def _measured(timing: PhaseTiming, stated: dict[str, object]) -> Iterator[Record]:
    settings = settings_json({**stated, "device": timing.device, "memory": timing.memory_method})
    record = partial(_record, layer=timing.layer, variant=timing.phase, settings=settings, reason=timing.reason)
    places = tuple(float(position) for position in timing.positions)
    yield record("milliseconds", timing.median_ms, curve_x=places, curve_y=timing.milliseconds)
    yield record("ratio_to_inference", timing.ratio_to_inference)
    yield record("peak_memory_mib", timing.peak_memory_mib)
    if not math.isnan(timing.reserved_memory_mib):
        yield record("reserved_memory_mib", timing.reserved_memory_mib)


def _counted(timing: PhaseTiming, stated: dict[str, object]) -> Iterator[Record]:
    kept = ("images", "image_dtype", "parameter_dtypes", "autocast")
    settings = settings_json({name: stated[name] for name in kept if name in stated})
    needs, n = timing.needs, timing.n_images
    values = {
        "gflop": needs.operations / 1e9 / n,
        "gbyte": needs.bytes_moved / 1e9 / n,
        "predicted_memory_mib": needs.memory_mib,
        "graph_memory_mib": needs.graph_mib if timing.phase in WITH_GRAPH else math.nan,
        "captured_memory_mib": timing.captured_mib if timing.phase == FORWARD else math.nan,
    }
    for metric, value in values.items():
        if not math.isnan(value):
            yield _record(metric, value, layer=timing.layer, variant=timing.phase, settings=settings)


def _record(
    metric: str,
    value: float,
    *,
    settings: str,
    layer: str = "",
    variant: str = "",
    reason: str = "",
    curve_x: Iterable[float] = (),
    curve_y: Iterable[float] = (),
) -> Record:
    undefined = math.isnan(value)
    return Record(
        metric,
        value,
        layer=layer,
        variant=variant,
        status="undefined" if undefined else "ok",
        reason=reason or ("nothing to compare with" if undefined else ""),
        settings=settings,
        curve_x=tuple(curve_x),
        curve_y=tuple(curve_y),
    )
