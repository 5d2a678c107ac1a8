"""In which order pieces of work are repeated, and when they are warm: every round does each of them once.

Interleaved so, a slow drift of the machine (heat, other programs) reaches all alike and leaves their ratios alone.
Every other round runs backwards, so that within a round nothing is always first.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from xaibench.timing.clock import Clock, elapsed_ms
from xaibench.timing.laps import Work, timed

MINIMUM_WARMUP = 3
STILL_WARMING = 0.05


@dataclass
class Repetitions:
    """All that was measured of one piece of work.

    Attributes
    ----------
    work : Work
    milliseconds : dict of str to list of float
        By phase, for the whole batch, one entry a repetition; none is dropped.
    positions : list of int
        When each repetition took place: its place in the order of all timed runs.
    warmup_ms : list of float
        Duration of each warm-up run, all phases together.
    """

    work: Work
    milliseconds: dict[str, list[float]]
    positions: list[int] = field(default_factory=list)
    warmup_ms: list[float] = field(default_factory=list)

    @property
    def warm(self) -> bool:
        """Whether the warm-up ended because the work had stopped to get faster."""
        return is_warm(self.warmup_ms)


def is_warm(durations: Sequence[float]) -> bool:
    """Whether work has stopped to get faster: its last two runs do not beat the best before them by over 5 %.

    Three runs are needed to tell. Runs that were slowed down by something else do not count against it.
    """
    if len(durations) < MINIMUM_WARMUP:
        return False
    return min(durations[-2:]) >= (1 - STILL_WARMING) * min(durations[:-2])


def repeat_interleaved(
    works: Sequence[Work], clock: Clock, *, repeats: int, warmup: int, max_seconds: float
) -> list[Repetitions]:
    """Warm all works up, then time each of them `repeats` times, round by round.

    Parameters
    ----------
    works : sequence of Work
    clock : Clock
    repeats : int
        Rounds to time, at least 1.
    warmup : int
        Most rounds to warm up: they end sooner when every work `is_warm`. 0 times cold runs.
    max_seconds : float
        No new round begins after this time, of which the warm-up may take half. One round is always timed.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    _check(repeats=repeats, warmup=warmup, max_seconds=max_seconds)
    results = [Repetitions(work, {phase: [] for phase in work.phases}) for work in works]
    clock.settle()
    began = clock.mark()

    def left(share: float) -> bool:
        return elapsed_ms(clock, began) < share * max_seconds * 1e3

    with _no_garbage_collection():
        rounds = 0
        while rounds < warmup and not all(result.warm for result in results) and (rounds == 0 or left(0.5)):
            for result in results:
                result.warmup_ms.append(sum(timed(result.work, clock).values()))
            rounds += 1
        position = 0
        for number in range(repeats):
            if number > 0 and not left(1.0):
                break
            for result in results if number % 2 == 0 else reversed(results):
                for phase, duration in timed(result.work, clock).items():
                    result.milliseconds[phase].append(duration)
                result.positions.append(position)
                position += 1
    return results


def _check(*, repeats: int, warmup: int, max_seconds: float) -> None:
    if repeats < 1:
        raise ValueError(f"repeats: expected at least 1, got {repeats}; 20 gives a usable median and spread")
    if warmup < 0:
        raise ValueError(f"warmup: expected 0 (time cold runs) or more, got {warmup}")
    if not max_seconds > 0:
        raise ValueError(f"max_seconds: expected a positive number, got {max_seconds}")


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python's cycle collector from running inside a phase; it would hit one of them at random."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
