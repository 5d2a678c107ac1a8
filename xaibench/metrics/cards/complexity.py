"""How simple the map is: the cards."""

from xaibench.metrics.cards.card import Card

COMPLEXITY: tuple[Card, ...] = ()
