"""Scores of a shard where memory may run out: smaller batches if the run may choose them, else a clear error."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xaibench.metrics.memory_limits import fixed_batch_size, halving
from xaibench.records.record import Record
from xaibench.shards.scores import score_images
from xaibench.workbench import Workbench


def score_within_memory(bench: Workbench, indices: Sequence[int]) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Do `score_images`; where memory runs out, with ``batch_size=auto``, again with half as many images in a pass.

    The batch size moves values by rounding only; a warning in the log says which one was taken.

    Raises
    ------
    OutOfMemory
        If the batch size is the user's own, naming it, or if not even one image fits.
    """
    if bench.settings.batch_size == "auto":
        fitted = halving(bench.batch_size, lambda size: score_images(replace(bench, batch_size=size), indices))
        return fitted.result
    with fixed_batch_size(bench.batch_size):
        return score_images(bench, indices)
