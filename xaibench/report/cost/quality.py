"""Cost against quality: what each arm scores and what it costs, which arms nobody beats in both, and what may be said."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from xaibench.report.cost.tables import path_milliseconds
from xaibench.report.labels import Arm, arm_label, spoken
from xaibench.report.scores import MetricScores
from xaibench.report.verdicts import verdict
from xaibench.report.wording import listed, lowered, number, p_at_most

PREFERRED = ("insertion", "energy_in_mask")
"""Metrics against which cost is drawn, where the run has them; else its first two."""

SAME_COST = 1.05
"""Costs nearer than by this factor are taken as equal: so much may the phases of one explanation differ from its whole."""

COLUMNS = ["metric", "variant", "arm", "milliseconds", "cost_of", "mean", "low", "high", "on_front", "in_best_set"]


@dataclass(frozen=True)
class Point:
    """An arm: milliseconds an image, mean score and its interval, and whether no arm is better in one and as good in both."""

    arm: Arm
    milliseconds: float
    mean: float
    low: float
    high: float
    on_front: bool


@dataclass(frozen=True)
class CostQuality:
    """One metric against cost.

    Attributes
    ----------
    scores : MetricScores
    points : list of Point
        Arms that look at the model and have both numbers, cheapest first.
    cost_of : str
        What the milliseconds are.
    """

    scores: MetricScores
    points: list[Point]
    cost_of: str

    @property
    def front(self) -> list[Point]:
        """Points that no other one beats, cheapest first."""
        return [point for point in self.points if point.on_front]


def cost_quality(scores: Sequence[MetricScores], timing: pd.DataFrame, cost: pd.DataFrame) -> list[CostQuality]:
    """Pair scores with costs, for the metrics of `PREFERRED` or the first two; empty where no cost is known.

    Parameters
    ----------
    scores : sequence of MetricScores
        Those that rank arms.
    timing, cost : DataFrame
        As `xaibench.report.cost.tables` makes them. The timed explanation of a layer is its cost where all arms are of the
        method timed, Grad-CAM; otherwise for all arms what the run itself recorded for making its maps.
    """
    chosen = [one for name in PREFERRED for one in scores if one.metric == name] or list(scores)[:2]
    found = []
    for one in chosen:
        costs, cost_of = arm_costs(one.candidates, timing, cost)
        points = _points(one, costs)
        if len(points) > 1:
            found.append(CostQuality(one, points, cost_of))
    return found


def arm_costs(arms: Sequence[Arm], timing: pd.DataFrame, cost: pd.DataFrame) -> tuple[dict[Arm, float], str]:
    """Milliseconds an image of each arm, all taken in the same way, and what they are."""
    timed = path_milliseconds(timing)
    if arms and all(explainer == "grad_cam" and layer in timed for explainer, layer in arms):
        return {arm: timed[arm[1]] for arm in arms}, "explanation of this layer alone, timed"
    rows = cost[cost["metric"] == "tied_fraction"]
    seconds = dict(zip(rows["arm"], rows["seconds_per_image"], strict=True))
    costs = {arm: 1e3 * float(seconds.get(arm_label(arm), math.nan)) for arm in arms}
    return costs, "map as the run made it, shared among the layers of one pass"


def cost_quality_table(found: Sequence[CostQuality]) -> pd.DataFrame:
    """One row per metric and arm, cheapest first."""
    rows = [
        [
            one.scores.metric, one.scores.variant, arm_label(point.arm), point.milliseconds, one.cost_of, point.mean,
            point.low, point.high, point.on_front, point.arm in one.scores.best.members,
        ]
        for one in found
        for point in one.points
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def cost_sentences(found: Sequence[CostQuality]) -> list[str]:
    """For each metric, whether quality has a price, no stronger than its tests; "" is left out."""
    return [sentence for one in found if (sentence := _sentence(one))]


def _sentence(of: CostQuality) -> str:
    said = verdict(of.scores)
    least = min(point.milliseconds for point in of.points)
    cheap = [point.arm for point in of.points if point.milliseconds <= SAME_COST * least]
    costs = {point.arm: point.milliseconds for point in of.points}
    by = f"By {lowered(of.scores.title)}"
    if said.best is None or said.best not in costs:
        return ""
    if not said.undecided and said.best in cheap:
        among = "the cheapest" if len(cheap) == 1 else "among the cheapest"
        return f"{by}, {spoken(said.best)} is both best and {among}, {_price(costs[said.best])}."
    equal = [arm for arm in cheap if arm in (said.best, *said.undecided)]
    if equal:
        verb = "is among the best and cheapest" if len(equal) == 1 else "are among the best and cheapest"
        return f"{by}, nothing dearer is shown to be better: {listed([spoken(arm) for arm in equal])} {verb}."
    best = [arm for arm in (said.best, *said.undecided) if arm in costs]
    bargain = min(best, key=lambda arm: costs[arm])
    worst = p_at_most([of.scores.p(said.best, arm) for arm in cheap])
    return (
        f"{by}, quality has its price: {listed([_priced(arm, costs) for arm in cheap])} {'cost' if len(cheap) > 1 else 'costs'}"
        f" least but {'score' if len(cheap) > 1 else 'scores'} worse than {spoken(said.best)} (adjusted {worst}); of the arms that"
        f" may be best, {_priced(bargain, costs)} costs least."
    )


def _price(milliseconds: float) -> str:
    return f"at {number(milliseconds, decimals=2)} ms an image"


def _priced(arm: Arm, costs: Mapping[Arm, float]) -> str:
    return f"{spoken(arm)} ({number(costs[arm], decimals=2)} ms an image)"


def _points(scores: MetricScores, costs: Mapping[Arm, float]) -> list[Point]:
    sign = 1.0 if scores.higher_is_better else -1.0
    known = {
        arm: (cost, sign * scores.intervals[arm].estimate)
        for arm, cost in costs.items()
        if math.isfinite(cost) and math.isfinite(scores.intervals[arm].estimate)
    }
    points = []
    for arm, (cost, quality) in known.items():
        found = scores.intervals[arm]
        beaten = any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in known.values())
        points.append(Point(arm, cost, found.estimate, found.low, found.high, not beaten))
    return sorted(points, key=lambda point: point.milliseconds)
