"""Taking down when, or at what memory, the phases of one piece of work end.

A piece of work calls `start` where its first phase begins and `end(phase)` where each one ends. The same work so runs
under a clock and under a memory meter, and neither knows what it does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from xaibench.timing.clock import Clock
from xaibench.timing.memory import MemoryMeter


@runtime_checkable
class Laps(Protocol):
    """What a piece of work reports to."""

    def start(self) -> None:
        """Say that the first phase begins; what came before is not counted."""

    def end(self, phase: str) -> None:
        """Say that a phase ends here, and the next one begins."""


@dataclass(frozen=True)
class Work:
    """A piece of work that reports its phases.

    Attributes
    ----------
    layer : str
        What its phases belong to in the table; "" for the model as a whole.
    phases : tuple of str
        The phases that it reports, in order.
    run : function
        Does the work once.
    """

    layer: str
    phases: tuple[str, ...]
    run: Callable[[Laps], None]


class TimeLaps:
    """Stamps the ends of phases without waiting in between, so that a device's queue is not held up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks: list[Any] = []
        self._phases: list[str] = []

    def start(self) -> None:
        """Wait for an idle device, then stamp."""
        self._clock.settle()
        self._marks = [self._clock.mark()]

    def end(self, phase: str) -> None:
        """Stamp."""
        self._marks.append(self._clock.mark())
        self._phases.append(phase)

    def milliseconds(self) -> dict[str, float]:
        """Duration of each phase; what was reported twice in a run, such as a forward pass done again, is added up."""
        self._clock.settle()
        durations: dict[str, float] = {}
        for phase, begin, end in zip(self._phases, self._marks[:-1], self._marks[1:], strict=True):
            durations[phase] = durations.get(phase, 0.0) + self._clock.milliseconds(begin, end)
        return durations


class MemoryLaps:
    """Reads the peak memory of each phase, above what was held at the start of the work."""

    def __init__(self, meter: MemoryMeter) -> None:
        self._meter = meter
        self.peaks_mib: dict[str, float] = {}
        self.reserved_mib: dict[str, float] = {}

    def start(self) -> None:
        """Take what is held now as the floor."""
        self._meter.reset()

    def end(self, phase: str) -> None:
        """Read the phase's peak."""
        self.peaks_mib[phase] = max(self.peaks_mib.get(phase, 0.0), self._meter.peak_mib())
        self.reserved_mib[phase] = max(self.reserved_mib.get(phase, self._meter.reserved_mib), self._meter.reserved_mib)


def timed(work: Work, clock: Clock) -> dict[str, float]:
    """Do the work once and return the milliseconds of each of its phases."""
    laps = TimeLaps(clock)
    work.run(laps)
    return _as_announced(work, laps.milliseconds())


def metered(work: Work, meter: MemoryMeter) -> dict[str, tuple[float, float]]:
    """Do the work once and return the peak MiB and the reserved MiB of each of its phases."""
    laps = MemoryLaps(meter)
    work.run(laps)
    return {phase: (peak, laps.reserved_mib[phase]) for phase, peak in _as_announced(work, laps.peaks_mib).items()}


def _as_announced(work: Work, found: dict[str, float]) -> dict[str, float]:
    if tuple(found) != work.phases:
        raise RuntimeError(f"work on layer {work.layer!r} reported the phases {tuple(found)}; expected {work.phases}")
    return found
