"""Do the metrics order the arms alike? Spearman's correlation between every two of them, by image and between means."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm
from xaibench.report.scores import MetricScores
from xaibench.statistics.intervals import N_RESAMPLES
from xaibench.statistics.joint_intervals import joint_mean_intervals
from xaibench.statistics.rank_agreement import spearman_by_image, spearman_of_means

AGREEMENT_COLUMNS = [
    "first", "second", "spearman", "low", "high", "n_images", "undefined", "spearman_of_means",
    "means_spread_low", "means_spread_high", "n_arms", "note",
]  # fmt: skip


@dataclass(frozen=True)
class Oriented:
    """Scores of several metrics, higher always better.

    Attributes
    ----------
    metrics : list of str
        Their names, with the variant where there is one.
    titles : list of str
    images : list of str
    arms : list of Arm
        Every arm of any of them.
    better : array, shape (metrics, images, arms)
        NaN where undefined or missing.
    """

    metrics: list[str]
    titles: list[str]
    images: list[str]
    arms: list[Arm]
    better: np.ndarray


def oriented(scores: Sequence[MetricScores]) -> Oriented:
    """Put the scores of the metrics with a direction side by side; images by name."""
    ranking = [one for one in scores if one.higher_is_better is not None]
    images = sorted({str(image) for one in ranking for image in one.values.index})
    found = list(dict.fromkeys(arm for one in ranking for arm in one.arms))
    better = np.full((len(ranking), len(images), len(found)), np.nan)
    for of_metric, one in zip(better, ranking, strict=True):
        values = one.values.reindex(index=images).to_numpy(float)
        of_metric[:, [found.index(arm) for arm in one.arms]] = values if one.higher_is_better else -values
    titles = metric_titles(ranking)
    return Oriented(list(titles), list(titles.values()), images, found, better)


def metric_titles(scores: Sequence[MetricScores]) -> dict[str, str]:
    """Titles by the metrics' names, with the variant where there is one."""
    return {f"{one.metric}/{one.variant}" if one.variant else one.metric: one.title for one in scores}


def metric_agreement(
    scores: Sequence[MetricScores], *, confidence: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Correlate every two metrics' rankings of all arms, references among them.

    Parameters
    ----------
    scores : sequence of MetricScores
        Those with a direction are compared, so turned that higher is better.
    confidence, n_resamples, seed
        Of the bootstrap over images.

    Returns
    -------
    DataFrame
        One row a pair of metrics. `spearman` is the mean over `n_images` of the correlation within an image, with its
        BCa interval; on `undefined` images one of the two ties all arms, or fewer than three arms have both values.
        `spearman_of_means` correlates the rankings of the `n_arms` arms by their means, with its spread: the
        middle share over bootstrap samples of the images, and no confidence interval.
        Empty for fewer than two metrics.
    """
    of = oriented(scores)
    pairs = list(itertools.combinations(range(len(of.metrics)), 2))
    if not pairs or not of.images:
        return pd.DataFrame(columns=AGREEMENT_COLUMNS)
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    columns = np.column_stack([spearman_by_image(of.better[i], of.better[j]) for i, j in pairs])
    within = joint_mean_intervals(columns, **options)
    between = spearman_of_means(of.better, pairs, **options)
    rows = [
        [
            of.metrics[i], of.metrics[j], one.estimate, one.low, one.high, one.n, one.n_undefined, mean.estimate,
            mean.low, mean.high, mean.n, one.note,
        ]
        for (i, j), one, mean in zip(pairs, within, between, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)
