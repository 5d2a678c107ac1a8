"""Does relevance go with the score's change? Correlation and regression: the cards."""

from xaibench.metrics.cards.card import Card

CORRELATION: tuple[Card, ...] = ()
