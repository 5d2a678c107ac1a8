"""What a comparison of runs says, in words no stronger than its tests."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from xaibench.records.merge import Merged
from xaibench.report.answer import Answer
from xaibench.report.compare.classes import class_sentences
from xaibench.report.compare.repeats import disagreeing
from xaibench.report.compare.scores import NOT_TESTED, ComparedMetric
from xaibench.report.compare.times import FASTER, OTHER, SLOWER
from xaibench.report.labels import spoken
from xaibench.report.wording import counted, listed, lowered, number, p_at_least, p_at_most, p_text

FIRST = ("insertion", "deletion")
"""Metrics told of first."""


def compare_words(
    merged: Merged,
    compared: Sequence[ComparedMetric],
    repeats: pd.DataFrame,
    times: pd.DataFrame,
    *,
    threshold: float,
) -> Answer:
    """Say how the runs were put together, what differs between them, what is best, and what became slower."""
    ranked = sorted(
        (one for one in compared if one.scores.higher_is_better is not None),
        key=lambda one: FIRST.index(one.scores.metric) if one.scores.metric in FIRST else len(FIRST),
    )
    differences = [found for one in ranked if (found := difference_sentence(one))]
    best = [found for one in ranked if (found := best_sentence(one))]
    agreement = list(_agreement(repeats))
    timing = list(time_sentences(times, threshold=threshold))
    marked = timing[:1] if times["mark"].isin([SLOWER, FASTER]).any() else []
    leading = [*marked, *differences[:2]] or agreement[:1] or best[:2] or timing[:1]
    headline = " ".join(leading[:2]) or "The runs share no score and no time."
    rest = [
        *_put_together(merged),
        *class_sentences(merged),
        *differences,
        *agreement,
        *best,
        *timing,
        *_left_out(merged),
    ]
    return Answer(headline, [one for one in dict.fromkeys(rest) if one not in leading[:2]])


def difference_sentence(one: ComparedMetric) -> str:
    """Which arms differ between set-ups by a metric, and which cannot be told apart; "" where none was tested."""
    table = one.differences
    tested = table[table["p_adjusted"].notna()]
    by = f"By {lowered(one.scores.title)}"
    if tested.empty:
        same = table[table["note"] == NOT_TESTED]
        return f"{by}, nothing that differs between the runs bears on the arms that they share." if len(same) else ""
    below = tested["p_adjusted"] < one.scores.alpha
    settled, open_ = tested[below], tested[~below]
    parts = [_settled(one, row) for _, row in settled.iterrows()]
    if len(parts) > 4:
        parts = [*parts[:3], f"and so on ({len(settled)} of {len(tested)} differences are settled, see the table)"]
    if len(open_):
        parts.append(_open(one, open_, len(tested)))
    return f"{by}, {'; '.join(parts)}."


def best_sentence(one: ComparedMetric) -> str:
    """The best of all arms of all set-ups, and what cannot be told from it."""
    best: Any = one.scores.best
    if best.best is None:
        return f"By {lowered(one.scores.title)}, no best can be named: {best.note}."
    used = one.scores.values[[entry for entry, interval in one.scores.intervals.items() if interval.n]].dropna()
    mean = number(float(used[best.best].mean()))
    others = [entry for entry in best.members if entry != best.best]
    if not best.p:
        return ""  # the only one there is
    text = f"By {lowered(one.scores.title)}, {_named(one, best.best)} has the best mean of all, {mean}"
    text += f" ({counted(best.n, 'image')})"
    beaten = [p for entry, p in best.p.items() if entry not in best.members]
    if not others:
        return f"{text}: it beats all {len(beaten)} others (adjusted {p_at_most(beaten)})." if beaten else f"{text}."
    listing = listed([_named(one, entry) for entry in others]) if len(others) <= 4 else f"{len(others)} others"
    clause = f"cannot be told from {listing} ({p_at_least([best.p[entry] for entry in others])})"
    return f"{text}, but {clause}" + (f"; it beats the other {len(beaten)}." if beaten else ".")


def time_sentences(times: pd.DataFrame, *, threshold: float) -> Iterator[str]:
    """What became slower or faster, run by run; or that the conditions differ."""
    for (first, run), rows in times.groupby(["first", "run"], sort=False):
        slower, faster = rows[rows["mark"] == SLOWER], rows[rows["mark"] == FASTER]
        other = rows[rows["mark"] == OTHER]
        percent = f"{100 * threshold:g} %"
        for word, marked, most in (("longer", slower, -1), ("shorter", faster, 0)):
            if len(marked):
                row = marked.sort_values("ratio", kind="stable").iloc[most]
                yield (
                    f"{len(marked)} of {counted(len(rows), 'time')} {'is' if len(marked) == 1 else 'are'} {word} in {run} than in "
                    f"{first}, as measured by over {percent}, most of all {row['time']}: {_times(row['ratio'])} times as long "
                    f"(95 % interval {_times(row['low'])} to {_times(row['high'])})."
                )
        if len(other):
            what = "All" if len(other) == len(rows) else f"{len(other)} of {len(rows)}"
            yield (
                f"{what} times of {run} were taken under other conditions than those of {first} ({_conditions(other)}): they stand "
                "side by side, and are no regression."
            )
        if not len(slower) and not len(faster) and not len(other):
            yield f"No time of {run} is settled to differ from {first} by more than {percent} ({len(rows)} compared)."


def _settled(one: ComparedMetric, row: pd.Series) -> str:
    ahead = (row["difference"] > 0) == bool(one.scores.higher_is_better)
    better, worse = (row["first"], row["second"]) if ahead else (row["second"], row["first"])
    size = number(abs(row["difference"]))
    low, high = sorted((abs(row["low"]), abs(row["high"]))) if row["low"] * row["high"] > 0 else (math.nan, math.nan)
    between = f", 95 % interval {number(low)} to {number(high)}" if math.isfinite(low) else ""
    return (
        f"{spoken(one.arm_of[row['arm']])} is better in {better} than in {worse} "
        f"(by {size}{between}; {counted(int(row['n']), 'image')}, adjusted {p_text(row['p_adjusted'])})"
    )


def _open(one: ComparedMetric, rows: pd.DataFrame, tested: int) -> str:
    p = p_at_least(list(rows["p_adjusted"]))
    if len(rows) == tested:
        runs = listed(list(dict.fromkeys([*rows["first"], *rows["second"]])))
        return f"no difference between {runs} is settled ({counted(len(rows), 'arm')} compared, adjusted {p})"
    arms = list(dict.fromkeys(spoken(one.arm_of[arm]) for arm in rows["arm"]))
    names = listed(arms) if len(arms) <= 4 else counted(len(arms), "other arm")
    return f"for {names}, no difference is settled (adjusted {p})"


def _agreement(repeats: pd.DataFrame) -> Iterator[str]:
    for (first, second, kind), rows in repeats.groupby(["first", "second", "kind"], sort=False):
        total, equal = int(rows["values"].sum()), int(rows["equal"].sum())
        worst = rows.sort_values("largest_difference", na_position="first", kind="stable").iloc[-1]
        most = (
            f"the largest difference is {number(worst['largest_difference'])}, in {worst['metric'].replace('_', ' ')}"
        )
        if kind == "seed":
            moved = int(rows["beyond_rounding"].sum())
            same = f"{moved} of {total} values move beyond rounding; {most}" if moved else f"all {total} values agree"
            yield f"{first} and {second} are one set-up with other seeds; where both measured the same, {same}."
        elif len(bad := disagreeing(rows)):
            count = int(bad["beyond_rounding"].sum())
            yield (
                f"{first} and {second} repeat one another, but {count} of {total} values differ beyond rounding: "
                f"{most} ({worst['where']}). The values of {first} are used."
            )
        else:
            same = "to the last bit" if equal == total else f"within rounding; {most}"
            yield f"{first} and {second} repeat one another: all {total} values agree {same}."


def _put_together(merged: Merged) -> Iterator[str]:
    for label, group in zip(merged.set_up_labels, merged.set_ups, strict=True):
        if len(group) > 1:
            seeds = len(merged.draws(group))
            images = {merged[run].settings.get("data.seed") for run in group}
            how = [f"{seeds} seeds, a second level beside the images"] if seeds > 1 else []
            how += ["other images, pooled"] if len(images) > 1 else []
            yield f"{listed(group)} are runs of one set-up{f': {listed(how)}' if how else ''}." if label else ""
    early = [run.label for run in merged.runs if (run.run.get("stopping") or {}).get("stopped_early")]
    if early:
        yield (
            f"{listed(early)} stopped early, once the question was settled: p-values, best sets and intervals are for a number "
            "of images fixed beforehand, and look surer than they are."
        )
    unfinished = [run.label for run in merged.runs if not run.finished]
    if unfinished:
        verb = "is" if len(unfinished) == 1 else "are"
        yield f"{listed(unfinished)} {verb} unfinished: what is there was compared."


def _left_out(merged: Merged) -> Iterator[str]:
    for (run, why), rows in merged.left_out.groupby(["run", "why"], sort=False):
        names = [str(name).replace("_", " ") for name in rows["what"]]
        yield f"Left out of {run}: {listed(names) if len(names) <= 6 else counted(len(names), 'metric')} ({why})."


def _named(one: ComparedMetric, entry: Any) -> str:
    set_up, arm = entry
    return f"{spoken(one.arm_of[arm])} in {set_up}" if set_up else spoken(one.arm_of[arm])


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _conditions(rows: pd.DataFrame) -> str:
    found = list(dict.fromkeys(rows["conditions"]))
    return found[0] if len(found) == 1 else f"{found[0]}; and others"
