"""Whether the next shard of scores is still needed: asked of the finished ones, so that a resumed run decides alike."""

from collections.abc import Sequence
from functools import lru_cache

import pandas as pd

from xaibench.records.run_folder import RunFolder
from xaibench.report.labels import Arm
from xaibench.report.stop_rule import StopRule
from xaibench.report.stopping import judge


class Stopper:
    """Ends a run's scores once its question is settled.

    Parameters
    ----------
    rule : StopRule
    shards : sequence of str
        Names of the shards of scores, in their order.
    total : int
        Images of the data set.
    arms : sequence of (explainer, layer)
        Of the run: nothing is settled while one of them has no record.
    """

    def __init__(self, rule: StopRule, shards: Sequence[str], *, total: int, arms: Sequence[Arm] = ()) -> None:
        self.rule = rule
        self.arms = list(arms)
        self.shards = list(shards)
        self.total = total
        self._read = lru_cache(maxsize=None)(self._needed_rows)

    def needless(self, shard: str, folder: RunFolder) -> bool:
        """Whether the shards before this one, as far as they are finished, settle the question.

        Nothing else is looked at, so the answer is the same for a run and its resumed twin; once it is yes, no shard of
        scores is added, so it stays yes.
        """
        earlier = self.shards[: self.shards.index(shard)]
        finished = [one for one in earlier if folder.is_finished(one)]
        if not finished:
            return False
        records = pd.concat([self._read(folder, one) for one in finished], ignore_index=True)
        found = judge(records, self.rule, total=self.total, planned=self.arms)
        return found is not None and found.settled

    def _needed_rows(self, folder: RunFolder, shard: str) -> pd.DataFrame:
        """Rows that the rule reads; each shard is read once."""
        records = folder.records([shard])
        return records[records["metric"].isin([self.rule.metric, "image"])]
