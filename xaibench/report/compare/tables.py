"""Tables of compared scores: means by run, paired differences, the best of all."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.compare.scores import DIFFERENCE_COLUMNS, ComparedMetric
from xaibench.report.scores import MetricScores
from xaibench.statistics.intervals import Interval

MEAN_COLUMNS = ["metric", "variant", "arm", "run", "mean", "low", "high", "median", "n", "undefined", "best", "note"]


def means_table(compared: Sequence[ComparedMetric]) -> pd.DataFrame:
    """One row a metric, arm and run; a set-up of several runs has one more, all of them together."""
    rows = [row for one in compared for row in _mean_rows(one)]
    return pd.DataFrame(rows, columns=MEAN_COLUMNS)


def differences_table(compared: Sequence[ComparedMetric]) -> pd.DataFrame:
    """One row a metric, arm and pair of set-ups."""
    tables = [one.differences for one in compared if len(one.differences)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=DIFFERENCE_COLUMNS)


def best_table(compared: Sequence[ComparedMetric]) -> pd.DataFrame:
    """One row a metric with a direction: the best entry, what cannot be told from it, and on how many images."""
    rows = []
    for one in compared:
        best = one.scores.best
        if one.scores.higher_is_better is not None and best.best is not None:
            members = "; ".join(entry_label(entry) for entry in best.members)
            rows.append([one.scores.metric, one.scores.variant, entry_label(best.best), members, best.n])
    return pd.DataFrame(rows, columns=["metric", "variant", "best", "best_set", "n"])


def entry_label(entry: Any) -> str:
    """``grad_cam @ layer4.2 · seed 1``; the arm alone where there is one set-up only."""
    set_up, arm = entry
    return f"{arm} · {set_up}" if set_up else arm


def _mean_rows(one: ComparedMetric) -> Iterator[list[Any]]:
    scores = one.scores
    together = {entry[0] for entry in scores.intervals} - set(one.runs)
    for label in dict.fromkeys(entry[1] for entry in scores.values.columns):
        for (run, arm), interval in one.means.items():
            if arm == label:
                values = one.runs[run][one.arm_of[arm]]
                values = values.reindex(one.shared) if one.shared else values
                yield _mean_row(scores, arm, run, interval, values, one.is_best(run, one.arm_of[arm]))
        for set_up in sorted(together):
            if (set_up, label) in scores.intervals:
                entry = (set_up, label)
                name = set_up or "all together"
                values = scores.values[entry]
                yield _mean_row(scores, label, name, scores.intervals[entry], values, entry in scores.best.members)


def _mean_row(scores: MetricScores, arm: str, run: str, interval: Interval, values: pd.Series, best: bool) -> list[Any]:
    known = values.dropna()
    median = float(known.median()) if len(known) else np.nan
    return [
        scores.metric, scores.variant, arm, run, interval.estimate, interval.low, interval.high, median, interval.n,
        interval.n_undefined, best, interval.note,
    ]  # fmt: skip
