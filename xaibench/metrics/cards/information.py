"""Curves over the information left in the image: the cards."""

from xaibench.metrics.cards.card import Card

INFORMATION: tuple[Card, ...] = ()
