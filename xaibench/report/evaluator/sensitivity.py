"""How the ranking of the arms moves with each choice of a deletion or insertion metric, from records alone.

All metrics of a group share their images: those on which every arm has a value under each. Intervals are percentiles of
a bootstrap over these images, drawn once for all; whether two arms' order is settled is tested for all pairs of arms
under all metrics together, so that of all orders called settled none is wrong with the confidence stated.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xaibench.metrics.areas import AREAS, recompute_area
from xaibench.report.evaluator.choices import Settings, Variation, find_variations
from xaibench.report.labels import Arm, is_reference
from xaibench.report.scores import MetricScores, by_image
from xaibench.statistics.best import level
from xaibench.statistics.intervals import N_RESAMPLES, Interval, mean_interval
from xaibench.statistics.kendall import kendall_tau
from xaibench.statistics.max_t import max_t_p
from xaibench.statistics.resampling import bootstrap_means

DROPS = ("mean_drop",)
"""Area rules that measure a fall: what was better low is better high under them."""


@dataclass(frozen=True)
class Moved:
    """What one variation does to the ranking.

    Attributes
    ----------
    variation : Variation
    means : dict of arm to float
        Mean score over the shared images.
    ranks : dict of arm to float
        1 is the best; equal means share the mean of their ranks.
    moves : dict of arm to float
        Ranks gained over the metric it is held against; negative for a fall. Empty for the base.
    tau : Interval
        Kendall's tau with that metric's ranking, over all arms; bounds from the bootstrap. Of the base: 1.
    tau_candidates : float
        The same without the reference explainers.
    best_changes : Interval
        Share of images whose best arm is another one; where several are best, whose best arms are all others.
    swaps : list of (arm, arm)
        The first is better than the second here and worse there, both settled.
    """

    variation: Variation
    means: dict[Arm, float]
    ranks: dict[Arm, float]
    moves: dict[Arm, float]
    tau: Interval
    tau_candidates: float
    best_changes: Interval
    swaps: list[tuple[Arm, Arm]]


@dataclass(frozen=True)
class Sensitivity:
    """A group of metrics around their base.

    Attributes
    ----------
    base : str
        The base's name in the records.
    arms : list of Arm
        Those with values under every metric.
    rows : list of Moved
        The base first.
    n_images, n_dropped : int
        Images shared by all metrics, and those left out as some value is undefined.
    variants : list of str
        Metrics that are the base's own kind with another setting: told of here, not among the scores.
    first : dict of (context, choice) to float
        Share of bootstrap samples in which the choice has the least tau of all, alone.
    confidence : float
    """

    base: str
    arms: list[Arm]
    rows: list[Moved]
    n_images: int
    n_dropped: int
    variants: list[str]
    first: dict[tuple[str, str], float] = field(repr=False)
    confidence: float = 0.95

    def by_choice(self) -> dict[tuple[str, str], list[Moved]]:
        """Variations by what they vary, and in which context."""
        found: dict[tuple[str, str], list[Moved]] = {}
        for row in self.rows[1:]:
            found.setdefault((row.variation.context, row.variation.choice), []).append(row)
        return found


def evaluator_sensitivity(
    scores: Sequence[MetricScores], *, confidence: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> list[Sensitivity]:
    """Find the groups of curve metrics that differ in one choice, and say how the ranking moves within each.

    Other area rules are recomputed from the base's curves. Metrics without any value are left out.

    Parameters
    ----------
    scores : sequence of MetricScores
        What `analyse` made of the records.
    confidence, n_resamples, seed
        Of intervals and tests.

    Returns
    -------
    list of Sensitivity
        Empty where no two metrics differ in exactly one choice.
    """
    curves = {one.metric: one for one in scores if _is_area(one) and one.values.notna().any(axis=None)}
    settings = {metric: _settings(one) for metric, one in curves.items()}
    found = []
    for group in find_variations(settings):
        tables = {one: _Table(curves[one.metric].values, bool(curves[one.metric].higher_is_better)) for one in group}
        tables |= _recomputed(group, curves[group[0].metric], settings)
        kinds = {one.metric: settings[one.metric].get("name") for one in group}
        variants = [key for key, kind in kinds.items() if key != group[0].metric and kind == kinds[group[0].metric]]
        found.append(_analyse(tables, variants, confidence=confidence, n_resamples=n_resamples, seed=seed))
    return [one for one in found if one is not None]


@dataclass(frozen=True)
class _Table:
    """Values by image and arm, with their direction."""

    values: pd.DataFrame
    higher_is_better: bool

    @property
    def sign(self) -> int:
        return 1 if self.higher_is_better else -1


def _is_area(scores: MetricScores) -> bool:
    """Whether the metric is one curve's area, by its settings and by its values."""
    own = _settings(scores)
    rows = scores.rows[scores.rows["status"] == "ok"]
    if scores.higher_is_better is None or own.get("area") not in AREAS or "baseline" not in own or not len(rows):
        return False
    x, y, value = rows[["curve_x", "curve_y", "value"]].iloc[0]
    return len(x) > 0 and bool(np.isclose(recompute_area(x, y, own["area"]), value, rtol=1e-4, atol=1e-6))


def _settings(scores: MetricScores) -> Settings:
    found = json.loads(scores.rows["settings"].iloc[0] or "{}")
    return found if isinstance(found, dict) else {}


def _recomputed(
    group: Sequence[Variation], base: MetricScores, settings: Mapping[str, Settings]
) -> dict[Variation, _Table]:
    """Areas of the base's curves by every rule that no metric of the group has."""
    own, rows = settings[base.metric]["area"], base.rows
    recorded = {settings[one.metric]["area"] for one in group}
    tables = {}
    for rule in AREAS:
        if rule not in recorded:
            areas = [
                float(recompute_area(x, y, rule)) if len(x) else np.nan
                for x, y in rows[["curve_x", "curve_y"]].itertuples(index=False)
            ]
            values = by_image(rows.assign(value=areas), base.arms)
            turned = (rule in DROPS) != (own in DROPS)
            variation = Variation(base.metric, "area", rule, against=base.metric, recomputed=True)
            tables[variation] = _Table(values, bool(base.higher_is_better) != turned)
    return tables


def _analyse(
    tables: Mapping[Variation, _Table], variants: list[str], *, confidence: float, n_resamples: int, seed: int
) -> Sensitivity | None:
    """Compare all metrics of a group on the images and arms that they share; None where there are too few."""
    variations, frames = list(tables), [table.values for table in tables.values()]
    arms: list[Any] = [
        arm for arm in frames[0].columns if all(arm in frame and frame[arm].notna().any() for frame in frames)
    ]
    columns = pd.Index(arms, tupleize_cols=False)
    aligned = [frame.reindex(index=frames[0].index, columns=columns).to_numpy(float) for frame in frames]
    whole = np.isfinite(aligned).all(axis=(0, 2))
    signs = np.array([table.sign for table in tables.values()])[:, None, None]
    better = np.stack(aligned)[:, whole] * signs  # (metrics, images, arms), the larger the better
    if len(arms) < 2 or whole.sum() < 2:
        return None
    place = {one.metric: at for at, one in enumerate(variations) if not one.recomputed}
    against = [place[one.against] if one.against else 0 for one in variations]
    drawn: dict[str, Any] = {"n_resamples": n_resamples, "seed": seed}
    means = _resampled_means(better, **drawn)
    taus = kendall_tau(means, means[against])
    settled = _settled(better, alpha=level(confidence), **drawn)
    compared = _Compared(arms, better, taus, settled, confidence)
    rows = [_moved(compared, variations, at, against[at], signs[at].item()) for at in range(len(variations))]
    first = _shares_of_first(variations, taus)
    n_images, n_dropped = int(whole.sum()), int((~whole).sum())
    return Sensitivity(variations[0].metric, arms, rows, n_images, n_dropped, variants, first, confidence)


@dataclass(frozen=True)
class _Compared:
    """Arrays of all metrics of a group: `better` (metrics, images, arms), `taus` (metrics, resamples), `settled`."""

    arms: list[Arm]
    better: np.ndarray
    taus: np.ndarray
    settled: np.ndarray
    confidence: float


def _resampled_means(better: np.ndarray, *, n_resamples: int, seed: int) -> np.ndarray:
    """Means of all metrics and arms in the same bootstrap samples of the images, (metrics, resamples, arms)."""
    n_metrics, n_images, n_arms = better.shape
    flat = better.transpose(1, 0, 2).reshape(n_images, -1)
    drawn = bootstrap_means(flat, n_resamples=n_resamples, seed=seed)
    return drawn.reshape(-1, n_metrics, n_arms).transpose(1, 0, 2)


def _settled(better: np.ndarray, *, alpha: float, n_resamples: int, seed: int) -> np.ndarray:
    """Sign of each settled difference of two arms, (metrics, pairs of arms); 0 where the order is open."""
    first, second = np.triu_indices(better.shape[2], k=1)
    differences = better[:, :, first] - better[:, :, second]
    flat = differences.transpose(1, 0, 2).reshape(better.shape[1], -1)
    p = max_t_p(flat, n_resamples=n_resamples, seed=seed).reshape(len(better), -1)
    return np.where(p < alpha, np.sign(differences.mean(axis=1)), 0.0)


def _moved(of: _Compared, variations: Sequence[Variation], at: int, against: int, sign: int) -> Moved:
    mean, other = of.better[at].mean(axis=0), of.better[against].mean(axis=0)
    rank, before = stats.rankdata(-mean), stats.rankdata(-other)
    looking = [i for i, arm in enumerate(of.arms) if not is_reference(arm)]
    alpha, n_images = 1 - of.confidence, of.better.shape[1]
    low, high = np.quantile(of.taus[at], [alpha / 2, 1 - alpha / 2]) if np.isfinite(of.taus[at]).all() else [np.nan] * 2
    changed = _best_changed(of.better[at], of.better[against])
    pairs = list(itertools.combinations(range(len(of.arms)), 2))
    swapped = np.flatnonzero(of.settled[at] * of.settled[against] < 0)
    swaps = [pairs[i] if of.settled[at][i] > 0 else pairs[i][::-1] for i in swapped]
    return Moved(
        variation=variations[at],
        means=dict(zip(of.arms, (sign * mean).tolist(), strict=True)),
        ranks=dict(zip(of.arms, rank.tolist(), strict=True)),
        moves=dict(zip(of.arms, (before - rank).tolist(), strict=True)) if at else {},
        tau=Interval(float(kendall_tau(mean, other)), float(low), float(high), n_images, 0),
        tau_candidates=float(kendall_tau(mean[looking], other[looking])),
        best_changes=mean_interval(changed.astype(float), proportion=True, confidence=of.confidence),
        swaps=[(of.arms[better], of.arms[worse]) for better, worse in swaps],
    )


def _best_changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether no arm is the best of an image under both metrics, (images,)."""
    best, before = one == one.max(axis=1, keepdims=True), other == other.max(axis=1, keepdims=True)
    return ~(best & before).any(axis=1)


def _shares_of_first(variations: Sequence[Variation], taus: np.ndarray) -> dict[tuple[str, str], float]:
    """Of each choice, in which share of the samples its least tau is smaller than every other choice's."""
    by_choice: dict[tuple[str, str], list[int]] = {}
    for at, one in enumerate(variations[1:], start=1):
        by_choice.setdefault((one.context, one.choice), []).append(at)
    least = np.stack([taus[places].min(axis=0) for places in by_choice.values()])  # NaN is no order, and never first
    alone = (least == least.min(axis=0)) & ((least == least.min(axis=0)).sum(axis=0) == 1)
    return dict(zip(by_choice, alone.mean(axis=1).tolist(), strict=True))
