"""What the tests of one metric allow to say: the best layer, what cannot be told from it, what the references do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xaibench.report.labels import Arm, spoken
from xaibench.report.scores import MetricScores
from xaibench.report.wording import counted, listed, lowered, number, p_at_least, p_at_most, p_text
from xaibench.statistics.best import best_set
from xaibench.statistics.intervals import mean_interval
from xaibench.statistics.sample_size import fewest_images, images_needed


@dataclass(frozen=True)
class Verdict:
    """The order that one metric settles among the explainers that look at the model.

    Attributes
    ----------
    scores : MetricScores
    best : tuple or None
        Best mean over the images on which all of them are defined; None where none can be named.
    undecided, beaten : list
        Those that cannot be told from `best`, and those that are worse, by the adjusted p at `alpha`.
    alpha : float
    """

    scores: MetricScores
    best: Arm | None
    undecided: list[Arm]
    beaten: list[Arm]
    alpha: float

    def p(self, arms: Sequence[Arm]) -> list[float]:
        """Adjusted p of the arms against the best one."""
        return [self.scores.p(self.best, arm) for arm in arms] if self.best else []


def verdict(scores: MetricScores, *, alpha: float | None = None) -> Verdict:
    """Best set among the candidates, with the p-values adjusted over all pairs of arms, references among them.

    `alpha` is what the scores' confidence leaves where not given.
    """
    alpha = scores.alpha if alpha is None else alpha
    if not scores.candidates or scores.higher_is_better is None:
        return Verdict(scores, None, [], [], alpha)
    values = scores.values[scores.candidates]
    found = best_set(values, scores.comparisons, higher_is_better=scores.higher_is_better, alpha=alpha)
    best = next((arm for arm in scores.candidates if arm == found.best), None)
    others = [arm for arm in scores.candidates if arm != best] if best else []
    undecided = [arm for arm in others if arm in found.members]
    return Verdict(scores, best, undecided, [arm for arm in others if arm not in found.members], alpha)


def best_sentence(of: Verdict) -> str:
    """Which arm is best by this metric, with interval and tests; no stronger than these."""
    by = f"By {lowered(of.scores.title)}"
    if of.best is None:
        return f"{by}, nothing can be said: {_why_nothing(of.scores)}."
    if not (of.undecided or of.beaten):
        return (
            f"{by}, {spoken(of.best)} scores {_estimate(of)}; there is no other layer to compare it with"
            f"{_reference_clause(of)}."
        )
    if of.beaten and not of.undecided:
        return f"{by}, {spoken(of.best)} is best, {_estimate(of)}: {_beats(of)}{_reference_clause(of)}."
    if of.beaten:
        return (
            f"{by}, {spoken(of.best)} has the best mean of the layers, {_estimate(of)}: {_beats(of)} but cannot be told from "
            f"{_named(of, of.undecided)} ({p_at_least(of.p(of.undecided))}){_reference_clause(of)}."
        )
    return (
        f"{by}, no layer is settled as the best: {spoken(of.best)} has the best mean of the layers, {_estimate(of)}, but cannot be "
        f"told from {_named(of, of.undecided)} ({p_at_least(of.p(of.undecided))}){_too_few(of)}{_reference_clause(of)}."
    )


def settling(of: Verdict, *, power: float = 0.8) -> tuple[Arm, float] | None:
    """The undecided arm with the nearest mean for which a number of images can be named, and that number."""
    if of.best is None:
        return None
    found = []
    for arm in of.undecided:
        differences = of.scores.values[of.best] - of.scores.values[arm]
        family = max(1, int(of.scores.comparisons["family"].max()))
        needed = images_needed(differences, power=power, alpha=of.alpha, n_comparisons=family).n
        if needed > of.scores.best.n:
            found.append((abs(float(differences.mean())), arm, needed))
    return min(found)[1:] if found else None


def settling_sentence(of: Verdict) -> str:
    """How many images would settle the closest undecided comparison; "" where there is none."""
    nearest = settling(of)
    if nearest is None or of.best is None:
        return ""
    arm, needed = nearest
    return (
        f"By {lowered(of.scores.title)}, about {needed:,.0f} images would settle {short(of, of.best)} against "
        f"{short(of, arm)} (80 % power, if the difference seen is the true one; {of.scores.best.n} were used)."
    )


def reference_relations(of: Verdict) -> dict[Arm, tuple[list[Arm], list[Arm]]]:
    """For each reference: the candidates that it beats, and those that it cannot be told from."""
    relations = {}
    for reference in of.scores.references:
        beats, undecided = [], []
        for arm in of.scores.candidates:
            if not of.scores.p(reference, arm) < of.alpha:
                undecided.append(arm)
            elif better(of.scores, reference, arm):
                beats.append(arm)
        relations[reference] = (beats, undecided)
    return relations


def reference_clause(of: Verdict) -> str:
    """Which references are not beaten by which candidates; "" where every candidate beats every reference."""
    alike: dict[str, list[str]] = {}
    for reference, (beats, undecided) in reference_relations(of).items():
        parts = [f"beats {_named(of, beats, 'every layer')}"] if beats else []
        parts += [f"cannot be told from {_named(of, undecided, 'any layer')}"] if undecided else []
        if parts:
            alike.setdefault(" and ".join(parts), []).append(reference[0])
    return "; ".join(f"{_plural(names, relation)}" for relation, names in alike.items())


def _plural(names: Sequence[str], relation: str) -> str:
    return f"{listed(names)} {relation.replace('beats', 'beat') if len(names) > 1 else relation}"


def better(scores: MetricScores, one: Arm, other: Arm) -> bool:
    """Whether the mean paired difference favours `one`."""
    difference = float((scores.values[one] - scores.values[other]).mean())
    return difference > 0 if scores.higher_is_better else difference < 0


def short(of: Verdict, arm: Arm) -> str:
    """The layer alone where there is one explainer to name, else both."""
    one_explainer = len({explainer for explainer, _ in of.scores.candidates}) == 1
    return arm[1] if one_explainer and arm[1] else spoken(arm)


def _named(of: Verdict, arms: Sequence[Arm], everything: str = "") -> str:
    if everything and len(arms) > 1 and set(arms) == set(of.scores.candidates):
        return everything
    return listed([short(of, arm) for arm in arms])


def _estimate(of: Verdict) -> str:
    """Mean of the best arm, over the images on which it is the best: those on which all candidates have a value."""
    assert of.best is not None
    interval, images = of.scores.intervals[of.best], ""
    complete = of.scores.values[of.scores.candidates].dropna()[of.best]
    if len(complete) < interval.n:
        zero_or_one = bool(np.isin(complete, (0.0, 1.0)).all())
        interval = mean_interval(complete, proportion=zero_or_one, confidence=of.scores.confidence)
        images = " on which every layer has a value"
    between = (
        f"; {100 * of.scores.confidence:g} % interval {number(interval.low)} to {number(interval.high)}"
        if math.isfinite(interval.low)
        else ""
    )
    return f"{number(interval.estimate)} ({counted(interval.n, 'image')}{images}{between})"


def _beats(of: Verdict) -> str:
    every = len(of.beaten) > 1 and not of.undecided
    whom = f"all {len(of.beaten)} others" if every else _named(of, of.beaten)
    return f"it beats {whom} (adjusted {p_at_most(of.p(of.beaten))})"


def _reference_clause(of: Verdict) -> str:
    """Hides no reference that keeps up with the best arm."""
    assert of.best is not None
    unbeaten = [one for one in of.scores.references if not of.scores.p(of.best, one) < of.alpha]
    ahead = [one for one in of.scores.references if one not in unbeaten and better(of.scores, one, of.best)]
    text = ""
    if ahead:
        verb = "beat" if len(ahead) > 1 else "beats"
        text += f"; {listed([spoken(one) for one in ahead])} {verb} it ({p_at_most(of.p(ahead))})"
    if unbeaten:
        names = listed([spoken(one) for one in unbeaten], last="or")
        which = p_text(of.p(unbeaten)[0]) if len(unbeaten) == 1 else p_at_least(of.p(unbeaten))
        text += (
            f"; nor can it be told from {names} ({which})"
            if of.undecided
            else f"; it cannot be told from {names} ({which})"
        )
    return text


def _too_few(of: Verdict) -> str:
    family = max(1, int(of.scores.comparisons["family"].max()))
    needed = fewest_images(of.alpha / family)
    n = of.scores.best.n
    return f"; with {counted(n, 'image')} no test could settle it" if n < needed else ""


def _why_nothing(scores: MetricScores) -> str:
    if scores.candidates:
        return "there is no image on which every map has a value"
    return "only reference explainers have values" if scores.references else "no value is defined"
