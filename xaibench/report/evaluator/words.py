"""What the evaluator-sensitivity matrix says: tables of it, and sentences no stronger than its intervals."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from xaibench.report.evaluator.sensitivity import Moved, Sensitivity
from xaibench.report.labels import Arm, arm_label, spoken
from xaibench.report.wording import capital, counted, fixed, listed
from xaibench.statistics.intervals import FEW

COLUMNS = [
    "base", "metric", "choice", "value", "against", "recomputed", "tau", "tau_low", "tau_high", "tau_candidates",
    "largest_move", "moved", "best", "best_changes", "best_changes_low", "best_changes_high", "settled_swaps",
    "n_images", "n_dropped", "n_arms",
]  # fmt: skip
RANK_COLUMNS = ["base", "metric", "choice", "value", "against", "explainer", "layer", "arm", "mean", "rank", "move"]

Choice = tuple[str, str]


def sensitivity_tables(found: Sequence[Sensitivity]) -> dict[str, pd.DataFrame]:
    """Both tables by name; none where nothing was varied."""
    return {"evaluator_sensitivity": sensitivity_table(found), "evaluator_ranks": rank_table(found)} if found else {}


def sensitivity_table(found: Sequence[Sensitivity]) -> pd.DataFrame:
    """One row a variation: how far it moves the ranking, and whom."""
    rows = [[*_keys(one, row), *_movement(one, row)] for one in found for row in one.rows]
    return pd.DataFrame(rows, columns=COLUMNS)


def rank_table(found: Sequence[Sensitivity]) -> pd.DataFrame:
    """One row a variation and arm: its mean score, its rank, and how many ranks it gained."""
    rows = [
        [*_keys(one, row)[:5], *arm, arm_label(arm), row.means[arm], row.ranks[arm], row.moves.get(arm, math.nan)]
        for one in found
        for row in one.rows
        for arm in one.arms
    ]
    return pd.DataFrame(rows, columns=RANK_COLUMNS)


def _keys(of: Sensitivity, row: Moved) -> list[Any]:
    one = row.variation
    return [of.base, one.metric, one.choice, one.value, against(of, row), one.recomputed]


def _movement(of: Sensitivity, row: Moved) -> list[Any]:
    moved, size = largest_move(row)
    best = [arm_label(arm) for arm in of.arms if row.ranks[arm] == min(row.ranks.values())]
    swaps = [f"{arm_label(better)} > {arm_label(worse)}" for better, worse in row.swaps]
    changes = row.best_changes if row.moves else None
    return [
        row.tau.estimate, row.tau.low, row.tau.high, row.tau_candidates, size if row.moves else math.nan,
        ", ".join(map(arm_label, moved)), ", ".join(best),
        *((changes.estimate, changes.low, changes.high) if changes else (math.nan,) * 3), "; ".join(swaps),
        of.n_images, of.n_dropped, len(of.arms),
    ]  # fmt: skip


def against(of: Sensitivity, row: Moved) -> str:
    """What a variation is held against, in words: the base's name, or what differs from the base."""
    return row.variation.context or ("" if row is of.rows[0] else of.base)


def largest_move(row: Moved) -> tuple[list[Arm], float]:
    """Who moves most, and by how many ranks; nobody by 0."""
    size = max(map(abs, row.moves.values()), default=0.0)
    return [arm for arm, move in row.moves.items() if size and abs(move) == size], size


def sensitivity_sentences(found: Sequence[Sensitivity]) -> list[str]:
    """Say which choice moves the ranking most, which move nothing, and which orders are turned over for sure."""
    several = len(found) > 1
    return [
        f"{one.base}: {sentence}" if several else sentence
        for one in found
        for sentence in (*_most(one), *_still(one), _settled(one))
    ]


def _most(of: Sensitivity) -> list[str]:
    """Which choice brings tau lowest; only said of more than this sample where the bootstrap says so."""
    least = _least(of)
    known = {choice: row for choice, row in least.items() if math.isfinite(row.tau.estimate)}
    if not known or min(row.tau.estimate for row in known.values()) >= 1 - 1e-9:
        return []
    lowest = min(row.tau.estimate for row in known.values())
    tied = [choice for choice, row in known.items() if math.isclose(row.tau.estimate, lowest)]
    rows = [known[choice] for choice in tied]
    example = f"Kendall's tau with {_held_against(of, rows[0])} falls to {_tau(rows[0])} with {_quoted(rows[0])}"
    if len(tied) > 1:
        return [f"In this sample {_choices(tied)} move the ranking equally far: {example}."]
    share = of.first[tied[0]]
    if share >= of.confidence and of.n_images >= FEW:
        return [f"{capital(_the(tied[0]))} moves the ranking most: {example}."]
    why = (
        f"it does so alone in {100 * share:.0f} % of the samples drawn anew from these images"
        if of.n_images >= FEW
        else f"{counted(of.n_images, 'image')} are too few to tell"
    )
    return [f"In this sample {_the(tied[0])} moves the ranking most: {example}. That is open: {why}."]


def _still(of: Sensitivity) -> list[str]:
    """Choices that leave the order of all arms as it is, in every draw or in this sample only."""
    still = {
        choice: rows
        for choice, rows in of.by_choice().items()
        if all(math.isclose(row.tau.estimate, 1.0) for row in rows)
    }
    sure = [choice for choice, rows in still.items() if all(math.isclose(row.tau.low, 1.0) for row in rows)]
    sure = sure if of.n_images >= FEW else []
    open_ = {choice: rows for choice, rows in still.items() if choice not in sure}
    said = []
    if sure:
        verb = "moves" if len(sure) == 1 else "move"
        said.append(f"{capital(_choices(sure))} {verb} nothing, in this sample or any drawn anew from its images.")
    if open_:
        low = min(row.tau.low for rows in open_.values() for row in rows)
        verb = "leaves" if len(open_) == 1 else "leave"
        bound = f" (tau down to {fixed(low)} in the interval)" if math.isfinite(low) else ""
        said.append(f"{capital(_choices(list(open_)))} {verb} this sample's ranking as it is{bound}.")
    return said


def _settled(of: Sensitivity) -> str:
    rows = [row for row in of.rows if row.swaps]
    n_images = counted(of.n_images, "image")
    if not rows:
        return (
            f"On {n_images} no choice turns over an order of two arms that is settled both with and without it (sign-flip "
            "test over all pairs of arms and all metrics together)."
        )
    first = max(rows, key=lambda row: len(row.swaps))
    better, worse = first.swaps[0]
    more = len(first.swaps) - 1
    rest = f", and {counted(more, 'pair')} of arms more" if more else ""
    others = [_quoted(row) for row in rows if row is not first]
    also = f" {capital(listed(others))} {'does' if len(others) == 1 else 'do'} so to some pair, too." if others else ""
    return (
        f"On {n_images} {_quoted(first)} turns over a settled order: {spoken(better)} beats {spoken(worse)} with it and "
        f"loses without it{rest} (sign-flip test over all pairs of arms and all metrics together).{also}"
    )


def _least(of: Sensitivity) -> dict[Choice, Moved]:
    """Of each choice the variation with the least tau."""
    return {
        choice: min(rows, key=lambda row: row.tau.estimate if math.isfinite(row.tau.estimate) else math.inf)
        for choice, rows in of.by_choice().items()
    }


def _tau(row: Moved) -> str:
    return f"{fixed(row.tau.estimate)} [{fixed(row.tau.low)}, {fixed(row.tau.high)}]"


def _quoted(row: Moved) -> str:
    return f"“{row.variation.label}”"


def _held_against(of: Sensitivity, row: Moved) -> str:
    return f"that of “{row.variation.context}”" if row.variation.context else f"the ranking by {of.base}"


def _choices(choices: Sequence[Choice]) -> str:
    return listed([_the(choice) for choice in choices])


def _the(choice: Choice) -> str:
    context, name = choice
    words = {
        "area": "area rule",
        "ties": "order of equal pixels",
        "steps": "number of steps",
        "rectify": "rectification",
    }
    said = words.get(name, name.replace("_", " "))
    return f"the {said}" + (f" under “{context}”" if context else "")
