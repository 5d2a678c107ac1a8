"""Enough images? How intervals and ranking settled for each metric, and the number that would tell the two leaders apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label
from xaibench.report.scores import MetricScores
from xaibench.statistics.convergence import Convergence, convergence

COLUMNS = [
    "metric", "variant", "images", "median_width", "rank_correlation", "rank_correlation_low", "rank_correlation_high",
    "same_best", "leader", "runner_up", "leaders_80", "leaders_95", "leaders_note",
]  # fmt: skip


@dataclass(frozen=True)
class MetricConvergence:
    """How one metric's answer settled.

    Attributes
    ----------
    scores : MetricScores
    arms : list of arm
        Columns of `found`: those with a value.
    found : Convergence
    leaders : (arm, arm)
        The two best means over the images that all arms share.
    needed : dict of power to float
        Images with which the difference of the two leaders would be found; NaN where no number can be given.
    """

    scores: MetricScores
    arms: list[Arm]
    found: Convergence = field(repr=False)
    leaders: tuple[Arm, Arm]
    needed: dict[float, float]

    @property
    def n_images(self) -> int:
        """Images that all arms share."""
        return int(self.found.n[-1])


def converged(scores: Sequence[MetricScores], *, seed: int = 0) -> list[MetricConvergence]:
    """Look at every metric that ranks arms and has the images for it."""
    looked = (_of_metric(one, seed) for one in scores if one.higher_is_better is not None)
    return [one for one in looked if one is not None]


def convergence_table(metrics: Sequence[MetricConvergence]) -> pd.DataFrame:
    """One row a metric and number of images; `median_width` is over arms, numbers for the leaders repeat in each row."""
    rows = [row for one in metrics for row in _rows(one)]
    return pd.DataFrame(rows, columns=COLUMNS)


def leaders_words(metric: MetricConvergence, *, labels: dict[Arm, str]) -> str:
    """What it would take to tell the two leading arms apart, in a sentence."""
    first, second = (labels[arm] for arm in metric.leaders)
    few, many = (metric.needed[power] for power in (0.8, 0.95))
    if not math.isfinite(few):
        return f"{first} and {second} lead; no number of images would tell these two apart, as they do not differ"
    return (
        f"were the difference between {first} and {second} the true one, about {few:,.0f} images would show it with "
        f"80 % power, {many:,.0f} with 95 %"
    )


def _of_metric(scores: MetricScores, seed: int) -> MetricConvergence | None:
    arms = [arm for arm in scores.arms if scores.intervals[arm].n]
    complete = scores.values[pd.Index(arms, tupleize_cols=False)].dropna().to_numpy(float)
    proportion = bool(complete.size) and bool(np.isin(complete, (0.0, 1.0)).all())
    found = convergence(
        complete, higher_is_better=bool(scores.higher_is_better), proportion=proportion,
        confidence=scores.confidence, seed=seed,
    )  # fmt: skip
    if found is None:
        return None
    order = np.argsort(complete.mean(axis=0) * (-1 if scores.higher_is_better else 1), kind="stable")
    leaders = arms[order[0]], arms[order[1]]
    return MetricConvergence(scores, arms, found, leaders, _needed(scores.comparisons, leaders))


def _needed(comparisons: pd.DataFrame, leaders: tuple[Arm, Arm]) -> dict[float, float]:
    columns = ("first", "second", "images_80", "images_95")
    for first, second, few, many in zip(*(comparisons[name] for name in columns), strict=True):
        if {first, second} == set(leaders):
            return {0.8: float(few), 0.95: float(many)}
    return {0.8: math.nan, 0.95: math.nan}


def _rows(metric: MetricConvergence) -> list[list[object]]:
    found, scores = metric.found, metric.scores
    note = "" if math.isfinite(metric.needed[0.8]) else "no difference to find between the leaders"
    leaders = [arm_label(arm) for arm in metric.leaders]
    return [
        [
            scores.metric, scores.variant, int(n), float(np.median(found.widths[place])), found.rank_correlation[place],
            found.rank_low[place], found.rank_high[place], found.same_best[place], *leaders, metric.needed[0.8],
            metric.needed[0.95], note,
        ]
        for place, n in enumerate(found.n)
    ]  # fmt: skip
