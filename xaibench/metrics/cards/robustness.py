"""How the map changes with the image: the cards."""

from xaibench.metrics.cards.card import Card

ROBUSTNESS: tuple[Card, ...] = ()
