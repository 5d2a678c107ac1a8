"""The verdicts of the sanity checks as sentences of the answer."""

import math
from collections.abc import Sequence

import pandas as pd

from xaibench.report.labels import is_reference, spoken
from xaibench.report.sanity.findings import Findings
from xaibench.report.sanity.similarities import spoken_similarity
from xaibench.report.sanity.verdicts import (
    DEPENDS,
    DOES_NOT,
    IN_PART,
    NOT_SHOWN,
    UNDECIDED,
    SanityVerdict,
)
from xaibench.report.wording import capital, counted, fixed, listed

NOT_CHECKED = "Whether the maps depend on what the model learned was not checked."
NOTHING = "Whether the maps depend on what the model learned is undefined: no similarity could be computed."


def sanity_sentences(table: pd.DataFrame, findings: Findings) -> list[str]:
    """Say what was found; one or two sentences.

    Parameters
    ----------
    table : DataFrame
        From `sanity`.
    findings : Findings
        Verdicts in the order in which to name the arms.

    Returns
    -------
    list of str
        The verdicts of the first cascade; where none could be reached, the similarities at the end.
    """
    if table.empty:
        return [NOT_CHECKED]
    cascade = findings.verdicts[0].cascade if findings.verdicts else None
    own = [one for one in findings.verdicts if one.cascade == cascade]
    candidates = [one for one in own if not is_reference(one.arm)]
    if any(one.outcome != "undefined" for one in candidates):
        return [_verdicts(candidates), *_needed(candidates), *_references(own)][:2]
    return [_ends(table)]


def _verdicts(of: Sequence[SanityVerdict]) -> str:
    by_words: dict[str, list[SanityVerdict]] = {}
    for one in of:
        by_words.setdefault(one.words, []).append(one)
    plural = {
        DEPENDS: "depend on what was learned",
        DOES_NOT: "do not depend on what was learned",
        IN_PART: "depend in part on what was learned",
        NOT_SHOWN: "are not shown to depend on what was learned",
    }
    parts = []
    for words, own in by_words.items():
        names = listed(_named(own, of))
        if words in plural:
            parts.append(f"the maps of {names} {plural[words]}")
        else:
            parts.append(f"{names} {'is' if len(own) == 1 else 'are'} {words}")
    one = of[0]
    return capital(
        f"{'; '.join(parts)} (by the rule that the page states: {spoken_similarity(one.similarity)} after the first and after all "
        f"randomized units; {counted(one.images, 'image')}, {counted(one.seeds, 'seed')})."
    )


def _needed(of: Sequence[SanityVerdict]) -> list[str]:
    undecided = [
        (condition.needed.n, one)
        for one in of
        if one.words == UNDECIDED
        for condition in (one.first, one.end)
        if math.isfinite(condition.needed.n)
    ]
    if not undecided:
        return []
    n, one = max(undecided, key=lambda pair: pair[0])
    name = _named([one], of)[0]
    return [f"About {n:,.0f} images would decide the sanity check of {name}, if what was seen is the truth."]


def _references(of: Sequence[SanityVerdict]) -> list[str]:
    passing = [one.arm[0] for one in of if is_reference(one.arm) and one.outcome == "passes"]
    if not passing:
        return []
    verb = "passes" if len(passing) == 1 else "pass"
    return [
        f"Passing is necessary, not sufficient: {listed(passing)}{'' if len(passing) > 1 else ', which ignores the model,'} {verb}, too."
    ]


def _named(own: Sequence[SanityVerdict], of: Sequence[SanityVerdict]) -> list[str]:
    """Name explainers once, with the layers that share the verdict."""
    names = []
    for explainer in dict.fromkeys(one.arm[0] for one in own):
        layers = [one.arm[1] for one in own if one.arm[0] == explainer and one.arm[1]]
        every = len(layers) > 1 and len(layers) == sum(one.arm[0] == explainer for one in of)
        title = spoken((explainer, ""))
        names.append(
            f"{title} at all {len(layers)} layers" if every else f"{title} at {listed(layers)}" if layers else title
        )
    return names


def _ends(table: pd.DataFrame) -> str:
    """Say how similar maps are at the end, where no rule could be applied."""
    rows = [row for row in table.to_dict("records") if row["cascade"] == table["cascade"].iloc[0]]
    rows = [row for row in rows if row["variant"] == rows[0]["variant"]]
    known = [row for row in rows if math.isfinite(row["end"])]
    measured = [row for row in known if not is_reference((row["explainer"], row["layer"]))]
    if not measured:
        return NOTHING
    steps, seeds, images = (max(row[column] for row in measured) for column in ("steps", "seeds", "images"))
    ends = [f"{fixed(row['end'])}{_between(row)} at {_place(row)}" for row in measured]
    similarity = spoken_similarity(measured[0]["variant"])
    if measured[0]["order"] == "independent":
        return f"{counted(steps, 'unit')} were each randomized alone; the tables have the {similarity} after each."
    return (
        f"With all {counted(steps, 'unit')} randomized ({counted(images, 'image')}, {counted(seeds, 'seed')}), the "
        f"{similarity} with the trained model's map is {listed(ends)}{_reading(measured)}{_compared(known)}."
    )


def _reading(measured: Sequence[dict]) -> str:
    """A correlation has a natural zero, an SSIM has none: only a reference tells what it is for unrelated maps."""
    if not measured[0]["variant"].startswith("spearman"):
        return ""
    kept = [_place(row) for row in measured if row["end_low"] > 0]
    if not kept:
        return "; no interval lies above 0, the value of unrelated maps"
    return f"; above 0, the value of unrelated maps, at {listed(kept)}, as if that part of a map were not learned"


def _compared(known: Sequence[dict]) -> str:
    references = [row for row in known if is_reference((row["explainer"], row["layer"]))]
    values = [f"{fixed(row['end'])} of the reference {row['explainer']}" for row in references]
    return f"; compare {listed(values)}" if values else ""


def _between(row: dict) -> str:
    low, high = row["end_low"], row["end_high"]
    return f" ({fixed(low)} to {fixed(high)})" if math.isfinite(low) and math.isfinite(high) else ""


def _place(row: dict) -> str:
    return str(row["layer"] or row["explainer"])
