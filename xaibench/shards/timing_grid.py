"""The shards of a timing grid: the base's whole path, each sweep, whose cells take turns, and the price of precision."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from xaibench.execution.serial import Shard
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import read_batches
from xaibench.shards.precision import PRECISION_SHARD, precision_rows
from xaibench.shards.timing import state_records, timed_path
from xaibench.timing.cells import Stock, conditions_of, why_no_explanation, why_unsupported
from xaibench.timing.clock import clock_for
from xaibench.timing.conditions import device_name
from xaibench.timing.grid import Cell, TimingGrid
from xaibench.timing.machine_state import machine_state
from xaibench.timing.memory import meter_for
from xaibench.timing.sweep import CellPhase, time_sweep
from xaibench.timing.vocabulary import joint_name
from xaibench.workbench import Workbench

PATH_SHARD = "path-0000"

PASSES_PER_SECOND = 30.0
"""About so many forward passes a second, for the progress bar."""


def grid_shards(bench: Workbench, grid: TimingGrid) -> list[Shard]:
    """Cut a grid into shards; a sweep is stored whole, as its cells are timed in turn.

    The base cell's path comes first, with all its phases and counts, where its conditions let hooks in.

    Raises
    ------
    ValueError
        If the device cannot do what the base cell asks, or neither settings nor model say an image size.
    """
    sizes: dict[str, Any] = {"image_size": _side_px(bench, grid), "threads": torch.get_num_threads()}
    base = grid.base(bench.layers, **sizes)
    if reason := why_unsupported(base, bench.device):
        raise ValueError(f"timing: the base of the grid cannot be timed: {reason}")
    cost = PASSES_PER_SECOND * grid.max_seconds
    sweeps = grid.sweeps(bench.layers, **sizes)
    shards = [] if why_no_explanation(base) else [Shard(PATH_SHARD, partial(time_base, bench, grid, base), cost)]
    shards += [
        Shard(f"timing-{number:04d}", partial(time_cells, bench, grid, name, cells), cost)
        for number, (name, cells) in enumerate(sweeps.items())
    ]
    if grid.precision_images and "dtype" in sweeps:
        shards.append(Shard(PRECISION_SHARD, partial(precision_rows, bench, grid, sweeps["dtype"]), cost))
    return shards


def time_base(bench: Workbench, grid: TimingGrid, base: Cell) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Time all phases of the base cell's path, full backward passes among them; where no image is left, nothing."""
    batches, _ = read_batches(bench, range(min(base.batch_size, len(bench.dataset))))
    if not batches:
        return [], {}
    stock = Stock(bench.classifier.network, batches[0].images, batches[0].targets)
    options = {
        "method": base.method, "score": bench.settings.score, "upsampling": bench.settings.upsampling,
        "repeats": grid.repeats, "warmup": grid.warmup, "max_seconds": float(grid.max_seconds),
    }  # fmt: skip
    with conditions_of(base, bench.device):
        return timed_path(stock.network(base), stock.images(base), base.layers, stock.targets(base), options), {}


def time_cells(
    bench: Workbench, grid: TimingGrid, sweep: str, cells: Sequence[Cell]
) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Time the cells of a sweep on the run's first images; where all have to be left out, nothing."""
    largest = max(cell.batch_size for cell in cells)
    batches, _ = read_batches(bench, range(min(largest, len(bench.dataset))))
    if not batches:
        return [], {}
    clock, meter = clock_for(bench.device), meter_for(bench.device)
    before = machine_state(bench.device)
    timings = time_sweep(
        bench.classifier.network,
        batches[0].images,
        batches[0].targets,
        cells,
        score=bench.settings.score,
        upsampling=bench.settings.upsampling,
        repeats=grid.repeats,
        warmup=grid.warmup,
        max_seconds=grid.max_seconds,
        clock=clock,
        meter=meter,
    )
    states = {"before": before, "after": machine_state(bench.device)}
    known = {"sweep": sweep, "device": device_name(bench.device), "memory": meter.method}
    rows = [row for timing in timings for row in _rows(timing, {**known, "base": timing.cell == cells[0]})]
    machine = settings_json({"sweep": sweep, "device": known["device"], "threads": torch.get_num_threads()})
    return [*rows, *state_records(states, machine)], {}


def _side_px(bench: Workbench, grid: TimingGrid) -> int:
    """Side of the base cell's images: the settings', or the model's own where it is a square."""
    height, width = bench.classifier.preprocessing.image_size or (0, 0)
    if grid.image_size is None and (height != width or height == 0):
        raise ValueError("timing.image_size must be given: the model does not say the side of a square image it wants")
    return grid.image_size or height


def _rows(timing: CellPhase, known: dict[str, Any]) -> Iterator[Record]:
    taken = {
        "layers": joint_name(timing.cell.layers),
        "batch_size": timing.batch_size,
        "batch_size_asked": timing.cell.batch_size,
    }
    settings = settings_json({**(timing.conditions or {}), **timing.cell.factors(), **taken, **known})
    values = {
        "milliseconds": float(np.median(timing.milliseconds)) if timing.milliseconds else math.nan,
        "ratio_to_inference": timing.ratio_to_inference,
        "peak_memory_mib": timing.peak_memory_mib,
    }
    if not math.isnan(timing.reserved_memory_mib):  # a GPU's allocator tells
        values["reserved_memory_mib"] = timing.reserved_memory_mib
    for metric, value in values.items() if timing.status == "ok" else [("milliseconds", math.nan)]:
        status = timing.status if timing.status != "ok" or not math.isnan(value) else "undefined"
        repetitions = timing.milliseconds if metric == "milliseconds" else ()
        yield Record(
            metric,
            value,
            layer=timing.layer,
            variant=timing.phase,
            status=status,
            reason=timing.reason or ("nothing to compare with" if math.isnan(value) else ""),
            settings=settings,
            curve_x=tuple(float(position) for position in timing.positions) if repetitions else (),
            curve_y=repetitions,
        )
