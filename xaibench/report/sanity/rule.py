"""The rule by which a run says whether a map depends on what the model learned; stated, and set in run.json."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from xaibench.names import unknown
from xaibench.report.sanity.calibration import PAIRS
from xaibench.report.sanity.similarities import title


@dataclass(frozen=True)
class SanityRule:
    """When an explanation passes the cascading randomization, from the output down.

    Adebayo et al. give no threshold; this one is ours. It asks for a mean similarity below `first_below` after the
    first randomized unit, and at the end, with all units randomized, for one no higher than unrelated maps have.

    Attributes
    ----------
    similarity : str
        The similarity that decides.
    first_below : float
        Bound after the first randomized unit.
    end : str or float
        Bound at the end: ``random_maps`` or ``other_images``, the upper quantile of the arm's own calibration pairs;
        or a number.
    confidence : float
        Of the intervals, and the share of calibration pairs within their band.
    """

    similarity: str = "spearman"
    first_below: float = 0.5
    end: str | float = "random_maps"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if isinstance(self.end, str) and self.end not in PAIRS:
            raise unknown("end of the verdict", self.end, [*PAIRS, "or a number"])
        for name in (
            ("first_below", "confidence") if isinstance(self.end, str) else ("first_below", "confidence", "end")
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"verdict.{name} is a number; got {value!r}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"verdict.confidence is a share between 0 and 1, such as 0.95; got {self.confidence}")

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> "SanityRule":
        """Read the rule from the key ``verdict`` of a run's settings; the defaults where there is none."""
        given = dict((settings or {}).get("verdict") or {})
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("key of the verdict", name, known)
        return cls(**given)

    def sentence(self) -> str:
        """State the rule for people."""
        end = (
            f"{self.end:g}" if not isinstance(self.end, str) else f"the {100 * self._quantile():g} % quantile of pairs"
        )
        of = "" if not isinstance(self.end, str) else f" of {PAIRS[self.end]} of the same arm"
        return (
            f"A map passes when its mean similarity ({title(self.similarity)}) with the trained model's map is below "
            f"{self.first_below:g} after the first randomized unit, and below {end}{of} once all units are randomized; "
            f"a condition is settled when its {100 * self.confidence:g} % interval over seeds and images clears the bound."
        )

    def _quantile(self) -> float:
        return (1 + self.confidence) / 2
