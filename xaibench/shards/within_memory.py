"""Scores of shards where memory may run out: smaller batches if the run may choose them, else a clear error."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xaibench.metrics.memory_limits import fixed_batch_size, halving
from xaibench.records.record import Record
from xaibench.shards.scores import score_images
from xaibench.workbench import Workbench


class WithinMemory:
    """Scores shard after shard, and remembers which batch size fitted.

    Parameters
    ----------
    bench : Workbench

    Attributes
    ----------
    bench : Workbench
        The same, but for its `batch_size`: the one that fitted the last shard, from which the next one starts.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def score(self, indices: Sequence[int]) -> tuple[list[Record], dict[str, np.ndarray]]:
        """Do `score_images`; where memory runs out, with ``batch_size=auto``, again with half as many images at once.

        The batch size moves values by rounding only; a warning in the log says which one was taken.

        Raises
        ------
        OutOfMemory
            If the size is the user's own, naming `batch_size` or, for the explanations, `shard_size`; or if not even one
            image fits.
        """
        bench = self.bench
        if bench.settings.batch_size != "auto":
            with fixed_batch_size(bench.batch_size):
                return score_images(bench, indices)
        fitted = halving(bench.batch_size, lambda size: score_images(replace(bench, batch_size=size), indices))
        if fitted.batch_size < bench.batch_size:
            self.bench = replace(bench, batch_size=fitted.batch_size)
        return fitted.result
