"""Shards in this process, one after the other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from xaibench.records.record import Record
from xaibench.records.run_folder import RunFolder

Result = tuple[list[Record], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Shard:
    """A piece of work that is stored whole.

    Attributes
    ----------
    name : str
        Of its files.
    work : callable
        Gives its records and maps; the same each time.
    cost : float
        What it is expected to cost, in forward passes; for the progress bar.
    unless : callable, optional
        Asked with the run's folder when the shard's turn comes: True where what is on disk makes it needless.
    """

    name: str
    work: Callable[[], Result]
    cost: float
    unless: Callable[[RunFolder], bool] | None = None


def run_shards(shards: Iterable[Shard], folder: RunFolder, *, progress: bool = True) -> int:
    """Do the shards that are neither finished nor needless, and store each before the next begins.

    Returns
    -------
    int
        How many were done.
    """
    shards = list(shards)
    missing = [shard for shard in shards if not folder.is_finished(shard.name)]
    finished = sum(shard.cost for shard in shards) - sum(shard.cost for shard in missing)
    done = 0
    # costs are estimates; the bar counts them so that large and small shards move it by what they take
    form = "{desc}: {percentage:3.0f}% |{bar}| {elapsed} so far, {remaining} to go"
    with tqdm(
        total=finished + sum(shard.cost for shard in missing),
        initial=finished,
        desc="xaibench",
        bar_format=form,
        smoothing=0.2,
        disable=not progress or not missing,
    ) as bar:
        for shard in missing:
            if shard.unless is not None and shard.unless(folder):
                bar.total = (bar.total or 0.0) - shard.cost
                continue
            bar.set_description(f"xaibench {shard.name}")
            records, maps = shard.work()
            folder.write(shard.name, records, maps)
            bar.update(shard.cost)
            done += 1
    return done
