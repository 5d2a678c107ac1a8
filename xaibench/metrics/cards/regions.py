"""Curves over regions: segments, patches and cells: the cards."""

from xaibench.metrics.cards.card import Card

REGIONS: tuple[Card, ...] = ()
