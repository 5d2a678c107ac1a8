"""What each phase needs on any machine: operations, bytes moved, memory. Counted by shapes in one run of each work."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from torch import Tensor, nn

from xaibench.explainers.borrowed import unwrapped
from xaibench.timing.counts import Counter, CountingLaps
from xaibench.timing.laps import Laps, MemoryLaps, Work
from xaibench.timing.predicted import GraphLaps, TensorMeter


@dataclass(frozen=True)
class Needs:
    """What a phase needs, for the whole batch; NaN where it was not counted.

    Attributes
    ----------
    operations : float
        Multiplications and additions of matrix products, convolutions and attention.
    bytes_moved : float
        Bytes that its operators read and write: without fusion and caches, so an upper bound.
    memory_mib : float
        Most MiB of tensors made since its work began, as `PhaseTiming.peak_memory_mib` measures it.
    graph_mib : float
        MiB that autograd holds during its work for the backward pass, parameters and images apart.
    """

    operations: float = nan
    bytes_moved: float = nan
    memory_mib: float = nan
    graph_mib: float = nan


def needs_of(work: Work, model: nn.Module, images: Tensor) -> dict[str, Needs]:
    """Do the work once and count what each of its phases needs.

    Parameters
    ----------
    work : Work
        Of `model` on `images`, in eager mode: what a compiler fused could not be seen.
    """
    network = unwrapped(model)
    graph = GraphLaps([*network.parameters(), *network.buffers(), images])
    with TensorMeter() as meter, Counter() as counter, graph:
        counting, memory = CountingLaps(counter), MemoryLaps(meter)
        work.run(_Together((counting, memory, graph)))
    return {
        phase: Needs(float(counts.operations), float(counts.bytes_moved), memory.peaks_mib[phase], graph.most_mib())
        for phase, counts in counting.counts.items()
    }


class _Together:
    """Hands what is reported to several."""

    def __init__(self, laps: Sequence[Laps]) -> None:
        self._laps = laps

    def start(self) -> None:
        for laps in self._laps:
            laps.start()

    def end(self, phase: str) -> None:
        for laps in self._laps:
            laps.end(phase)
