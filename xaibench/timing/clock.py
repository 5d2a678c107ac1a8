"""Clocks that stamp moments of the work on a device, and how finely and at what cost they do it.

On a CPU a stamp is `time.perf_counter_ns`. Work on a CUDA device runs behind the program, so there a stamp is an
event in the device's own queue, read once the device has caught up; the time between two events includes the device's
waiting for its next order. `torch.utils.benchmark` times one statement as a whole and sets the thread count itself,
so it cannot stamp the inside of a pass; the tests hold this clock to it instead.
"""

import time
from itertools import pairwise
from math import nan
from statistics import median
from typing import Any, Protocol, runtime_checkable

import torch

COARSE_FACTOR = 100
"""A duration under this many times the clock's resolution carries a rounding error over a percent and is flagged."""

CUDA_EVENT_RESOLUTION_MS = 5e-4
"""Resolution of a CUDA event as its documentation of `cudaEventElapsedTime` states: around half a microsecond."""

PROBES = 1000


@runtime_checkable
class Clock(Protocol):
    """What stamps moments: `mark` twice, then ask for the milliseconds between.

    Attributes
    ----------
    name : str
        How it measures, for the record.
    resolution_ms : float
        Smallest difference that it can tell, in milliseconds.
    overhead_ms : float
        Median duration that it gives for no work at all, in milliseconds; each phase contains it.
    """

    name: str
    resolution_ms: float
    overhead_ms: float

    def settle(self) -> None:
        """Wait until all work given to the device so far is done."""

    def mark(self) -> Any:
        """Stamp this moment of the work."""

    def milliseconds(self, start: Any, end: Any) -> float:
        """Time between two marks, in milliseconds; only after `settle`."""


class CpuClock:
    """Wall time by `time.perf_counter_ns`; a CPU's work is done when its call returns."""

    name = "time.perf_counter_ns"
    overhead_ms = nan

    def __init__(self) -> None:
        self.resolution_ms = _smallest_tick_ns() / 1e6
        self.overhead_ms = _overhead_ms(self)

    def settle(self) -> None:
        """Do nothing: there is no queue."""

    def mark(self) -> int:
        """Nanoseconds since some fixed moment."""
        return time.perf_counter_ns()

    def milliseconds(self, start: int, end: int) -> float:
        """Time between two marks."""
        return (end - start) / 1e6


class CudaClock:
    """Time on the device by CUDA events in its current stream.

    Parameters
    ----------
    device : torch.device
        A CUDA device that is there; see `clock_for`.
    """

    name = "CUDA events"
    overhead_ms = nan
    resolution_ms = CUDA_EVENT_RESOLUTION_MS

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.overhead_ms = _overhead_ms(self)

    def settle(self) -> None:
        """Wait for the device's queue to run empty."""
        torch.cuda.synchronize(self.device)

    def mark(self) -> Any:
        """Put an event into the queue."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def milliseconds(self, start: Any, end: Any) -> float:
        """Time between two events that the device has passed."""
        return float(start.elapsed_time(end))


def clock_for(device: torch.device | str) -> Clock:
    """Choose the clock that measures work on `device`.

    Raises
    ------
    ValueError
        If the device is CUDA and there is none, or it is of a kind that no clock here measures.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return CpuClock()
    if device.type != "cuda":
        raise ValueError(f"device: expected cpu or cuda, got {str(device)!r}; there is no clock for it")
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= available:
        raise ValueError(
            f"device: {str(device)!r} was asked for, but torch {torch.__version__} sees {available} CUDA devices here; "
            "use device=cpu, or install a CUDA build of torch on a machine with a GPU"
        )
    return CudaClock(device)


def elapsed_ms(clock: Clock, start: Any) -> float:
    """Milliseconds since a mark, once all work given to the device so far is done."""
    now = clock.mark()
    clock.settle()
    return clock.milliseconds(start, now)


def coarseness(duration_ms: float, clock: Clock) -> str:
    """Say why `duration_ms` is too short for the clock, or "" where it is long enough."""
    if duration_ms >= COARSE_FACTOR * clock.resolution_ms:
        return ""
    return (
        f"too short for the clock: {duration_ms:.3g} ms is under {COARSE_FACTOR} times the resolution of {clock.name},"
        f" {clock.resolution_ms:.3g} ms; time more images at once"
    )


def _smallest_tick_ns() -> int:
    """Smallest step between readings: the counter's own, or the cost of reading it, whichever is coarser."""
    readings = [time.perf_counter_ns() for _ in range(PROBES)]
    steps = [later - earlier for earlier, later in pairwise(readings) if later > earlier]
    return min(steps, default=int(time.get_clock_info("perf_counter").resolution * 1e9))


def _overhead_ms(clock: Clock) -> float:
    """Median time that the clock gives for an empty piece of work."""
    clock.settle()
    pairs = [(clock.mark(), clock.mark()) for _ in range(PROBES)]
    clock.settle()
    return median(clock.milliseconds(start, end) for start, end in pairs)
