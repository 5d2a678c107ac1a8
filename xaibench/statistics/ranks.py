"""Which ranks an arm may have: from the paired tests, or from a bootstrap over images.

The intervals to show are those of the tests [1]_: an arm ranks behind every arm shown to be better, and before every
arm shown to be worse. As the p-values are adjusted over all pairs, all arms' true ranks lie in their intervals together
with the confidence stated, whether or not some arms are equal. Percentiles of bootstrapped ranks promise nothing of the
kind: where arms are equal or nearly so the bootstrap tears them apart ([1]_, section 3; simulated in
docs/statistics.md). They are a picture of how the ranking would jump with other images.

.. [1] M. Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm, "Inference for Ranks with Applications to Mobility across
   Neighbourhoods and Academic Achievement across Countries", Review of Economic Studies 91, 2024.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from xaibench.statistics.intervals import N_RESAMPLES, check_confidence
from xaibench.statistics.resampling import bootstrap_means


@dataclass(frozen=True)
class RankInterval:
    """Rank of an arm by its mean, and the ranks that it may have.

    Attributes
    ----------
    rank : float
        1 is the best; equal means share the mean of their ranks. NaN where unknown.
    low, high : float
        The best and the worst rank that cannot be ruled out.
    """

    rank: float
    low: float
    high: float


def rank_intervals(
    values: pd.DataFrame, comparisons: pd.DataFrame, *, higher_is_better: bool, alpha: float = 0.05
) -> dict[Hashable, RankInterval]:
    """Ranks of the arms with simultaneous intervals from the paired tests.

    Parameters
    ----------
    values : DataFrame
        One column an arm, one row an image; NaN where undefined. Arms are ranked by their means over the images on
        which all arms with values are defined.
    comparisons : DataFrame
        `compare_pairs` of the same values; its `p_adjusted` must be adjusted over all pairs, as it is by default.
    higher_is_better : bool
        The metric's direction.
    alpha : float
        Chance that any arm's true rank lies outside its interval, at most.

    Returns
    -------
    dict of arm to RankInterval
        In the columns' order. NaN for an arm without values, and for all where no image is shared.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a share between 0 and 1, such as 0.05; got {alpha}")
    sign = 1 if higher_is_better else -1
    arms, complete = _complete(values)
    means = complete.mean(axis=0) * sign
    place = {arm: index for index, arm in enumerate(arms)}
    beaten = np.zeros(len(arms))  # arms shown to be worse
    beaten_by = np.zeros(len(arms))
    columns = comparisons[["first", "second", "difference", "p_adjusted"]]
    for first, second, difference, p in columns.itertuples(index=False):
        if p < alpha and first in place and second in place:
            gap = means[place[first]] - means[place[second]]
            # on the images of this pair alone the difference may point the other way: that orders nothing
            if gap * difference * sign > 0:
                better, worse = (first, second) if gap > 0 else (second, first)
                beaten[place[better]] += 1
                beaten_by[place[worse]] += 1
    ranks = stats.rankdata(-means)
    found = {
        arm: RankInterval(float(ranks[index]), 1.0 + float(beaten_by[index]), float(len(arms) - beaten[index]))
        for arm, index in place.items()
    }
    return {arm: found.get(arm, RankInterval(math.nan, math.nan, math.nan)) for arm in values.columns}


def bootstrap_rank_intervals(
    values: pd.DataFrame,
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> dict[Hashable, RankInterval]:
    """Ranks of the arms with percentiles of their ranks over bootstrap samples of the images.

    Not a confidence interval of the rank where arms are close: see the module. Arguments and result as
    `rank_intervals`; bounds may be halves, as equal means share their ranks.
    """
    check_confidence(confidence)
    arms, complete = _complete(values)
    found = {}
    if len(arms):
        scale = (-1 if higher_is_better else 1) / max(np.abs(complete).max(), 1e-300)
        means = scale * bootstrap_means(complete, n_resamples=n_resamples, seed=seed)
        drawn = stats.rankdata(means.round(12), axis=1)  # equal but for rounding is a tie
        levels = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(drawn, levels, axis=0, method="inverted_cdf")
        ranks = stats.rankdata(scale * complete.mean(axis=0))
        found = {arm: RankInterval(*map(float, ends)) for arm, *ends in zip(arms, ranks, low, high, strict=True)}
    return {arm: found.get(arm, RankInterval(math.nan, math.nan, math.nan)) for arm in values.columns}


def _complete(values: pd.DataFrame) -> tuple[list[Hashable], np.ndarray]:
    """Arms with values, and the images that they share, (images, arms); no arm where no image is shared."""
    arms: list[Hashable] = [arm for arm in values.columns if values[arm].notna().any()]
    complete = values[arms].dropna().to_numpy(float)
    return (arms, complete) if len(complete) else ([], np.empty((1, 0)))
