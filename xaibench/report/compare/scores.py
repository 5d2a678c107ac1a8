"""Scores of several runs: means side by side, paired differences between set-ups, the best of them all."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from xaibench.records.comparable import bearing
from xaibench.records.merge import Merged
from xaibench.report.compare.classes import other_class, targets_of
from xaibench.report.labels import Arm, arm_label, arms, higher_is_better, is_reference
from xaibench.report.scores import MetricScores, by_image, has_own_table
from xaibench.statistics.agreement import Agreement
from xaibench.statistics.best import BestSet, best_set, level
from xaibench.statistics.hierarchy import seed_intervals
from xaibench.statistics.intervals import N_RESAMPLES, Interval, mean_intervals
from xaibench.statistics.paired import compare_pairs

Entry = tuple[str, str]
"""What competes in a comparison: (set-up, label of the arm); a set-up is a run, or several of one configuration."""

DIFFERENCE_COLUMNS = [
    "metric", "variant", "arm", "first", "second", "n", "other_class", "difference", "low", "high", "superiority",
    "superiority_low", "superiority_high", "p", "p_adjusted", "family", "test", "note",
]  # fmt: skip
IMAGES_ONLY = "seeds share some of the images only: the interval is over images, seeds averaged"
OWN_IMAGES = "over this run's own images, as none is in all runs: not side by side with the other means"
NOT_TESTED = "not tested: nothing that differs bears on it"
_NO_AGREEMENT = Agreement(np.nan, np.nan, np.nan, 0, 0, "not computed over several runs")


@dataclass(frozen=True)
class ComparedMetric:
    """One metric over several runs.

    Attributes
    ----------
    scores : MetricScores
        Its "arms" are entries.
    runs : dict
        Values of each run: a row an image, a column an arm.
    means : dict
        Mean and interval of each arm in each run, by (run, arm's label): over the images that all runs have, or over the
        run's own where no image is in all.
    differences : DataFrame
        Columns `DIFFERENCE_COLUMNS`: the same arm in two set-ups, on the images that both have; on `other_class` of
        them another class is explained in the one than in the other.
    arm_of : dict
        The arm of each label.
    set_up_of : dict
        The set-up of each run, as in the entries: "" where there is one only.
    """

    scores: MetricScores
    runs: dict[str, pd.DataFrame] = field(repr=False)
    means: dict[Entry, Interval] = field(repr=False)
    differences: pd.DataFrame = field(repr=False)
    arm_of: dict[str, Arm] = field(repr=False)
    set_up_of: dict[str, str] = field(repr=False)

    def is_best(self, run: str, arm: Arm) -> bool:
        """Whether a run's arm is in the best set, with the other runs of its set-up."""
        return (self.set_up_of[run], arm_label(arm)) in self.scores.best.members

    @property
    def shared(self) -> list[str]:
        """Images that all runs have."""
        first, *others = self.runs.values()
        return [image for image in first.index if all(image in table.index for table in others)]


def compare_scores(
    merged: Merged, *, confidence: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> list[ComparedMetric]:
    """Compare every metric that at least two runs have, in the order of first appearance.

    Runs of one set-up are put together first: a repetition counts once, other images are added, and an image's values
    under several seeds are averaged; the interval of a mean then holds for seeds and images together
    (`xaibench.statistics.hierarchy`), or for images alone, with a note, where the seeds share some images only. The tests
    take the seeds as given. Set-ups are compared by the paired differences of each arm on the images that both
    have, with Holm's correction over all of a metric; the best set is looked for among all arms of all set-ups, corrected
    over all their pairs.

    Parameters
    ----------
    merged : Merged
        What `xaibench.records.merge.merge` gives.
    confidence, n_resamples, seed
        Of intervals and tests.
    """
    records = merged.records
    scored = records[~has_own_table(records) & (records["image"] != "")]
    order = arms(scored, _depth(merged))
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    return [
        _compared(merged, rows, order, options)
        for _, rows in scored.groupby(["metric", "variant"], sort=False)
        if len(set(rows["run"])) > 1
    ]


def _compared(merged: Merged, rows: pd.DataFrame, order: list[Arm], options: dict[str, Any]) -> ComparedMetric:
    first = rows.iloc[0]
    direction = higher_is_better(first["metric"], first["settings"])
    runs = {str(label): by_image(own, order) for label, own in rows.groupby("run", sort=False)}
    of_arms = all(("", "") not in table.columns for table in runs.values())
    groups = _together(merged, runs)
    values = _values(groups, order)
    proportion = bool(np.isin(_known(values), (0.0, 1.0)).all())
    intervals = {
        entry: interval
        for set_up, seeds in groups.items()
        for entry, interval in _intervals(set_up, seeds, options, proportion).items()
    }
    intervals = {entry: intervals[entry] for entry in _columns(values)}
    pairs = compare_pairs(values, higher_is_better=bool(direction), **options)
    best = BestSet(None, (), {}, 0, "the metric has no direction")
    if direction is not None and of_arms:
        best = best_set(values, pairs, higher_is_better=direction, alpha=level(options["confidence"]))
    scores = MetricScores(
        first["metric"], first["variant"], values, direction if of_arms else None, intervals, pairs, best,
        _NO_AGREEMENT, rows, options["confidence"],
    )  # fmt: skip
    means = _means_by_run(runs, proportion=proportion, **options)
    arm_of = {arm_label(arm): arm for arm in [("", ""), *order]}
    single = len(merged.set_ups) == 1
    set_up_of = {label: "" if single else merged.set_up_of(label) for label in runs}
    differences = _differences(merged, scores, arm_of, direction, options)
    return ComparedMetric(scores, runs, means, differences, arm_of, set_up_of)


def _means_by_run(runs: dict[str, pd.DataFrame], **options: Any) -> dict[Entry, Interval]:
    """Mean of each arm in each run, on the images that all runs have; on a run's own, with a note, where there are none."""
    shared = set.intersection(*(set(table.index) for table in runs.values()))
    found = {}
    for label, table in runs.items():
        rows = table[table.index.isin(shared)] if shared else table
        for arm, interval in zip(_columns(table), mean_intervals(rows.to_numpy(float), **options), strict=True):
            note = interval.note if shared else "; ".join(filter(None, [interval.note, OWN_IMAGES]))
            found[label, arm_label(arm)] = replace(interval, note=note)
    return found


def _columns(table: pd.DataFrame) -> list[Any]:
    return list(table.columns)


def _together(merged: Merged, runs: dict[str, pd.DataFrame]) -> dict[str, dict[Any, pd.DataFrame]]:
    """Tables of each set-up by seed; of repetitions, the first run's values count."""
    single = len(merged.set_ups) == 1
    groups: dict[str, dict[Any, pd.DataFrame]] = {}
    for label, members in zip(merged.set_up_labels, merged.set_ups, strict=True):
        seeds: dict[Any, pd.DataFrame] = {
            draw[0]: reduce(_added, [runs[run] for run in draw])
            for draw in merged.draws([run for run in members if run in runs])
        }
        if seeds:
            groups["" if single else label] = seeds
    return groups


def _added(first: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The first table with the images and arms that only the other has; what the first holds stays, undefined or not."""
    more = other.index.difference(first.index)
    columns = {arm: first[arm] for arm in _columns(first)}
    for arm in _columns(other):
        columns[arm] = pd.concat([columns[arm], other[arm].reindex(more)]) if arm in columns else other[arm]
    table = pd.DataFrame(dict(enumerate(columns.values()))).sort_index()
    table.columns = pd.Index(list(columns), tupleize_cols=False)
    return table


def _values(groups: dict[str, dict[Any, pd.DataFrame]], order: Sequence[Arm]) -> pd.DataFrame:
    """A row an image, a column an entry: arm by arm, its set-ups side by side."""
    means = {label: _over_seeds(list(seeds.values())) for label, seeds in groups.items()}
    images = sorted({image for table in means.values() for image in table.index})
    columns = {
        (label, arm_label(arm)): table[arm].reindex(images)
        for arm in [("", ""), *order]
        for label, table in means.items()
        if arm in table.columns
    }
    table = pd.DataFrame(dict(enumerate(columns.values())), index=images)
    table.columns = pd.Index(list(columns), tupleize_cols=False)
    return table


def _over_seeds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    if len(tables) == 1:
        return tables[0]
    columns = list(dict.fromkeys(arm for table in tables for arm in table.columns))
    images = sorted({image for table in tables for image in table.index})
    found = {
        place: pd.concat([table[arm].reindex(images) for table in tables if arm in table.columns], axis=1).mean(axis=1)
        for place, arm in enumerate(columns)
    }
    table = pd.DataFrame(found, index=images)
    table.columns = pd.Index(columns, tupleize_cols=False)
    return table


def _intervals(
    set_up: str, seeds: dict[Any, pd.DataFrame], options: dict[str, Any], proportion: bool
) -> dict[Entry, Interval]:
    mean = _over_seeds(list(seeds.values()))
    plain = mean_intervals(mean.to_numpy(float), proportion=proportion and len(seeds) == 1, **options)
    found = {(set_up, arm_label(arm)): interval for arm, interval in zip(_columns(mean), plain, strict=True)}
    if len(seeds) < 2:
        return found
    design, together = seed_intervals(seeds, confidence=options["confidence"])
    for arm in _columns(mean):
        images = [set(table.index) for table in seeds.values() if arm in table.columns]
        if len(images) > 1 and (design == "nested" or all(own == images[0] for own in images)):
            found[set_up, arm_label(arm)] = together[arm]
        elif len(images) > 1:
            own = found[set_up, arm_label(arm)]
            found[set_up, arm_label(arm)] = replace(own, note="; ".join(filter(None, [own.note, IMAGES_ONLY])))
    return found


def _differences(
    merged: Merged, scores: MetricScores, arm_of: dict[str, Arm], direction: bool | None, options: dict[str, Any]
) -> pd.DataFrame:
    values = scores.values
    pairs = [
        (one, other)
        for one, other in combinations(_columns(values), 2)
        if one[1] == other[1] and (values[one].notna() & values[other].notna()).any()
    ]
    tested = [pair for pair in pairs if _bears(merged, pair, arm_of[pair[0][1]])]
    table = compare_pairs(values, higher_is_better=bool(direction), pairs=tested, **options)
    beside = [pair for pair in pairs if pair not in tested]
    if beside:
        more = _untested(values, beside)
        table = pd.concat([table, more], ignore_index=True) if len(table) else more
    if direction is None:
        table[["superiority", "superiority_low", "superiority_high"]] = np.nan
    ends = {side: [entry[0] for entry in table[side]] for side in ("first", "second")}
    targets = {"" if len(merged.set_ups) == 1 else name: own for name, own in targets_of(merged, scores.rows).items()}
    compared = zip(table["first"], table["second"], strict=True)
    table["other_class"] = [
        len(other_class(targets[one[0]], targets[other[0]], values[[one, other]].dropna().index))
        for one, other in compared
    ]
    table = table.assign(
        arm=[entry[1] for entry in table["first"]], metric=scores.metric, variant=scores.variant, **ends
    )
    return table[DIFFERENCE_COLUMNS]


def _bears(merged: Merged, pair: tuple[Entry, Entry], arm: Arm) -> bool:
    """Whether anything in which two set-ups differ can move an arm's values; else there is nothing to test."""
    labels = merged.set_up_labels
    one, other = (merged[merged.set_ups[labels.index(entry[0])][0]].settings for entry in pair)
    return bool(bearing(one, other, arm[0], reference=is_reference(arm)))


def _untested(values: pd.DataFrame, pairs: Sequence[tuple[Entry, Entry]]) -> pd.DataFrame:
    rows = []
    for one, other in pairs:
        difference = (values[one] - values[other]).dropna()
        rows.append([one, other, len(difference), float(difference.mean()), NOT_TESTED])
    return pd.DataFrame(rows, columns=["first", "second", "n", "difference", "note"]).assign(
        low=np.nan, high=np.nan, superiority=np.nan, superiority_low=np.nan, superiority_high=np.nan,
        p=np.nan, p_adjusted=np.nan, family=0, test="",
    )  # fmt: skip


def _known(values: pd.DataFrame) -> np.ndarray:
    matrix = values.to_numpy(float)
    return matrix[np.isfinite(matrix)]


def _depth(merged: Merged) -> list[str]:
    """Layers from shallow to deep, in the order of the runs that have most of them."""
    lists = sorted((run.run.get("layers") or [] for run in merged.runs), key=len, reverse=True)
    return list(dict.fromkeys(str(layer) for layers in lists for layer in layers))
