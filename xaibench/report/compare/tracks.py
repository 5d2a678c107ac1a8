"""Rows with a dot and its interval on a common axis, placed in percent: what the page of a comparison draws."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.ticker import MaxNLocator

from xaibench.report.compare.scores import ComparedMetric
from xaibench.report.compare.times import FASTER, OTHER, SLOWER
from xaibench.report.labels import Arm, arm_label
from xaibench.report.wording import interval_text, number

ROWS_OF_TIMES = 60
_CLASSES = {SLOWER: "slower", FASTER: "faster", OTHER: "other", "": ""}


@dataclass(frozen=True)
class Track:
    """One row: its name, what stands behind it, and places in percent, NaN where there is none.

    `kind` names a style: ``arm-3``, ``best``, ``slower``; `words` say the same to who does not see it.
    """

    name: str
    text: str
    words: str
    kind: str
    x: float
    low: float
    high: float
    begins: bool = False


@dataclass(frozen=True)
class TrackChart:
    """Rows on one axis; `band` and `line` mark what is within a threshold, and where nothing differs."""

    title: str
    note: str
    rows: list[Track]
    ticks: list[tuple[float, str]]
    band: tuple[float, float] | None = None
    line: float | None = None


def score_track(
    one: ComparedMetric, *, runs: Sequence[str], numbers: Mapping[Arm, int], labels: Mapping[Arm, str]
) -> TrackChart | None:
    """A row for each arm in each run, in the arm's colour; None where no value is defined.

    Filled is what belongs to the best set: a run of its own, or the arm in all runs where they are one set-up.
    """
    entries = [(run, arm) for arm in labels for run in runs if (run, arm_label(arm)) in one.means]
    found = [(run, arm, one.means[run, arm_label(arm)]) for run, arm in entries]
    found = [(run, arm, interval) for run, arm, interval in found if math.isfinite(interval.estimate)]
    ends = [end for _, _, i in found for end in (i.low, i.estimate, i.high) if math.isfinite(end)]
    if not ends:
        return None
    marks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(
        min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1
    )
    low, high = float(marks[0]), float(marks[-1])

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2) if math.isfinite(value) else math.nan

    rows, last = [], None
    for run, arm, interval in found:
        best = one.is_best(run, arm)
        words = f"{interval_text(interval.estimate, interval.low, interval.high)}{', in the best set' if best else ''}"
        kind = f"arm-{numbers[arm]}{' best' if best else ''}"
        name = f"{labels[arm]} · {run}"
        rows.append(
            Track(name, number(interval.estimate), words, kind, place(interval.estimate), place(interval.low),
                  place(interval.high), begins=arm != last)
        )  # fmt: skip
        last = arm
    note = "higher is better →" if one.scores.higher_is_better else "← lower is better"
    return TrackChart(
        one.scores.title, note, rows, [(place(float(tick)), f"{round(float(tick), 10):g}") for tick in marks]
    )


def ratio_tracks(times: pd.DataFrame, *, threshold: float) -> list[TrackChart]:
    """One chart a run: the ratios that are farthest from 1, in the order of the table, on a logarithmic axis."""
    charts = []
    for (first, run), rows in times[times["ratio"].notna()].groupby(["first", "run"], sort=False):
        far = rows["ratio"].map(lambda ratio: abs(math.log(ratio))).sort_values(ascending=False, kind="stable")
        shown = rows.loc[sorted(far.index[:ROWS_OF_TIMES])]
        hidden = len(rows) - len(shown)
        note = f"{hidden} times nearer to those of the first run stand in the table only" if hidden else ""
        charts.append(_ratio_track(f"{run} against {first}", note, shown, threshold))
    return charts


def _ratio_track(title: str, note: str, rows: pd.DataFrame, threshold: float) -> TrackChart:
    band = (1 / (1 + threshold), 1 + threshold)
    ends = [*rows["ratio"], *rows["low"].dropna(), *rows["high"].dropna(), *band]
    low, high = math.log(min(ends) / 1.05), math.log(max(ends) * 1.05)

    def place(ratio: float) -> float:
        return (
            round(100 * (math.log(ratio) - low) / (high - low), 2) if math.isfinite(ratio) and ratio > 0 else math.nan
        )

    every = (0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50)
    ticks = [(place(tick), f"{tick:g}") for tick in every if low < math.log(tick) < high]
    placed = [
        Track(
            str(row["time"]),
            interval_text(row["ratio"], row["low"], row["high"], decimals=2),
            f"{number(row['first_ms'])} → {number(row['ms'])} ms" + (f", {row['mark']}" if row["mark"] else ""),
            _CLASSES[row["mark"]],
            place(row["ratio"]),
            place(row["low"]),
            place(row["high"]),
        )
        for _, row in rows.iterrows()
    ]
    return TrackChart(title, note, placed, _spaced(ticks), (place(band[0]), place(band[1])), place(1.0))


def _spaced(ticks: list[tuple[float, str]], gap: float = 12.0) -> list[tuple[float, str]]:
    """Ticks that leave room for their words; 1 is always among them."""
    kept = [tick for tick in ticks if tick[1] == "1"]
    for tick in ticks:
        if all(abs(tick[0] - other[0]) >= gap for other in kept):
            kept.append(tick)
    return sorted(kept)
