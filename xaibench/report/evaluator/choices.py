"""Which curve metrics of a run differ in exactly one choice? Found from their recorded settings, whatever their names."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BESIDE = ("name", "resize")
"""Settings that are no choice of the metric: its name, as the direction says which way it goes, and what belongs to the
arm, whose maps all metrics share."""
ORDER = (
    "baseline", "direction", "first", "score", "steps", "endpoints", "ties", "rectify", "seed", "regions",
    "region_score", "area",
)  # fmt: skip
"""Choices in the order in which to show them; others come after these."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Variation:
    """A curve metric of a run, and the one choice in which it differs from another one.

    Attributes
    ----------
    metric : str
        Its name in the records.
    choice, value : str
        What is varied, and to what; both "" for the base.
    against : str
        The metric that differs in this choice alone; "" for the base.
    context : str
        What the two have in common that the base has not, ``rectify: True``; "" next to the base itself.
    recomputed : bool
        Whether it was made from the stored curves of `metric` by another area rule.
    """

    metric: str
    choice: str = ""
    value: str = ""
    against: str = ""
    context: str = ""
    recomputed: bool = False

    @property
    def label(self) -> str:
        """``baseline: Blur``; ``rectify: True, ties: raster`` where the base is two choices away."""
        return ", ".join(part for part in (self.context, f"{self.choice}: {self.value}") if part)


def find_variations(settings: Mapping[str, Settings]) -> list[list[Variation]]:
    """Groups of metrics around a base, each one choice away from the base or from another of the group.

    The base of a group is the metric that differs from the most others in one choice alone, the first of several. What
    is two choices away from it is held against the member of the group that has most such neighbours left, so that tie
    rules of rectified maps are held against the rectified map.

    Parameters
    ----------
    settings : mapping of metric to settings
        Recorded settings, in the order of the run.

    Returns
    -------
    list of list of Variation
        The base first, then its neighbours by choice, then the neighbours of these. Metrics without any are left out.
    """
    left = dict(settings)
    groups = []
    while left:
        base = max(left, key=lambda key: len(_neighbours(key, left)))
        if not _neighbours(base, left):
            break
        group = _grown(base, left)
        groups.append(group)
        left = {key: own for key, own in left.items() if key not in {one.metric for one in group}}
    return groups


def difference(one: Settings, other: Settings) -> list[str]:
    """Choices in which two metrics differ; a setting that only one of them has is one."""
    names = dict.fromkeys([*one, *other])
    return [name for name in names if name not in BESIDE and one.get(name) != other.get(name)]


def _neighbours(key: str, settings: Mapping[str, Settings]) -> dict[str, str]:
    """Metrics one choice away, with the choice."""
    differences = {other: difference(settings[key], own) for other, own in settings.items() if other != key}
    return {other: found[0] for other, found in differences.items() if len(found) == 1}


def _grown(base: str, settings: Mapping[str, Settings]) -> list[Variation]:
    group, outside = [Variation(base)], {key: own for key, own in settings.items() if key != base}
    hub = group[0]
    while True:
        found = _neighbours(hub.metric, {hub.metric: settings[hub.metric], **outside})
        context = hub.label if hub.choice else ""
        ordered = sorted(found.items(), key=lambda pair: _place(pair[1]))
        values = {choice: _values(choice, [hub.metric, *found], settings) for choice in set(found.values())}
        group += [Variation(key, choice, values[choice][key], hub.metric, context) for key, choice in ordered]
        outside = {key: own for key, own in outside.items() if key not in found}
        reach = {one: len(_neighbours(one.metric, {one.metric: settings[one.metric], **outside})) for one in group}
        hub = max(group, key=lambda one: reach[one])
        if not reach[hub]:
            return group


def _place(choice: str) -> int:
    return ORDER.index(choice) if choice in ORDER else len(ORDER)


def _values(choice: str, metrics: Sequence[str], settings: Mapping[str, Settings]) -> dict[str, str]:
    """Name each metric's value of a choice as briefly as it can be told from the others' values."""
    texts = {metric: str(settings[metric].get(choice)) for metric in metrics}
    return dict(zip(texts, short_values(list(texts.values())), strict=True))


def short_values(texts: Sequence[str]) -> Iterator[str]:
    """Shorten ``Blur(sigma=5)`` to ``Blur``, or to ``sigma=5`` where all are blurs; in full where that is not enough."""
    heads = {text: text.partition("(")[0] for text in texts}
    often = Counter(heads.values())
    for text in texts:
        head, _, rest = text.partition("(")
        if len(often) == 1 and len(heads) > 1 and rest:
            yield rest.removesuffix(")")
        else:
            yield head if often[head] == 1 else text
