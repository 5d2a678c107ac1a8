"""How each metric reacts to maps whose cells change places, a larger share at each step: a good one must fall [1]_.

Scores are turned so that higher is better before anything is tested. *Falls at every step* is claimed where every single
step's mean fall is settled (sign-flip test; the largest of the steps' p-values, which needs no correction among the steps
as all of them must hold [2]_); *falls overall* where both Page's test of the trend [3]_, which speaks for the images at
hand, and the sign-flip test of the slopes, which speaks for images like these, find it. Either claim is adjusted by Holm
over all metrics and maps of the table, each in a family of its own: the chance of any false claim is at most the level for
the falls at every step, and as much again for the trends, up to twice the level for both together.

.. [1] The idea of known degradation: S. Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by
   Layer-Wise Relevance Propagation", PLOS ONE 10, 2015, which corrupts images; here the map is.
.. [2] R. L. Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 24, 1982.
.. [3] E. B. Page, "Ordered Hypotheses for Multiple Treatments", Journal of the American Statistical Association 58, 1963.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from xaibench.report.labels import Arm, arm_label, higher_is_better, metric_title
from xaibench.report.scores import by_image, has_own_table
from xaibench.report.summaries import MeanLine
from xaibench.report.trust.corruption_chains import Chain
from xaibench.statistics.best import level
from xaibench.statistics.intervals import N_RESAMPLES, Interval, mean_curve_band, mean_intervals
from xaibench.statistics.paired import holm, sign_flip_p
from xaibench.statistics.rank_agreement import spearman_by_image

EVERY_STEP, OVERALL, NO_FALL, RISES, UNTESTED = (
    "falls at every step", "falls overall", "no fall shown", "rises", "untested",
)  # fmt: skip

CORRUPTION_COLUMNS = [
    "metric", "start", "direction", "n_images", "undefined", "spearman", "spearman_low", "spearman_high", "monotone",
    "monotone_low", "monotone_high", "slope", "slope_low", "slope_high", "page_p", "slope_p", "trend_p_adjusted", "steps_p",
    "steps_p_adjusted", "open_steps", "verdict",
]  # fmt: skip
LINE_COLUMNS = ["metric", "start", "share", "mean", "low", "high", "n_images"]
FEWEST_IMAGES = 2


@dataclass(frozen=True)
class Reaction:
    """One metric on one map and its corruptions.

    Attributes
    ----------
    metric, title : str
        Name in the records, with the variant where there is one, and title.
    start : Arm
        Whose maps were corrupted.
    higher_is_better : bool
    line : MeanLine
        Mean score against the share of cells misplaced, in the metric's own unit, with its band.
    n_images, n_undefined : int
        Images with a score at every share, and those left out.
    spearman : Interval
        Correlation of share and score, higher being better, within an image: -1 where the score falls at every step.
    monotone : Interval
        Share of images on which the score never rises and falls at least once.
    slope : Interval
        Change of the score, higher being better, from no cell to all cells, along a straight line fitted to each image.
    page_p, slope_p : float
        Page's test of a fall or a rise, and the sign-flip test of the mean slope; two-sided.
    trend_falls : bool
        Whether Page's test speaks for a fall.
    steps_p : float
        Largest p of a fall over the single steps; 1 where a step's mean does not fall.
    step_falls, step_p : array, shape (steps,)
        Mean fall of each step, and its two-sided p.
    trend_p_adjusted, steps_p_adjusted : float
        By Holm over all reactions of the run.
    verdict : str
        One of `EVERY_STEP`, `OVERALL`, `NO_FALL`, `RISES`, `UNTESTED`.
    open_steps : list of str
        Steps whose fall is not settled at the level, as ``0.25 to 0.5``.
    """

    metric: str
    title: str
    start: Arm
    higher_is_better: bool
    line: MeanLine
    n_images: int
    n_undefined: int
    spearman: Interval
    monotone: Interval
    slope: Interval
    page_p: float
    trend_falls: bool
    slope_p: float
    steps_p: float
    step_falls: np.ndarray
    step_p: np.ndarray
    trend_p_adjusted: float = math.nan
    steps_p_adjusted: float = math.nan
    verdict: str = UNTESTED
    open_steps: tuple[str, ...] = ()


def reactions(
    records: pd.DataFrame,
    chains: Sequence[Chain],
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Reaction]:
    """Follow every metric with a direction along every chain.

    Parameters
    ----------
    records : DataFrame
        Columns as `Record`, those of corrupted explainers among them.
    chains : sequence of Chain
        See `chains_of`.
    confidence, n_resamples, seed
        Of intervals and tests; a verdict's level is ``1 - confidence``.

    Returns
    -------
    list of Reaction
        By metric in the order of the records, then by chain and layer. Images on which a score along a chain is
        undefined are left out of that chain and counted.
    """
    options: dict[str, Any] = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    found: list[Reaction] = []
    if not chains:
        return found
    scored = records[~has_own_table(records) & (records["image"] != "")]
    for (metric, variant), rows in scored.groupby(["metric", "variant"], sort=False):
        direction = higher_is_better(str(metric), str(rows["settings"].iloc[0]))
        if direction is None:
            continue
        for chain in chains:
            for start, values in _along(rows, chain):
                found.append(_reaction((str(metric), str(variant)), start, chain.shares, values, direction, options))
    return _judged(found, alpha=level(confidence))


def _along(rows: pd.DataFrame, chain: Chain) -> list[tuple[Arm, Float[np.ndarray, "images shares"]]]:
    """Scores of each layer of a chain's start by share; repetitions of a share are averaged."""
    names = [name for share in chain.shares for name in chain.at(share)]
    own = rows[rows["explainer"].isin(names)]
    layers = list(dict.fromkeys(own.loc[own["explainer"] == chain.start, "layer"]))
    found = []
    for layer in layers:
        table = by_image(own[own["layer"] == layer], [(name, layer) for name in names])
        if all((name, layer) in table.columns for name in names):
            by_share = [table[[(name, layer) for name in chain.at(share)]].to_numpy(float) for share in chain.shares]
            found.append(((chain.start, str(layer)), np.column_stack([part.mean(axis=1) for part in by_share])))
    return found


def _reaction(
    of: tuple[str, str], start: Arm, shares: list[float], values: np.ndarray, direction: bool, options: dict[str, Any]
) -> Reaction:
    whole = values[np.isfinite(values).all(axis=1)]
    x, better = np.asarray(shares), whole if direction else -whole
    band = mean_curve_band(whole, **options)
    line = MeanLine(x, band.mean, band.low, band.high, len(whole), len(values) - len(whole))
    falls = better[:, :-1] - better[:, 1:]
    monotone = (falls >= 0).all(axis=1) & (better[:, 0] > better[:, -1])
    spread = x - x.mean()
    measured = np.column_stack(
        [spearman_by_image(np.broadcast_to(x, better.shape), better), better @ spread / (spread @ spread)]
    )
    spearman, slope = mean_intervals(measured, **options)
    shown = mean_intervals(monotone[:, None].astype(float), proportion=True, **options)[0]
    tested = np.column_stack([measured[:, 1], falls])
    slope_p, *step_p = sign_flip_p(tested, n_resamples=options["n_resamples"], seed=options["seed"])
    down = falls.mean(axis=0) if len(falls) else np.full(len(shares) - 1, math.nan)
    steps_p = float(np.where(down > 0, step_p, 1.0).max()) if len(falls) >= FEWEST_IMAGES else math.nan
    name, title = ("/".join(filter(None, of)), ", ".join(filter(None, [metric_title(of[0]), of[1]])))
    return Reaction(
        name, title, start, direction, line, len(whole), len(values) - len(whole), spearman, shown,
        slope, *_trend(better), float(slope_p), steps_p, down, np.asarray(step_p),
    )  # fmt: skip


def _trend(better: Float[np.ndarray, "images shares"]) -> tuple[float, bool]:
    """Two-sided p of Page's test, and whether it speaks for a fall; NaN for fewer than two images or three shares."""
    if len(better) < FEWEST_IMAGES or better.shape[1] < 3:
        return math.nan, False
    fall, rise = (float(stats.page_trend_test(one).pvalue) for one in (better[:, ::-1], better))
    return min(1.0, 2 * min(fall, rise)), fall < rise


def _trend_p(of: Reaction) -> float:
    """The larger p of the two tests of a trend, as both must speak for it; 1 where they point in different ways."""
    if math.isnan(of.page_p):
        return math.nan
    return max(of.page_p, of.slope_p) if of.trend_falls == (of.slope.estimate < 0) else 1.0


def _judged(found: Sequence[Reaction], *, alpha: float) -> list[Reaction]:
    """Adjust the tests over all reactions, and say what follows."""
    trends, steps = holm([_trend_p(one) for one in found]), holm([one.steps_p for one in found])
    judged = []
    for one, trend_p, steps_p in zip(found, trends.tolist(), steps.tolist(), strict=True):
        if math.isnan(trend_p) and math.isnan(steps_p):
            verdict = UNTESTED
        elif steps_p < alpha:
            verdict = EVERY_STEP
        elif trend_p < alpha:
            verdict = OVERALL if one.trend_falls else RISES
        else:
            verdict = NO_FALL
        open_steps = tuple(
            f"{one.line.x[at]:g} to {one.line.x[at + 1]:g}"
            for at in range(len(one.step_p))
            if not (one.step_falls[at] > 0 and one.step_p[at] < alpha)
        )
        kept = open_steps if verdict == OVERALL else ()
        judged.append(
            replace(one, trend_p_adjusted=trend_p, steps_p_adjusted=steps_p, verdict=verdict, open_steps=kept)
        )
    return judged


def corruption_tables(found: Sequence[Reaction]) -> dict[str, pd.DataFrame]:
    """Both tables by name: what each metric does, and its mean scores; none without chains."""
    if not found:
        return {}
    lines = [
        [one.metric, arm_label(one.start), *map(float, point), one.n_images]
        for one in found
        for point in zip(one.line.x, one.line.mean, one.line.low, one.line.high, strict=True)
    ]
    return {
        "corruption": pd.DataFrame([_row(one) for one in found], columns=CORRUPTION_COLUMNS),
        "corruption_means": pd.DataFrame(lines, columns=LINE_COLUMNS),
    }


def _row(of: Reaction) -> list[Any]:
    intervals = [part for one in (of.spearman, of.monotone, of.slope) for part in (one.estimate, one.low, one.high)]
    return [
        of.metric, arm_label(of.start), "higher" if of.higher_is_better else "lower", of.n_images, of.n_undefined,
        *intervals, of.page_p, of.slope_p, of.trend_p_adjusted, of.steps_p, of.steps_p_adjusted, "; ".join(of.open_steps),
        of.verdict,
    ]  # fmt: skip
