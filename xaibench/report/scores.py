"""Scores of all arms from records: one row per metric and arm, and the paired comparisons between the arms."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms, higher_is_better, is_reference, metric_title, of_family
from xaibench.report.sanity.checks import BESIDE
from xaibench.statistics.agreement import Agreement, concordance
from xaibench.statistics.best import BestSet, adjusted_p, best_set, level
from xaibench.statistics.intervals import N_RESAMPLES, Interval, mean_intervals
from xaibench.statistics.paired import compare_pairs
from xaibench.statistics.sample_size import images_needed

NO_SCORES = ("sanity", "timing", "precision")
"""Families of metrics with tables of their own."""

SUMMARY_COLUMNS = [
    "metric", "variant", "explainer", "layer", "arm", "mean", "low", "high", "median", "n", "undefined", "failed",
    "direction", "in_best_set", "p_against_best", "forward_passes", "note",
]  # fmt: skip
COMPARISON_COLUMNS = [
    "metric", "variant", "first", "second", "n", "difference", "low", "high", "superiority", "superiority_low",
    "superiority_high", "p", "p_adjusted", "family", "test", "images_80", "images_95", "note",
]  # fmt: skip

NAMED = ("named_difference", "named_images_80", "named_images_95")
"""More columns of the comparisons, where a difference to find was named."""


@dataclass(frozen=True)
class MetricScores:
    """Everything known of one metric (and variant) over all its arms.

    Attributes
    ----------
    values : DataFrame
        One column an arm, one row an image.
    higher_is_better : bool or None
        None for a metric without direction, or of no arm: nothing is compared then.
    intervals : dict
        Mean of each arm.
    comparisons : DataFrame
        `compare_pairs`, with columns `images_80` and `images_95`, which count images on which both arms are defined, so
        that more must be seen where some are not; empty without a direction.
    best : BestSet
    agreement : Agreement
        Whether images order the arms alike.
    rows : DataFrame
        The records.
    """

    metric: str
    variant: str
    values: pd.DataFrame
    higher_is_better: bool | None
    intervals: dict[Arm, Interval]
    comparisons: pd.DataFrame
    best: BestSet
    agreement: Agreement
    rows: pd.DataFrame = field(repr=False)
    confidence: float = 0.95

    @property
    def alpha(self) -> float:
        """Family-wise level of the tests."""
        return level(self.confidence)

    @property
    def title(self) -> str:
        """The metric's title, with the variant where there is one."""
        return f"{metric_title(self.metric)}, {self.variant}" if self.variant else metric_title(self.metric)

    @property
    def arms(self) -> list[Arm]:
        """Columns of `values`."""
        return list(self.intervals)

    @property
    def candidates(self) -> list[Arm]:
        """Arms that look at the model, among those with a value."""
        return [arm for arm in self.arms if not is_reference(arm) and self.intervals[arm].n]

    @property
    def references(self) -> list[Arm]:
        """Reference explainers with a value."""
        return [arm for arm in self.arms if is_reference(arm) and self.intervals[arm].n]

    def p(self, one: Arm, other: Arm) -> float:
        """Adjusted p between two arms."""
        return adjusted_p(self.comparisons, one, other)


def analyse(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    difference: float | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[MetricScores]:
    """Scores of every metric in the records, in the order of first appearance.

    An image's values that differ by seed or target are averaged first, as images are what the intervals generalize
    to. Tests are corrected within a metric: its arms are the family that a reader ranks.

    Parameters
    ----------
    records : DataFrame
        Columns as `Record`.
    layers : sequence of str, optional
        From shallow to deep, for the order of rows.
    difference : float, optional
        A difference of means, in each metric's unit, for which to tell how many images would find it, too.
    confidence, n_resamples, seed
        Of the intervals and tests.

    Raises
    ------
    ValueError
        If `difference` is not above 0.
    """
    if difference is not None and not 0 < difference < math.inf:
        raise ValueError(f"difference is a difference of means above 0, such as 0.05; got {difference}")
    scored = records[~has_own_table(records) & (records["image"] != "")]
    order = arms(records, layers)
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    return [
        _analyse_one(rows, order, difference, options) for _, rows in scored.groupby(["metric", "variant"], sort=False)
    ]


def has_own_table(records: pd.DataFrame) -> pd.Series:
    """Whether each record is told of elsewhere than among the scores: sanity checks, timing, the images themselves."""
    return of_family(records, *NO_SCORES) | records["metric"].isin(["image", "removal_error", *BESIDE])


def summary(analysis: Sequence[MetricScores]) -> pd.DataFrame:
    """One row per metric and arm; nothing in it was measured by a clock, so that equal runs give equal bytes."""
    rows = [row for scores in analysis for row in _summary_rows(scores)]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def comparisons(analysis: Sequence[MetricScores]) -> pd.DataFrame:
    """One row per metric and pair of arms; arms by their labels."""
    tables = []
    for scores in analysis:
        if len(scores.comparisons):
            named = scores.comparisons.assign(metric=scores.metric, variant=scores.variant)
            for side in ("first", "second"):
                named[side] = named[side].map(arm_label)
            asked = [column for column in NAMED if column in named]
            tables.append(named[[*COMPARISON_COLUMNS[:-1], *asked, "note"]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COMPARISON_COLUMNS)


def by_image(rows: pd.DataFrame, order: Sequence[Arm]) -> pd.DataFrame:
    """Table of one metric's values: a row an image, a column an arm as ordered; NaN where undefined or missing."""
    means = rows.groupby(["image", "explainer", "layer"], sort=False)["value"].mean()
    table = means.unstack(["explainer", "layer"])  # noqa: PD010 - pivot_table would drop an image without any value
    present = [arm for arm in order if arm in table.columns] or [("", "")]
    table = table[present].sort_index()
    table.columns = pd.Index(present, tupleize_cols=False)
    return table


def _analyse_one(
    rows: pd.DataFrame, order: list[Arm], difference: float | None, options: dict[str, Any]
) -> MetricScores:
    first = rows.iloc[0]
    values = by_image(rows, order)
    direction = higher_is_better(first["metric"], first["settings"])
    columns: list[Any] = list(values.columns)
    of_arms = columns != [("", "")]
    matrix = values.to_numpy(float)
    known = matrix[np.isfinite(matrix)]
    proportion = bool(known.size) and bool(np.isin(known, (0.0, 1.0)).all())
    intervals = mean_intervals(matrix, proportion=proportion, **options)
    compared = compare_pairs(values, higher_is_better=bool(direction), **options)
    best = BestSet(None, (), {}, 0, "the metric has no direction")
    if direction is None or not of_arms:
        compared = compared.iloc[:0]
    else:
        best = best_set(values, compared, higher_is_better=direction, alpha=level(options["confidence"]))
    sizes = _with_sample_sizes(compared, values, difference, alpha=level(options["confidence"]))
    return MetricScores(
        first["metric"], first["variant"], values, direction if of_arms else None,
        dict(zip(columns, intervals, strict=True)), sizes, best,
        concordance(values), rows, options["confidence"],
    )  # fmt: skip


def _with_sample_sizes(
    compared: pd.DataFrame, values: pd.DataFrame, difference: float | None, *, alpha: float
) -> pd.DataFrame:
    """Add how many images, on which both arms are defined, would find the difference seen and, if given, the named one."""
    wanted: dict[str, tuple[float | None, float]] = {"images_80": (None, 0.8), "images_95": (None, 0.95)}
    if difference is not None:
        wanted |= {NAMED[1]: (difference, 0.8), NAMED[2]: (difference, 0.95)}
    needed: dict[str, Any] = {column: [] for column in wanted}
    for first, second, family in compared[["first", "second", "family"]].itertuples(index=False):
        differences = values[first].to_numpy(float) - values[second].to_numpy(float)
        for column, (size, power) in wanted.items():
            found = images_needed(
                differences, difference=size, power=power, alpha=alpha, n_comparisons=max(1, int(family))
            )
            needed[column].append(found.n)
    return compared.assign(**needed) if difference is None else compared.assign(**{NAMED[0]: difference}, **needed)


def _summary_rows(scores: MetricScores) -> Iterator[list]:
    direction = {True: "higher", False: "lower", None: ""}[scores.higher_is_better]
    groups = dict(list(scores.rows.groupby(["explainer", "layer"], sort=False)))
    for arm, interval in scores.intervals.items():
        own = groups[arm]
        values = scores.values[arm].dropna()
        best = scores.best
        yield [
            scores.metric, scores.variant, *arm, arm_label(arm), interval.estimate, interval.low, interval.high,
            float(values.median()) if len(values) else np.nan, interval.n, int((own["status"] == "undefined").sum()),
            int((own["status"] == "failed").sum()), direction, arm in best.members, best.p.get(arm, np.nan),
            float(own["forward_passes"].sum()), interval.note,
        ]  # fmt: skip
