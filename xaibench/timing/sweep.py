"""Timing the cells of a sweep together: their repetitions take turns, so that drift of the machine hits all alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from statistics import median
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from xaibench.explainers.borrowed import random_state_restored
from xaibench.metrics.memory_limits import halving
from xaibench.timing.cells import Stock, conditions_of, why_no_explanation, why_unsupported, works_for
from xaibench.timing.clock import Clock, coarseness
from xaibench.timing.conditions import conditions
from xaibench.timing.grid import Cell
from xaibench.timing.laps import Work, metered, timed
from xaibench.timing.memory import MemoryMeter
from xaibench.timing.schedule import Repetitions, repeat_interleaved
from xaibench.timing.vocabulary import EXPLANATION, INFERENCE, joint_name

SLOW_SHARE = 0.25
"""Work that takes more than this part of a sweep's time for one run is run once, so that it does not take the others'."""

EXPECTED_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError)
"""What a network raises for images of a size, or in a precision, that it cannot take, and a compiler that fails."""

COMPILER_ERRORS = ("FailOnRecompileLimitHit",)
"""Names of what a compiler raises besides: torch exports the classes from no public module."""


class BaseCellError(RuntimeError):
    """The cell that all others of a sweep are compared with cannot be timed."""


@dataclass(frozen=True)
class CellPhase:
    """What one phase of a cell took, or why it has no time.

    Attributes
    ----------
    cell : Cell
        As asked for.
    batch_size : int
        The one taken, which is less than the cell's where that did not fit the memory.
    layer, phase : str
        As in `xaibench.timing.phases.PhaseTiming`.
    milliseconds, positions : tuple
        Of every repetition an image, and its place in the order of all runs of the sweep; empty where there is none.
    ratio_to_inference, peak_memory_mib, reserved_memory_mib : float
        As in `PhaseTiming`; inference is that under the cell's conditions at the batch size taken, NaN where none was
        timed.
    status : str
        ``undefined`` for what the device cannot do, ``failed`` for what was tried and raised.
    reason : str
        Why there is no time, or what makes it doubtful.
    conditions : dict
        As `xaibench.timing.conditions.conditions` found them; empty where nothing ran.
    """

    cell: Cell
    batch_size: int
    layer: str
    phase: str
    milliseconds: tuple[float, ...] = ()
    positions: tuple[int, ...] = ()
    ratio_to_inference: float = nan
    peak_memory_mib: float = nan
    reserved_memory_mib: float = nan
    status: Literal["ok", "undefined", "failed"] = "ok"
    reason: str = ""
    conditions: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Prepared:
    """A cell whose work has run once."""

    cell: Cell
    batch_size: int
    works: list[Work]
    first_ms: list[dict[str, float]]
    reason: str
    conditions: dict[str, Any]


def time_sweep(
    model: nn.Module,
    pictures: Float[Tensor, "N C H W"],
    targets: Int64[Tensor, " N"],
    cells: Sequence[Cell],
    *,
    score: str,
    upsampling: str,
    repeats: int,
    warmup: int,
    max_seconds: int | float,
    clock: Clock,
    meter: MemoryMeter,
) -> list[CellPhase]:
    """Time plain inference and the explanation path of every cell.

    Each cell runs once, which compiles what is to be compiled and finds a batch that fits the memory. Then all take
    turns. Plain inference is timed once for cells that differ in layers or method only.

    Parameters
    ----------
    model : nn.Module
        Not changed: copies are timed.
    pictures, targets
        As `Stock` takes them.
    cells : sequence of Cell
        The base first, which the others are compared with.
    score, upsampling : str
    repeats, warmup, max_seconds
        As in `repeat_interleaved`, for all cells together.
    clock, meter

    Returns
    -------
    list of CellPhase
        Cell by cell; one with an empty time for a cell, or a part of it, that cannot be timed.

    Raises
    ------
    BaseCellError
        If the base cannot be timed.
    """
    stock = Stock(model, pictures, targets)
    if any(cell.compiled for cell in cells):  # what earlier sweeps compiled counts against the limit, too
        torch.compiler.reset()
    found: list[CellPhase] = []
    prepared: list[_Prepared] = []
    inferred: set[Cell] = set()
    with random_state_restored(pictures.device):
        for cell in cells:
            new = cell.conditions() not in inferred
            made = _prepared(stock, cell, clock, score=score, upsampling=upsampling, inference=new)
            if isinstance(made, _Prepared):
                if made.batch_size == cell.batch_size:
                    inferred.add(cell.conditions())
                prepared.append(made)
            elif cell == cells[0]:
                raise BaseCellError(f"the base of the sweep, which all others are compared with, failed: {made.reason}")
            else:
                found.append(made)
        limit_ms = SLOW_SHARE * max_seconds * 1e3
        pieces = [(one, work, first) for one in prepared for work, first in zip(one.works, one.first_ms, strict=True)]
        quick = [work for _, work, first in pieces if sum(first.values()) <= limit_ms]
        timings = iter(repeat_interleaved(quick, clock, repeats=repeats, warmup=warmup, max_seconds=max_seconds))
        with meter:
            for one, work, first in pieces:
                slow = sum(first.values()) > limit_ms
                timing = _once(work, first) if slow else next(timings)
                found += _phases(one, timing, {} if slow else metered(work, meter), clock, repeats=repeats)
    found = _with_ratios(found) + [_unexplained(one.cell) for one in prepared if why_no_explanation(one.cell)]
    return sorted(found, key=lambda row: cells.index(row.cell))


def _prepared(
    stock: Stock, cell: Cell, clock: Clock, *, score: str, upsampling: str, inference: bool
) -> _Prepared | CellPhase:
    """Make a cell's work and run it once, with fewer images where memory runs out; or say why that cannot be."""
    absent = partial(CellPhase, cell, cell.batch_size, joint_name(cell.layers), EXPLANATION)
    if reason := why_unsupported(cell, stock.device):
        return absent(status="undefined", reason=reason)

    def attempt(size: int) -> _Prepared:
        smaller = replace(cell, batch_size=size)
        made = works_for(stock, smaller, score=score, upsampling=upsampling, inference=inference)
        if cell.compiled:  # by their first run
            [timed(work, clock) for work in made]
        first_ms = [timed(work, clock) for work in made]
        with conditions_of(smaller, stock.device):
            stated = conditions(stock.network(smaller), stock.images(smaller), clock=clock)
        return _Prepared(cell, size, made, first_ms, "", stated)

    try:
        fitted = halving(cell.batch_size, attempt)
    except Exception as error:
        if not isinstance(error, EXPECTED_ERRORS) and type(error).__name__ not in COMPILER_ERRORS:
            raise
        return absent(status="failed", reason=first_line(error))
    return replace(fitted.result, reason=fitted.reason)


def first_line(error: BaseException) -> str:
    """Name an error and say the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def _unexplained(cell: Cell) -> CellPhase:
    reason = why_no_explanation(cell)
    return CellPhase(cell, cell.batch_size, joint_name(cell.layers), EXPLANATION, status="undefined", reason=reason)


def _once(work: Work, first_ms: dict[str, float]) -> Repetitions:
    """Its first run as the only repetition of work that is too slow for more."""
    return Repetitions(work, {phase: [duration] for phase, duration in first_ms.items()}, positions=[0])


def _phases(
    one: _Prepared, timing: Repetitions, memory: dict[str, tuple[float, float]], clock: Clock, *, repeats: int
) -> list[CellPhase]:
    once = not memory
    rows = []
    for phase, durations in timing.milliseconds.items():
        doubts = [one.reason, coarseness(median(durations), clock)]
        if once:
            doubts.append("so slow that its first run, cold, is the only one; its memory was not metered")
        else:
            doubts.append("" if timing.warm else f"not yet warm after {len(timing.warmup_ms)} warm-up runs")
            doubts.append(
                ""
                if len(durations) == repeats
                else f"max_seconds left time for {len(durations)} of {repeats} repetitions"
            )
        peak, reserved = memory.get(phase, (nan, nan))
        rows.append(
            CellPhase(
                one.cell,
                one.batch_size,
                timing.work.layer,
                phase,
                tuple(duration / one.batch_size for duration in durations),
                tuple(timing.positions),
                peak_memory_mib=peak,
                reserved_memory_mib=reserved,
                reason="; ".join(doubt for doubt in doubts if doubt),
                conditions=one.conditions,
            )
        )
    return rows


def _with_ratios(rows: list[CellPhase]) -> list[CellPhase]:
    """Add each phase's ratio to the plain inference under the same conditions, at the batch size that was taken."""
    plain = {_taken(row): median(row.milliseconds) for row in rows if row.phase == INFERENCE}
    found = []
    for row in rows:
        inference = plain.get(_taken(row), nan)
        ratio = median(row.milliseconds) / inference if row.milliseconds and inference > 0 else nan
        lacking = row.milliseconds and _taken(row) not in plain
        why = f"no plain inference was timed at batch size {row.batch_size}" if lacking else ""
        reason = "; ".join(part for part in (row.reason, why) if part)
        found.append(replace(row, ratio_to_inference=ratio, reason=reason))
    return found


def _taken(row: CellPhase) -> Cell:
    return replace(row.cell.conditions(), batch_size=row.batch_size)
