"""The claims of Adebayo et al. [1]_, looked for in a run: reproduced or not, with numbers.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arms, spoken
from xaibench.report.sanity.calibration import Bands, calibration_bands
from xaibench.report.sanity.checks import Cascade, find_cascades, interval_of, table_of
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.sanity.similarities import title
from xaibench.report.wording import fixed, p_text
from xaibench.statistics.bounds import is_below
from xaibench.statistics.intervals import N_RESAMPLES, Interval
from xaibench.statistics.paired import holm, images_p

Result = Literal["reproduced", "not reproduced", "undecided", "undefined"]

FALL = "Gradient and Grad-CAM fall with the cascade"
GUIDED = "Guided methods stay more similar than Grad-CAM after the top modules are randomized"
SIGN = "Input × gradient keeps absolute rank correlation while the signed one falls towards 0"
NEAR_ZERO = 0.1
"""A mean correlation within this distance of 0 counts as having fallen towards it."""
TOP_SHARE = 0.25
"""Share of the units, counted from the output, that are the top modules."""

COLUMNS = ["cascade", "claim", "part", "similarity", "result", "quantity", "estimate", "low", "high", "bound", "p",
           "images", "seeds", "numbers"]  # fmt: skip


@dataclass(frozen=True)
class ClaimPart:
    """One claim for one arm: its result and the quantity that decided it.

    Attributes
    ----------
    claim, part : str
        The claim, and the arms for which it is told.
    similarity, quantity : str
        What was measured, and what is compared with `bound`.
    result : str
    interval : Interval
        Of the quantity, over seeds and images crossed.
    bound : float
    p : float
        Of the paired difference over images, Holm-adjusted within the claim; NaN where none was tested.
    numbers : str
        All numbers in words.
    cascade : str
    shape : (int, int)
        Seeds and images.
    """

    claim: str
    part: str
    similarity: str
    quantity: str
    result: Result
    interval: Interval
    bound: float
    numbers: str
    p: float = math.nan
    cascade: str = ""
    shape: tuple[int, int] = (0, 0)
    differences: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False, compare=False)

    @property
    def similarity_title(self) -> str:
        """Its similarity, for people."""
        return title(self.similarity)


def sanity_claims(
    records: pd.DataFrame,
    *,
    rule: SanityRule | None = None,
    layers: Sequence[str] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[ClaimPart]:
    """Look for each claim in every cascade from the output down that has the explainers it is about.

    Parameters
    ----------
    records : DataFrame
    rule : SanityRule, optional
        Its similarity, bound and confidence.
    layers : sequence of str, optional
        From shallow to deep: the last one with a map is the deepest.
    n_resamples, seed : int
        Of the tests of paired differences.
    """
    rule = rule or SanityRule()
    options = {"confidence": rule.confidence, "n_resamples": n_resamples, "seed": seed}
    found: list[ClaimPart] = []
    for cascade in find_cascades(records):
        if cascade.order == "top_down":
            look = _Look(cascade, arms(cascade.rows, layers), rule)
            parts = [*_fall(look), *_guided(look), *_sign(look, calibration_bands(records, cascade))]
            found += [replace(part, cascade=cascade.key) for part in _adjusted(parts, options)]
    return found


def claim_table(parts: Sequence[ClaimPart]) -> pd.DataFrame:
    """One row for each claim and arm."""
    rows = [
        [
            one.cascade, one.claim, one.part, one.similarity, one.result, one.quantity, one.interval.estimate,
            one.interval.low, one.interval.high, one.bound, one.p, one.shape[1], one.shape[0], one.numbers,
        ]
        for one in parts
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True)
class _Look:
    """One cascade, and how to read it."""

    cascade: Cascade
    arms: list[Arm]
    rule: SanityRule

    def values(self, arm: Arm, similarity: str, step: int) -> pd.DataFrame:
        rows = self.cascade.of(arm, similarity)
        return table_of(rows[rows["step"] == step])

    def interval(self, values: pd.DataFrame) -> Interval:
        return interval_of(values, confidence=self.rule.confidence)

    def of(self, explainer: str) -> list[Arm]:
        return [arm for arm in self.arms if arm[0] == explainer]

    @property
    def last(self) -> int:
        return int(self.cascade.rows["step"].max())

    def module(self, step: int) -> str:
        return self.cascade.modules[step]


def _fall(look: _Look) -> Iterator[ClaimPart]:
    similarity, bound = look.rule.similarity, look.rule.first_below
    for arm in (*look.of("gradient"), *look.of("grad_cam")):
        first, last = (look.values(arm, similarity, step) for step in (1, look.last))
        end, start, drop = (look.interval(table) for table in (last, first, last - first))
        numbers = (
            f"{fixed(start.estimate)} after {look.module(1)}, {_text(end)} after {look.module(look.last)}: "
            f"a difference of {_text(drop)}"
        )
        result = _result(is_below(end, bound))
        quantity = f"similarity after {look.module(look.last)}, below the bound"
        yield ClaimPart(
            FALL, spoken(arm), similarity, quantity, result, end, bound, numbers,
            shape=last.shape, differences=(last - first).to_numpy(float),
        )  # fmt: skip


def _guided(look: _Look) -> Iterator[ClaimPart]:
    step = max(1, math.ceil(TOP_SHARE * look.last))
    cams = look.of("grad_cam")
    similarities = dict.fromkeys(["spearman_abs", look.rule.similarity])
    if not cams:
        return
    for similarity in (one for one in similarities if one in look.cascade.similarities):
        for arm in (*look.of("guided_backprop"), *look.of("guided_grad_cam")[-1:]):
            cam = next((one for one in cams if one[1] == arm[1]), cams[-1])
            one, other = (look.values(which, similarity, step) for which in (arm, cam))
            difference = look.interval(one - other)
            numbers = (
                f"after {step} of {look.last} units (the last {look.module(step)}): {_text(look.interval(one))} against "
                f"{_text(look.interval(other))}, a difference of {_text(difference)}"
            )
            result = _result(is_below(_negated(difference), 0.0))
            part = f"{spoken(arm)} against {spoken(cam)}"
            quantity = f"difference after {step} units, above the bound"
            yield ClaimPart(
                GUIDED, part, similarity, quantity, result, difference, 0.0, numbers,
                shape=one.shape, differences=(one - other).to_numpy(float),
            )  # fmt: skip


def _sign(look: _Look, bands: Bands) -> Iterator[ClaimPart]:
    if not {"spearman", "spearman_abs"} <= set(look.cascade.similarities):
        return
    for arm in look.of("input_x_gradient"):
        signed, absolute = (look.values(arm, name, look.last) for name in ("spearman", "spearman_abs"))
        end, difference = look.interval(signed), look.interval(absolute - signed)
        band = bands.get((arm, "spearman_abs", "random_maps"))
        kept = look.interval(absolute)
        chance = band.high if band is not None and band.pairs else 0.0
        of_chance = "the upper end of random pairs" if chance else "0, as there are no random pairs"
        numbers = (
            f"{_text(kept)} at the end, against {fixed(chance)}, {of_chance}; {_text(difference)} above the signed one"
        )
        above = is_below(_negated(kept), -chance)
        yield ClaimPart(
            SIGN, f"{spoken(arm)}, absolute", "spearman_abs", "similarity at the end, above the bound", _result(above),
            kept, chance, numbers, shape=absolute.shape, differences=(absolute - signed).to_numpy(float),
        )  # fmt: skip
        numbers = f"{_text(end)} at the end, within {NEAR_ZERO:g} of 0 if fallen"
        yield ClaimPart(
            SIGN, f"{spoken(arm)}, signed", "spearman", "similarity at the end, within the bound of 0", _near_zero(end),
            end, NEAR_ZERO, numbers, shape=signed.shape,
        )  # fmt: skip


def _adjusted(parts: Sequence[ClaimPart], options: dict[str, Any]) -> Iterator[ClaimPart]:
    """Test the paired differences of each claim together; a difference settles only with its adjusted p."""
    for claim in dict.fromkeys(part.claim for part in parts):
        own = [part for part in parts if part.claim == claim]
        for part, p in zip(
            own,
            holm(
                [images_p(part.differences, n_resamples=options["n_resamples"], seed=options["seed"]) for part in own]
            ),
            strict=True,
        ):
            settled = claim != GUIDED or part.result in ("undecided", "undefined") or p < 1 - options["confidence"]
            numbers = f"{part.numbers} ({p_text(float(p))})" if math.isfinite(p) else part.numbers
            yield replace(part, p=float(p), numbers=numbers, result=part.result if settled else "undecided")


def _result(outcome: str) -> Result:
    results: dict[str, Result] = {"met": "reproduced", "not met": "not reproduced", "undecided": "undecided"}
    return results.get(outcome, "undefined")


def _near_zero(interval: Interval) -> Result:
    if not math.isfinite(interval.estimate):
        return "undefined"
    if interval.low > -NEAR_ZERO and interval.high < NEAR_ZERO:
        return "reproduced"
    return "not reproduced" if interval.low >= NEAR_ZERO or interval.high <= -NEAR_ZERO else "undecided"


def _negated(of: Interval) -> Interval:
    return replace(of, estimate=-of.estimate, low=-of.high, high=-of.low)


def _text(of: Interval) -> str:
    between = f" ({fixed(of.low)} to {fixed(of.high)})" if math.isfinite(of.low) else ""
    return f"{fixed(of.estimate)}{between}"
