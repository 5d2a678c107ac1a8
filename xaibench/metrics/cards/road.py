"""Remove and debias: curves with imputed pixels: the cards."""

from xaibench.metrics.cards.card import Card

ROAD: tuple[Card, ...] = ()
