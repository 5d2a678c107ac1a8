"""What is known of each arm under each metric, and how far images agree on the arms: estimates with all their intervals.

The interval over images takes them for independent and the model as given. Beside it stand one that takes images of a
class for dependent, and where several seeds or runs were made one over seeds and images together: who wants to speak of
other classes, or other seeds, reads those.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label
from xaibench.report.scores import MetricScores, by_image
from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.hierarchy import seed_intervals
from xaibench.statistics.intervals import Interval, median_interval
from xaibench.statistics.ranks import RankInterval, rank_intervals
from xaibench.statistics.reliability import Reliability, reliability

ESTIMATE_COLUMNS = [
    "metric", "variant", "explainer", "layer", "arm", "n", "undefined_share", "mean", "low", "high", "median",
    "median_low", "median_high", "rank", "rank_low", "rank_high", "classes", "class_low", "class_high", "seeds", "design",
    "seed_low", "seed_high", "note",
]  # fmt: skip
RELIABILITY_COLUMNS = [
    "metric", "variant", "n_images", "n_arms", "alpha_ordinal", "alpha_ordinal_low", "alpha_ordinal_high",
    "alpha_interval", "alpha_interval_low", "alpha_interval_high", "kendalls_w", "kendalls_w_low", "kendalls_w_high",
    "split_half", "split_half_low", "split_half_high", "split_half_kendall", "spearman_brown", "reason",
]  # fmt: skip

_NOTHING = Interval(np.nan, np.nan, np.nan, 0, 0)
_NO_RANK = RankInterval(np.nan, np.nan, np.nan)


def estimates(scores: Sequence[MetricScores], records: pd.DataFrame) -> pd.DataFrame:
    """One row per metric and arm: mean, median, rank, each with its interval, and what classes and seeds add.

    Parameters
    ----------
    scores : sequence of MetricScores
        From `analyse`; their confidence is that of all intervals.
    records : DataFrame
        Where the images' labels stand.

    Returns
    -------
    DataFrame
        `low` to `high` is the interval over images, `class_low` to `class_high` that over images in classes, where
        there are two classes or more and every image has a label; `seed_low` to `seed_high` that over seeds (or runs)
        and images, crossed or nested as `design` says. Ranks are by the mean, with simultaneous intervals from the
        paired tests; NaN for a metric without direction. Values that are all 0 or 1 have no median. `undefined_share`
        is the share of the images without a value.
    """
    labels = image_labels(records)
    rows = [row for one in scores for row in _rows(one, labels)]
    return pd.DataFrame(rows, columns=ESTIMATE_COLUMNS)


def reliabilities(scores: Sequence[MetricScores], *, seed: int = 0) -> pd.DataFrame:
    """One row per metric that ranks arms: Krippendorff's alpha, Kendall's W and split-half agreement over all arms."""
    ranking = [one for one in scores if one.higher_is_better is not None]
    rows = [
        [one.metric, one.variant, *_reliability(reliability(one.values, confidence=one.confidence, seed=seed))]
        for one in ranking
    ]
    return pd.DataFrame(rows, columns=RELIABILITY_COLUMNS)


def image_labels(records: pd.DataFrame) -> pd.Series:
    """Each image's label by its name; -1 where it has none."""
    return records.loc[records["image"] != ""].groupby("image")["label"].max()


def by_seed(scores: MetricScores) -> dict[Hashable, pd.DataFrame]:
    """Values of each run, where the records are of several, or else of each seed: images by arms, as `values`."""
    rows = scores.rows
    level = "run" if "run" in rows.columns and len(rows["run"].unique()) > 1 else "seed"
    keys = rows[level].unique()
    if len(keys) == 1:
        return {keys[0]: scores.values}
    return {key: by_image(group, scores.arms) for key, group in rows.groupby(level, sort=True)}


def _rows(scores: MetricScores, labels: pd.Series) -> Iterator[list[Any]]:
    classes, of_classes = _over_classes(scores, labels)
    n_seeds, design, of_seeds = _over_seeds(scores)
    known = scores.values.to_numpy(float)
    shares = bool(np.isin(known[np.isfinite(known)], (0.0, 1.0)).all())
    ranks: dict[Hashable, RankInterval] = {}
    if scores.higher_is_better is not None:
        ranks = rank_intervals(
            scores.values,
            scores.comparisons,
            higher_is_better=scores.higher_is_better,
            alpha=scores.alpha,
        )
    for arm, mean in scores.intervals.items():
        median = _NOTHING if shares else median_interval(scores.values[arm], confidence=scores.confidence)
        of_class, of_seed = (found.get(arm, _NOTHING) for found in (of_classes, of_seeds))
        if shares:
            of_class, of_seed = _to_shares(of_class), _to_shares(of_seed)
        rank = ranks.get(arm, _NO_RANK)
        notes = dict.fromkeys(note for note in (mean.note, median.note, of_class.note, of_seed.note) if note)
        yield [
            scores.metric, scores.variant, *arm, arm_label(arm), mean.n, mean.n_undefined / max(len(scores.values), 1),
            mean.estimate, mean.low, mean.high, median.estimate, median.low, median.high, rank.rank, rank.low, rank.high,
            classes, of_class.low, of_class.high, n_seeds[arm], design if arm in of_seeds else "", of_seed.low, of_seed.high,
            "; ".join(notes),
        ]  # fmt: skip


def _over_classes(scores: MetricScores, labels: pd.Series) -> tuple[int, dict[Arm, Interval]]:
    """Number of classes, and the intervals over images in classes; none where the classes are not known or alike."""
    own = labels.reindex(scores.values.index).fillna(-1).to_numpy()
    n_classes = len(set(own.tolist()) - {-1})
    if n_classes < 2 or (own == -1).any():
        return n_classes, {}
    values = scores.values.to_numpy(float)
    found = cluster_intervals(values, own, confidence=scores.confidence, of="class")
    return n_classes, dict(zip(scores.arms, found, strict=True))


def _over_seeds(scores: MetricScores) -> tuple[dict[Arm, int], str, dict[Hashable, Interval]]:
    """Number of seeds of each arm, the design, and the intervals over seeds and images of arms with several."""
    tables = by_seed(scores)
    n_seeds = {arm: sum(arm in table.columns for table in tables.values()) for arm in scores.arms}
    if len(tables) < 2:
        return n_seeds, "", {}
    design, found = seed_intervals(tables, confidence=scores.confidence)
    return n_seeds, design, {arm: found[arm] for arm in scores.arms if n_seeds[arm] > 1}


def _to_shares(interval: Interval) -> Interval:
    """The interval, cut to where the mean of values that are 0 or 1 can be."""
    low, high = np.clip([interval.low, interval.high], 0.0, 1.0)
    return replace(interval, low=float(low), high=float(high))


def _reliability(found: Reliability) -> list[Any]:
    coefficients = [found.alpha_ordinal, found.alpha_interval, found.kendalls_w]
    numbers = [number for one in coefficients for number in (one.estimate, one.low, one.high)]
    halves = found.halves
    return [
        found.n_images, found.n_arms, *numbers, halves.spearman, halves.low, halves.high, halves.kendall,
        halves.spearman_brown, found.reason or halves.reason,
    ]  # fmt: skip
