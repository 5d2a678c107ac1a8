"""What each metric measures: one text for the report, the command line and the tests. No torch here.

One module a family of metrics; `CARDS` has all of them by name.
"""

from xaibench.metrics.cards.card import Card
from xaibench.metrics.cards.complexity import COMPLEXITY
from xaibench.metrics.cards.correlation import CORRELATION
from xaibench.metrics.cards.curves import CURVES
from xaibench.metrics.cards.information import INFORMATION
from xaibench.metrics.cards.localization import LOCALIZATION
from xaibench.metrics.cards.masking import MASKING
from xaibench.metrics.cards.precision import PRECISION
from xaibench.metrics.cards.regions import REGIONS
from xaibench.metrics.cards.road import ROAD
from xaibench.metrics.cards.robustness import ROBUSTNESS
from xaibench.metrics.cards.run import RUN
from xaibench.metrics.cards.sanity import SANITY
from xaibench.metrics.cards.timing import TIMING

__all__ = ["CARDS", "Card"]

_FAMILIES = (
    CURVES, REGIONS, ROAD, MASKING, CORRELATION, INFORMATION, ROBUSTNESS, COMPLEXITY, LOCALIZATION, SANITY, TIMING, PRECISION, RUN,
)  # fmt: skip

CARDS: dict[str, Card] = {card.name: card for family in _FAMILIES for card in family}
