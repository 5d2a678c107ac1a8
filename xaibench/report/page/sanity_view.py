"""The section of the page on what maps owe to what the model learned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xaibench.report.figures.sanity_checks import Drawn
from xaibench.report.labels import Arm, is_reference
from xaibench.report.page.charts import LineChart, line_chart
from xaibench.report.page.sanity_charts import BarChart, HeatChart, PairChart, bar_charts, heat_chart, pair_chart
from xaibench.report.sanity.claims import ClaimPart
from xaibench.report.sanity.findings import Findings
from xaibench.report.sanity.similarities import ORDERS, title
from xaibench.report.sanity.verdicts import Condition, SanityVerdict
from xaibench.report.wording import UNDEFINED, fixed


@dataclass(frozen=True)
class VerdictRow:
    """One verdict in words; `mark` names its style."""

    arm: str
    verdict: str
    mark: str
    first: str
    first_met: str
    end: str
    end_met: str
    band: str
    to_change: str
    note: str
    reference: bool


@dataclass(frozen=True)
class CascadeView:
    """One cascade's charts: lines of each similarity, or bars of each arm, and the heatmap.

    `curves` holds (identifier, chart, undefined values).
    """

    title: str
    words: str
    curves: list[tuple[str, LineChart, int]]
    bars: list[BarChart]
    heat: HeatChart


@dataclass(frozen=True)
class SanityView:
    """What the section shows.

    `verdicts` by cascade; `claims` by (cascade, claim).
    """

    rule: str
    verdicts: dict[str, list[VerdictRow]]
    claims: dict[str, list[ClaimPart]]
    cascades: list[CascadeView]
    data: list[PairChart]


def sanity_view(
    drawn: Sequence[Drawn], findings: Findings, *, labels: Mapping[Arm, str], numbers: Mapping[Arm, int]
) -> SanityView:
    """Lay out the section; its lists are empty where the run has no such check."""
    verdicts: dict[str, list[VerdictRow]] = {}
    for one in findings.verdicts:
        verdicts.setdefault(one.cascade.replace("_", " "), []).append(_verdict_row(one, labels))
    several = len({part.cascade for part in findings.claims}) > 1
    claims: dict[str, list[ClaimPart]] = {}
    for part in findings.claims:
        where = f" ({part.cascade.replace('_', ' ')})" if several else ""
        claims.setdefault(part.claim + where, []).append(part)
    cascades = [_cascade_view(place, one, labels, numbers) for place, one in enumerate(drawn)]
    data = list(_pairs(findings.tables.get("data_randomization", pd.DataFrame()), labels))
    return SanityView(findings.rule.sentence(), verdicts, claims, cascades, data)


def _verdict_row(of: SanityVerdict, labels: Mapping[Arm, str]) -> VerdictRow:
    band = f"{fixed(of.band.low)} to {fixed(of.band.high)}" if of.band.pairs else UNDEFINED
    return VerdictRow(
        labels[of.arm], of.words, of.outcome, _estimate(of.first), of.first.outcome,
        _estimate(of.end), of.end.outcome, band, of.to_change, of.note,
        is_reference(of.arm),
    )  # fmt: skip


def _estimate(of: Condition) -> str:
    low, high = (fixed(end) for end in (of.interval.low, of.interval.high))
    between = "" if low == UNDEFINED else f" [{low}, {high}]"
    return f"{fixed(of.interval.estimate)}{between}"


def _cascade_view(place: int, drawn: Drawn, labels: Mapping[Arm, str], numbers: Mapping[Arm, int]) -> CascadeView:
    cascade = drawn.cascade
    deciding = drawn.panels[drawn.deciding]
    name = f"{cascade.title}: {title(drawn.deciding)}"
    heat = heat_chart(deciding, modules=cascade.modules, labels=labels, title=name)
    curves, bars = list(_curves(place, drawn, labels, numbers)) if cascade.cumulative else [], []
    if not cascade.cumulative:
        bands = drawn.bands[drawn.deciding]
        bars = bar_charts(deciding, modules=cascade.modules, numbers=numbers, labels=labels, bands=bands)
    return CascadeView(cascade.title, ORDERS.get(cascade.order, cascade.order), curves, bars, heat)


def _curves(
    place: int, drawn: Drawn, labels: Mapping[Arm, str], numbers: Mapping[Arm, int]
) -> Iterator[tuple[str, LineChart, int]]:
    names = [module or "trained" for module in drawn.cascade.modules]
    for similarity, every in drawn.panels.items():
        lines = {arm: line for arm, line in every.items() if line.n_images}
        if lines:
            found = drawn.bands[similarity]
            bands = {arm: (found[arm].low, found[arm].high) for arm in lines if arm in found and found[arm].pairs}
            words: dict[str, Any] = {"title": title(similarity), "x_label": "randomized last"}
            chart = line_chart(
                lines, numbers=numbers, labels=labels, y_label="similarity", names=names, ranges=bands, **words
            )
            yield f"cascade-{place}-{similarity}", chart, sum(line.n_undefined for line in every.values())


def _pairs(table: pd.DataFrame, labels: Mapping[Arm, str]) -> Iterator[PairChart]:
    for variant, rows in table.groupby("variant", sort=False) if len(table) else ():
        yield pair_chart(rows, labels=labels, title=title(str(variant)))
