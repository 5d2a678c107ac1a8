"""The figures of the sanity checks by file name: what is drawn for each cascade, and for permuted labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from xaibench.report.figures.cascade import cascade_figure
from xaibench.report.figures.data_randomization import data_randomization_figure
from xaibench.report.figures.independent import independent_figure
from xaibench.report.figures.sanity_heatmap import heatmap_figure
from xaibench.report.labels import Arm
from xaibench.report.sanity.calibration import PAIRS, Band, calibration_bands
from xaibench.report.sanity.checks import Cascade, find_cascades
from xaibench.report.sanity.findings import Findings
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.sanity.similarities import ORDERS, title
from xaibench.report.summaries import MeanLine, cascade_lines

STEMS = ("cascade", "independent", "sanity_heatmap", "data_randomization")
"""Beginnings of the file names, so that old ones can be found."""


@dataclass(frozen=True)
class Drawn:
    """A cascade with what its pictures show, arms in the run's order.

    Attributes
    ----------
    cascade : Cascade
    name : str
        "" for the first cascade of its kind (cumulative, independent), ``_`` and its key for further ones.
    panels : mapping of similarity to (mapping of arm to MeanLine)
        Arms with a value anywhere.
    bands : mapping of similarity to (mapping of arm to Band)
    deciding : str
        The rule's similarity where it was measured, else the first.
    """

    cascade: Cascade
    name: str
    panels: Mapping[str, Mapping[Arm, MeanLine]] = field(repr=False)
    bands: Mapping[str, Mapping[Arm, Band]] = field(repr=False)
    deciding: str


def drawn_cascades(records: pd.DataFrame, *, order: Sequence[Arm], rule: SanityRule) -> list[Drawn]:
    """Prepare every cascade that has a value to show."""
    found: list[Drawn] = []
    kind = rule.end if isinstance(rule.end, str) else next(iter(PAIRS))
    for cascade in find_cascades(records):
        lines = {similarity: cascade_lines(cascade, similarity) for similarity in cascade.similarities}
        panels = {name: {arm: own[arm] for arm in order if arm in own} for name, own in lines.items()}
        if not any(line.n_images for own in panels.values() for line in own.values()):
            continue
        bands = calibration_bands(records, cascade, confidence=rule.confidence)
        banded = {
            name: {arm: bands[arm, name, kind] for arm in own if (arm, name, kind) in bands}
            for name, own in panels.items()
        }
        again = any(one.cascade.cumulative == cascade.cumulative for one in found)
        deciding = rule.similarity if rule.similarity in panels else next(iter(panels))
        found.append(Drawn(cascade, f"_{_safe(cascade.key)}" if again else "", panels, banded, deciding))
    return found


def sanity_figures(
    drawn: Sequence[Drawn], findings: Findings, *, labels: Mapping[Arm, str]
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name every figure there is data for, and how to draw it."""
    for one in drawn:
        cascade, modules = one.cascade, one.cascade.modules
        if cascade.cumulative:
            shown = {name: _with_values(lines) for name, lines in one.panels.items()}
            options: dict[str, Any] = {"modules": modules, "labels": labels, "bands": one.bands, "order": cascade.order}
            yield f"cascade{one.name}", partial(cascade_figure, shown, **options)
        else:
            bands = one.bands[one.deciding]
            words: dict[str, Any] = {"labels": labels, "bands": bands, "title": title(one.deciding)}
            yield (
                f"independent{one.name}",
                partial(independent_figure, one.panels[one.deciding], modules=modules, **words),
            )
        both = dict.fromkeys([one.deciding, *(name for name in ("spearman_abs",) if name in one.panels)])
        panels = {f"{cascade.title}: {title(name)}": one.panels[name] for name in both}
        name = "sanity_heatmap" if one is drawn[0] else f"sanity_heatmap_{_safe(cascade.key)}"
        yield name, partial(heatmap_figure, panels, modules=modules, labels=labels, words=ORDERS.get(cascade.order, ""))
    table = findings.tables.get("data_randomization", pd.DataFrame())
    if len(table) and table[["permuted", "control"]].notna().any(axis=None):
        yield "data_randomization", partial(data_randomization_figure, table, labels=labels)


def _with_values(lines: Mapping[Arm, MeanLine]) -> dict[Arm, MeanLine]:
    return {arm: line for arm, line in lines.items() if line.n_images}


def _safe(key: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in key)
