"""The card of every number on the page: what the metric is, and under which conventions this run measured it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from xaibench.metrics.cards import Card
from xaibench.report.conventions import Told, told
from xaibench.report.labels import Arm, card_of
from xaibench.report.summaries import unique
from xaibench.report.wording import listed

_MOST_NAMED = 6


@dataclass(frozen=True)
class Measured:
    """Under which conventions one metric of the run was measured.

    `heading` is the name in the records where it is not the card's, `groups` hold (heading, terms), `raw` is what the
    records say.
    """

    heading: str
    groups: list[tuple[str, list[Told]]]
    raw: str = field(repr=False)


@dataclass(frozen=True)
class CardView:
    """A metric's card with its anchor on the page and what the run's records say."""

    anchor: str
    card: Card
    direction: str
    measured: list[Measured]


def card_views(records: pd.DataFrame, labels: Mapping[Arm, str]) -> list[CardView]:
    """Cards of all metrics of the records, in the order of their first appearance."""
    known = records[["metric", "settings", "explainer", "layer"]].drop_duplicates()
    cards: dict[str, tuple[Card, list[Measured]]] = {}
    for metric in unique(known["metric"]):
        rows = known[known["metric"] == metric]
        card = next(filter(None, (card_of(metric, text) for text in unique(rows["settings"]))), None)
        if card is not None:
            _, all_of = cards.setdefault(card.name, (card, []))
            all_of += _measured(metric, card, rows, labels)
    return [CardView(f"card-{name}", card, _direction(card), all_of) for name, (card, all_of) in cards.items()]


def card_anchors(records: pd.DataFrame) -> dict[str, str]:
    """Where on the page each metric of the records is defined."""
    known = records[["metric", "settings"]].drop_duplicates()
    cards = [(metric, card_of(metric, text)) for metric, text in known.itertuples(index=False)]
    return {str(metric): f"card-{card.name}" for metric, card in cards if card is not None}


def _direction(card: Card) -> str:
    return {True: "higher is better", False: "lower is better", None: "neither direction is better"}[
        card.higher_is_better
    ]


def _measured(metric: str, card: Card, rows: pd.DataFrame, labels: Mapping[Arm, str]) -> list[Measured]:
    users: dict[str, list[str]] = {}
    for text, *arm in rows[["settings", "explainer", "layer"]].itertuples(index=False):
        users.setdefault(text or "{}", []).append(labels.get((arm[0], arm[1]), ""))
    groups = _merged([(told(json.loads(text)), names) for text, names in users.items()])
    if not any(terms for _, terms in groups):
        return []
    raw = "\n".join(json.dumps(json.loads(text), indent=1, ensure_ascii=False) for text in users)
    return [Measured("" if metric == card.name else f"recorded as {metric}", groups, raw)]


def _merged(
    variants: Sequence[tuple[list[tuple[str, list[Told]]], list[str]]],
) -> list[tuple[str, list[Told]]]:
    """Say once what holds for all arms; where they differ, what holds for which."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for groups, names in variants:
        for heading, terms in groups:
            for term, words in terms:
                of_words = found.setdefault(heading, {}).setdefault(term, {})
                of_words.setdefault(words, []).extend(name for name in names if name)
    return [(heading, [(term, _said(words)) for term, words in terms.items()]) for heading, terms in found.items()]


def _said(words: Mapping[str, list[str]]) -> str:
    if len(words) == 1:
        return next(iter(words))
    parts = []
    for text, names in words.items():
        named = listed(unique(names)) if 0 < len(names) <= _MOST_NAMED else ""
        parts.append(f"{text} ({named})" if named else text)
    return "; ".join(parts)
