"""A verdict for each explainer and layer: does the map depend on what the model learned? With interval and bound.

Low similarity is necessary, not sufficient: a random map passes, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms, is_reference
from xaibench.report.sanity.calibration import NO_BAND, PAIRS, Band, calibration_bands
from xaibench.report.sanity.checks import Cascade, find_cascades, interval_of, table_of
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.wording import counted, fixed
from xaibench.statistics.bounds import Outcome, images_to_clear, is_below
from xaibench.statistics.intervals import Interval
from xaibench.statistics.sample_size import SampleSize

FEW_PAIRS = 40
"""Pairs below which the 97.5 % quantile is little but the largest of them."""

DEPENDS = "depends on what was learned"
IN_PART = "depends in part on what was learned"
DOES_NOT = "does not depend on what was learned"
NOT_SHOWN = "is not shown to depend on what was learned"
UNDECIDED = "undecided"
UNDEFINED = "undefined"

COLUMNS = [
    "cascade", "explainer", "layer", "arm", "verdict", "similarity", "first_module", "first", "first_low",
    "first_high", "first_bound", "first_condition", "end", "end_low", "end_high", "end_bound", "end_condition",
    "band_low", "band_high", "pairs", "images", "seeds", "what_it_would_take", "note",
]  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """One half of the rule: whether the mean similarity is below its bound.

    Attributes
    ----------
    where : str
        ``after fc`` or ``at the end``.
    interval : Interval
    bound : float
    outcome : str
        ``met``, ``not met``, ``undecided`` or ``undefined``.
    needed : SampleSize
        Where undecided: images at which the interval would clear the bound, if the estimate is the true mean.
    reason : str
        Why it is undefined.
    """

    where: str
    interval: Interval
    bound: float
    outcome: Outcome
    needed: SampleSize
    reason: str = ""


@dataclass(frozen=True)
class SanityVerdict:
    """What the rule says of one arm in one cascade, and what that rests on.

    Attributes
    ----------
    cascade, module : str
        Key of the cascade, and the unit randomized first.
    arm : (str, str)
    similarity : str
    first, end : Condition
    band : Band
        Of the calibration pairs that bound the end; empty where a number does.
    images, seeds : int
    """

    cascade: str
    module: str
    arm: Arm
    similarity: str
    first: Condition
    end: Condition
    band: Band
    images: int
    seeds: int

    @property
    def outcome(self) -> Literal["passes", "fails", "undecided", "undefined"]:
        """``passes`` where both conditions are met, ``fails`` where one is not, else ``undefined`` or ``undecided``."""
        outcomes = {self.first.outcome, self.end.outcome}
        if outcomes == {"met"}:
            return "passes"
        if "not met" in outcomes:
            return "fails"
        return "undefined" if "undefined" in outcomes else "undecided"

    @property
    def words(self) -> str:
        """The verdict, no stronger than the conditions that were met."""
        if self.outcome != "fails":
            return {"passes": DEPENDS, "undecided": UNDECIDED, "undefined": UNDEFINED}[self.outcome]
        outcomes = {self.first.outcome, self.end.outcome}
        return DOES_NOT if outcomes == {"not met"} else IN_PART if "met" in outcomes else NOT_SHOWN

    @property
    def to_change(self) -> str:
        """What it would take for another verdict."""
        conditions = [self.first, self.end]
        if self.outcome == "passes":
            return ", or ".join(_until(one) for one in conditions)
        if self.outcome == "fails":
            return "; and ".join(_must_fall(one) for one in conditions if one.outcome == "not met")
        parts = [_what_would_settle(one, self.images) for one in conditions if one.outcome != "met"]
        return "; ".join(parts)

    @property
    def note(self) -> str:
        """What to know before believing it."""
        notes = [self.end.interval.note] if self.end.interval.n else []
        if 0 < self.band.pairs < FEW_PAIRS:
            notes.append(f"the band rests on {counted(self.band.pairs, 'pair')} only")
        if self.end.interval.high < self.band.low:
            notes.append("below the band: the maps turn into opposites, which unrelated maps do not")
        if is_reference(self.arm) and self.outcome == "passes":
            notes.append("ignores the model: low similarity is necessary, not sufficient")
        return "; ".join(note for note in notes if note)


def sanity_verdicts(
    records: pd.DataFrame,
    *,
    rule: SanityRule | None = None,
    layers: Sequence[str] | None = None,
) -> list[SanityVerdict]:
    """Apply the rule to every arm of every cascade that goes from the output down.

    Parameters
    ----------
    records : DataFrame
    rule : SanityRule, optional
        The default one where not given.
    layers : sequence of str, optional
        From shallow to deep, for the order.
    """
    rule = rule or SanityRule()
    found = []
    for cascade in find_cascades(records):
        if cascade.order == "top_down":
            bands = calibration_bands(records, cascade, confidence=rule.confidence)
            for arm in arms(cascade.rows, layers):
                band = bands.get((arm, rule.similarity, str(rule.end)), NO_BAND)
                found.append(_verdict(cascade, arm, rule, band))
    return found


def verdict_table(verdicts: Sequence[SanityVerdict]) -> pd.DataFrame:
    """One row a verdict, with all its numbers."""
    rows = [
        [
            one.cascade, *one.arm, arm_label(one.arm), one.words, one.similarity, one.module, *_numbers(one.first),
            *_numbers(one.end), one.band.low, one.band.high, one.band.pairs, one.images, one.seeds, one.to_change,
            one.note,
        ]
        for one in verdicts
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _verdict(cascade: Cascade, arm: Arm, rule: SanityRule, band: Band) -> SanityVerdict:
    rows = cascade.of(arm, rule.similarity)
    rows = rows[rows["step"] > 0]
    steps = sorted(rows["step"].unique())
    first, last = (rows[rows["step"] == step] for step in (steps[0], steps[-1])) if steps else (rows, rows)
    module = str(first["module"].iloc[0]) if len(first) else ""
    if isinstance(rule.end, str):
        bound, why = band.high, f"there are no pairs of {PAIRS[rule.end]} to tell chance by"
        why = f"all {band.n_undefined} pairs of {PAIRS[rule.end]} are undefined" if band.n_undefined else why
    else:
        bound, why = float(rule.end), ""
    missing = "" if len(rows) else f"{rule.similarity} was not measured"
    return SanityVerdict(
        cascade.key, module, arm, rule.similarity,
        _condition(f"after {module}" if module else "after the first unit", first, rule.first_below, missing, rule),
        _condition("at the end", last, bound, missing or why, rule),
        band, rows["image"].nunique(), rows["seed"].nunique(),
    )  # fmt: skip


def _condition(where: str, rows: pd.DataFrame, bound: float, why: str, rule: SanityRule) -> Condition:
    table = table_of(rows)
    interval = interval_of(table, confidence=rule.confidence)
    outcome = is_below(interval, bound)
    if outcome == "undefined" and len(rows) and not interval.n:
        reasons = [reason for reason in dict.fromkeys(rows["reason"]) if reason]
        why = f"none of the {len(rows)} values is defined ({reasons[0] if reasons else 'no reason recorded'})"
    needed = SampleSize(math.nan)
    if outcome == "undecided":
        needed = images_to_clear(table.to_numpy(float), bound, confidence=rule.confidence)
    return Condition(where, interval, bound, outcome, needed, why if outcome == "undefined" else "")


def _until(of: Condition) -> str:
    return f"a bound {of.where} of {fixed(of.interval.high)} or lower (now {fixed(of.bound)})"


def _must_fall(of: Condition) -> str:
    return (
        f"{of.where}, a mean below {fixed(of.bound)} (now {fixed(of.interval.estimate)}) or a bound above "
        f"{fixed(of.interval.high)}"
    )


def _what_would_settle(of: Condition, images: int) -> str:
    if of.outcome == "undefined":
        return f"{of.where}: {of.reason}"
    if math.isfinite(of.needed.n):
        side = "above" if of.interval.estimate >= of.bound else "below"
        return f"{of.where}: about {of.needed.n:,.0f} images (of {images} now), if {fixed(of.interval.estimate)} is the truth, would settle it {side} {fixed(of.bound)}"  # noqa: E501
    return f"{of.where}: {of.needed.reason}"


def _numbers(of: Condition) -> list[object]:
    return [of.interval.estimate, of.interval.low, of.interval.high, of.bound, of.outcome]
