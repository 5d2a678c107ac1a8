"""Which faithfulness metric ranks the maps most as the objects' masks do? Rank correlations per image, and paired tests.

The mask says where the object is, not what the network used: a metric that disagrees with it may be right about the
network. But over maps that range from noise to the object itself, a metric that says nothing of the object says little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import card_of
from xaibench.report.scores import MetricScores
from xaibench.report.trust.metric_agreement import Oriented, oriented
from xaibench.statistics.best import BestSet, best_set, level
from xaibench.statistics.intervals import N_RESAMPLES, Interval
from xaibench.statistics.joint_intervals import joint_mean_intervals
from xaibench.statistics.paired import EXACT_UP_TO, holm, sign_flip_p
from xaibench.statistics.rank_agreement import spearman_by_image

TRUTHS = ("energy_in_mask", "best_iou", "pointing_game")
"""How well a map meets the mask, three ways; the first two tell all maps apart, the last only says hit or miss."""
FAITHFULNESS = ("curves", "regions", "road", "masking", "correlation", "information")
"""Families of metrics that ask what the model does with the pixels a map points at."""
OTHER_QUESTIONS = ("coherency", "complexity_adcc")
"""Members of these families that ask something else."""
DEFINED_ON_HALF = 0.5
"""Metrics that rank the maps of a smaller share of the images take no part in the comparison of metrics."""

VALIDITY_COLUMNS = [
    "truth", "metric", "spearman", "low", "high", "n_images", "undefined", "n_arms", "compared", "in_best_set",
    "p_against_best", "note",
]  # fmt: skip
COMPARISON_COLUMNS = ["truth", "first", "second", "n", "difference", "low", "high", "p", "p_adjusted", "family", "test"]


@dataclass(frozen=True)
class Validity:
    """How well every faithfulness metric agrees with one measure of the masks.

    Attributes
    ----------
    truth, title : str
        The measure's name in the records, and its title.
    titles : dict of str to str
        By metric's name.
    values : DataFrame
        One column a faithfulness metric, one row an image: Spearman's correlation of the two rankings of the arms.
    intervals : dict of str to Interval
        Mean of each metric.
    compared : list of str
        Metrics that are defined on at least half of the images.
    comparisons : DataFrame
        Every two of these; columns as `COMPARISON_COLUMNS`.
    best : BestSet
        Among the compared.
    n_arms : int
        Maps of an image that are ranked.
    """

    truth: str
    title: str
    titles: dict[str, str]
    values: pd.DataFrame
    intervals: dict[str, Interval]
    compared: list[str]
    comparisons: pd.DataFrame
    best: BestSet
    n_arms: int
    confidence: float = field(default=0.95)


def validity(
    scores: Sequence[MetricScores], *, confidence: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> list[Validity]:
    """Hold every faithfulness metric against every measure of the masks that the run has.

    Parameters
    ----------
    scores : sequence of MetricScores
        Those that rank arms.
    confidence, n_resamples, seed
        Of intervals and tests; the level of the best sets is ``1 - confidence``.

    Returns
    -------
    list of Validity
        In the order of `TRUTHS`; empty without masks or without a faithfulness metric.
    """
    of = oriented(scores)
    measures = [name for name in TRUTHS if name in of.metrics]
    asked = [name for name, one in zip(of.metrics, _ranking(scores), strict=True) if is_faithfulness(one)]
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    found = [_held_against(of, truth, asked, options) for truth in measures] if asked else []
    return [one for one in found if any(interval.n for interval in one.intervals.values())]


def is_faithfulness(scores: MetricScores) -> bool:
    """Whether the metric asks what the model does with the pixels that a map points at."""
    card = card_of(scores.metric, str(scores.rows["settings"].iloc[0]) if len(scores.rows) else "{}")
    return card is not None and card.family in FAITHFULNESS and card.name not in OTHER_QUESTIONS


def validity_tables(found: Sequence[Validity]) -> dict[str, pd.DataFrame]:
    """Both tables by name; none without masks."""
    if not found:
        return {}
    comparisons = [one.comparisons for one in found if len(one.comparisons)]
    tables = {"validity": pd.DataFrame([row for one in found for row in _rows(one)], columns=VALIDITY_COLUMNS)}
    return tables | ({"validity_comparisons": pd.concat(comparisons, ignore_index=True)} if comparisons else {})


def _ranking(scores: Sequence[MetricScores]) -> list[MetricScores]:
    return [one for one in scores if one.higher_is_better is not None]


def _held_against(of: Oriented, truth: str, asked: list[str], options: dict[str, Any]) -> Validity:
    place = {name: at for at, name in enumerate(of.metrics)}
    columns = [spearman_by_image(of.better[place[name]], of.better[place[truth]]) for name in asked]
    values = pd.DataFrame(dict(zip(asked, columns, strict=True)), index=of.images)
    intervals = dict(zip(asked, joint_mean_intervals(values.to_numpy(), **options), strict=True))
    marked = int(np.isfinite(of.better[place[truth]]).any(axis=1).sum())
    compared = [name for name in asked if intervals[name].n >= max(2, DEFINED_ON_HALF * marked)]
    comparisons = _comparisons(values[compared], truth, options)
    best = best_set(values[compared], comparisons, higher_is_better=True, alpha=level(options["confidence"]))
    ranked = np.isfinite(of.better[[place[truth], *(place[name] for name in asked)]]).any(axis=1).all(axis=0)
    titles = {name: of.titles[place[name]] for name in asked}
    return Validity(
        truth, of.titles[place[truth]], titles, values, intervals, compared, comparisons, best, int(ranked.sum()),
        options["confidence"],
    )  # fmt: skip


def _comparisons(values: pd.DataFrame, truth: str, options: dict[str, Any]) -> pd.DataFrame:
    """Test every two metrics on the images where both rank the maps; Holm over all pairs of this truth."""
    first, second = np.triu_indices(values.shape[1], k=1)
    if not len(first):
        return pd.DataFrame(columns=COMPARISON_COLUMNS)
    matrix = values.to_numpy()
    differences = matrix[:, first] - matrix[:, second]
    intervals = joint_mean_intervals(differences, **options)
    p = sign_flip_p(differences, n_resamples=options["n_resamples"], seed=options["seed"])
    table = pd.DataFrame({"truth": truth, "first": values.columns[first], "second": values.columns[second]})
    table["n"] = [one.n for one in intervals]
    for column, name in (("difference", "estimate"), ("low", "low"), ("high", "high")):
        table[column] = [getattr(one, name) for one in intervals]
    table["p"], table["p_adjusted"], table["family"] = p, holm(p), int(np.isfinite(p).sum())
    table["test"] = "exact sign flip" if len(values) <= EXACT_UP_TO else f"sign flip, {options['n_resamples']} patterns"
    return table[COMPARISON_COLUMNS]


def _rows(of: Validity) -> list[list[Any]]:
    rows = []
    for name, interval in of.intervals.items():
        compared = name in of.compared
        note = interval.note if compared or not interval.n else "ranks the maps of too few images to be compared"
        rows.append(
            [
                of.truth, name, interval.estimate, interval.low, interval.high, interval.n, interval.n_undefined,
                of.n_arms, compared, name in of.best.members, of.best.p.get(name, np.nan), note,
            ]
        )  # fmt: skip
    return rows
