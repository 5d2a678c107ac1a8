"""The rule by which a run ends early: which metric has to be settled, at what error; stated, and checked beforehand."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from xaibench.metrics.cards import CARDS, Card
from xaibench.names import unknown
from xaibench.report.labels import Arm, card_of, is_reference
from xaibench.report.trust.corruption_chains import chains_of, corrupted_names

SETTLED = "settled"
WHEN = ("null", SETTLED)

_BOUNDED_SCORES = ("probability", "correct", "sigmoid")
_OF_MAPS_ALONE = ("coherency", "complexity_adcc")
_RANGE = re.compile(r"[\[(](-?[\d/]+), (-?[\d/]+)[\])]")


@dataclass(frozen=True)
class StopRule:
    """When no more images are needed.

    Attributes
    ----------
    metric : str
        The question: which explanation that looks at the model is best by it?
    alpha : float
        Chance of a false answer, over all looks together; in (0, 1).
    margin : float or None
        Difference from the best that does not matter, in the metric's unit: the question is also settled once all
        that may be the best are shown to be within it. None asks for one best.
    at_least : int
        Images before the run may end.
    corrupted : tuple of str
        The run's explainers that corrupt others' maps: controls, no candidates. Not set by hand.
    """

    metric: str = "insertion"
    alpha: float = 0.05
    margin: float | None = None
    at_least: int = 8
    corrupted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("alpha", "margin"):
            value = getattr(self, name)
            if value is None and name == "margin":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"stop.{name} is a number; got {value!r}")
        if not 0 < self.alpha < 1:
            raise ValueError(
                f"stop.alpha is the chance of a false answer, between 0 and 1, such as 0.05; got {self.alpha}"
            )
        if isinstance(self.at_least, bool) or not isinstance(self.at_least, int) or self.at_least < 1:
            raise ValueError(f"stop.at_least is a number of images, 1 or more; got {self.at_least!r}")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "StopRule | None":
        """Read the rule from the keys ``stop_when`` and ``stop`` of a run's settings; None for a run to the end.

        Raises
        ------
        ValueError
            If a key or the metric is unknown to the run, or a number is out of range.
        """
        when = settings.get("stop_when")
        if when is None:
            return None
        if when != SETTLED:
            raise unknown("stop_when", when, WHEN)
        given = dict(settings.get("stop") or {})
        known = [field.name for field in fields(cls) if field.name != "corrupted"]
        for name in given:
            if name not in known:
                raise unknown("key of stop", name, known)
        rule = cls(**given, corrupted=tuple(corrupted_names(chains_of({"settings": settings}))))
        if rule.metric not in (settings.get("metric") or {}):
            raise unknown(
                "metric in stop.metric, which must be one of the run's", rule.metric, settings.get("metric") or ()
            )
        return rule

    def candidates(self, arms: Iterable[Arm]) -> list[Arm]:
        """Arms that look at the model: among them the best is looked for."""
        return [arm for arm in arms if not is_reference(arm) and arm[0] not in self.corrupted]

    def check(self, metric_settings: str, arms: Sequence[Arm]) -> None:
        """See that the test can be done: a metric with a direction and a known range, and two arms to compare.

        Parameters
        ----------
        metric_settings : str
            Settings of the metric as its records have them, JSON.
        arms : sequence of (explainer, layer)
            Of the run.

        Raises
        ------
        ValueError
            If it cannot, with the metrics by which it can.
        """
        low, high = metric_range(self.metric, metric_settings)
        if self.margin is not None and not 0 < self.margin < high - low:
            raise ValueError(
                f"stop.margin is a difference by {self.metric}, between 0 and {high - low:g}; got {self.margin:g}"
            )
        candidates = self.candidates(arms)
        if len(candidates) < 2:
            raise ValueError(
                "stop_when=settled compares explanations that look at the model, and needs two at least; "
                f"this run has {len(candidates)}: add a layer or an explainer, or leave stop_when out"
            )


def metric_range(metric: str, settings: str = "{}") -> tuple[float, float]:
    """Least and largest value of a metric: its card's range, as far as it holds for these settings.

    Raises
    ------
    ValueError
        If the metric has no direction, or no range that is known beforehand.
    """
    card, choices = card_of(metric, settings), json.loads(settings or "{}")
    if card is None or card.higher_is_better is None:
        raise ValueError(f"stop.metric={metric} has no better direction; {_suited()}")
    bounds = _stated(card)
    scores, areas = set(_values(choices, "score")), set(_values(choices, "area"))
    if bounds is None:
        raise ValueError(f"stop.metric={metric} has no fixed range ({card.range}), which the test needs; {_suited()}")
    reads = _reads_scores(card)
    if reads and not (scores and scores <= set(_BOUNDED_SCORES)):
        told = ", ".join(sorted(scores)) or "a score that its settings do not name"
        raise ValueError(
            f"stop.metric={metric} reads {told}, so it has no fixed range, which the test needs; "
            f"set metric.{metric}.score=probability, or take another: {_suited()}"
        )
    if "unit_trapezoid" in areas:
        raise ValueError(
            f"stop.metric={metric} has area=unit_trapezoid, which grows with the number of steps; the test needs a "
            f"fixed range: take another area rule, such as metric.{metric}.area=uniform_trapezoid"
        )
    return (-1.0, 1.0) if "mean_drop" in areas else bounds


def _reads_scores(card: Card) -> bool:
    """Whether the metric's range hangs on which of the model's scores it reads."""
    return card.family in ("curves", "regions", "road", "masking") and card.name not in _OF_MAPS_ALONE


def _suited() -> str:
    names = [card.name for card in CARDS.values() if card.higher_is_better is not None and _stated(card)]
    listed = [name for name in names if CARDS[name].family not in ("sanity", "timing")]
    return f"metrics that fit: {', '.join(listed)}"


def _stated(card: Card) -> tuple[float, float] | None:
    """The numbers of the card's range; None where it has none."""
    if card.range.startswith("0 or 1"):
        return 0.0, 1.0
    found = _RANGE.search(card.range)
    return None if found is None else (float(Fraction(found[1])), float(Fraction(found[2])))


def _values(choices: Any, key: str) -> Iterator[str]:
    """All values of a key, however deep: metrics of several curves tell each of them."""
    if isinstance(choices, Mapping):
        for name, value in choices.items():
            if name == key and isinstance(value, str):
                yield value
            yield from _values(value, key)
