"""How far single images agree on the order of the arms, in a sentence no stronger than its intervals."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from xaibench.report.scores import MetricScores
from xaibench.report.wording import capital, counted, fixed, lowered


def image_agreement_sentence(leading: Sequence[MetricScores], reliability: pd.DataFrame) -> str:
    """What Krippendorff's alpha of ranks says by each of some metrics; "" where it is undefined by all of them.

    Parameters
    ----------
    leading : sequence of MetricScores
        The metrics to tell of.
    reliability : DataFrame
        See `xaibench.report.estimates.reliabilities`.
    """
    rows = {(row["metric"], row["variant"]): row for row in reliability.to_dict("records")}
    known = [(one, rows[one.metric, one.variant]) for one in leading if (one.metric, one.variant) in rows]
    clauses = [_clause(one, row) for one, row in known if math.isfinite(row["alpha_ordinal"])]
    if not clauses:
        return ""
    scale = "1: all alike, 0: as if dealt at random; references among the maps"
    scale = scale if any(one.references for one, _ in known) else scale.split(";")[0]
    return f"Do single images order the maps alike (Krippendorff's alpha of ranks; {scale})? {capital('; '.join(clauses))}."


def _clause(scores: MetricScores, row: Mapping[Hashable, Any]) -> str:
    alpha, low, high = (row[f"alpha_ordinal{end}"] for end in ("", "_low", "_high"))
    interval = f", {100 * scores.confidence:g} % interval {fixed(low)} to {fixed(high)}" if math.isfinite(low) else ""
    if low > 0:
        said = "they agree more than by chance"
    elif high < 0:
        said = "they agree less than by chance"
    else:
        said = "they are not shown to agree"
    images = counted(int(row["n_images"]), "image")
    return f"by {lowered(scores.title)}, {said} ({fixed(alpha)}{interval}; {images})"
