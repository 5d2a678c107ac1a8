"""The timing shard: what each phase of an explanation costs on this machine."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from xaibench.records.record import Record, settings_json
from xaibench.shards.images import read_batches
from xaibench.timing.clock import clock_for
from xaibench.timing.conditions import conditions
from xaibench.timing.explanation_path import ExplanationPath
from xaibench.timing.phases import PhaseTiming, time_explanation_path
from xaibench.workbench import Workbench


def time_path(
    bench: Workbench, settings: ExplanationPath, indices: Sequence[int]
) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Time the explanation path of the run's layers on some of its images; where all have to be left out, nothing."""
    batches, _ = read_batches(bench, indices)
    if not batches:
        return [], {}
    network = bench.classifier.network
    layout = torch.channels_last if _channels_last(bench) else torch.contiguous_format
    images = batches[0].images.contiguous(memory_format=layout)
    timings = time_explanation_path(
        network,
        images,
        bench.layers,
        targets=batches[0].targets,
        score=bench.settings.score,
        upsampling=bench.settings.upsampling,
        repeats=settings.repeats,
        warmup=settings.warmup,
        max_seconds=float(settings.max_seconds),
    )
    stated = conditions(network, images, clock=clock_for(images.device))
    return [row for timing in timings for row in _rows(timing, stated)], {}


def _channels_last(bench: Workbench) -> bool:
    weights = [p for p in bench.classifier.network.parameters() if p.ndim == 4 and p.shape[2] * p.shape[3] > 1]
    return bool(weights) and not weights[0].is_contiguous()


def _rows(timing: PhaseTiming, stated: dict[str, object]) -> Iterator[Record]:
    settings = settings_json({**stated, "device": timing.device, "memory": timing.memory_method})
    values = {
        "milliseconds": timing.median_ms,
        "ratio_to_inference": timing.ratio_to_inference,
        "peak_memory_mib": timing.peak_memory_mib,
    }
    for metric, value in values.items():
        undefined = math.isnan(value)
        repetitions = timing.milliseconds if metric == "milliseconds" else ()
        yield Record(
            metric,
            value,
            layer=timing.layer,
            variant=timing.phase,
            status="undefined" if undefined else "ok",
            reason=timing.reason or ("nothing to compare with" if undefined else ""),
            settings=settings,
            curve_x=tuple(float(position) for position in timing.positions) if repetitions else (),
            curve_y=repetitions,
        )
