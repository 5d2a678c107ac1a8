"""Runs of one set-up on the same images: how far their values agree."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from xaibench.records.merge import Merged
from xaibench.report.compare.scores import ComparedMetric
from xaibench.report.labels import arm_label

REPEAT_COLUMNS = [
    "metric", "variant", "first", "second", "kind", "values", "equal", "beyond_rounding", "largest_difference", "where",
]  # fmt: skip
ROUNDING = 1e-3
"""Most by which a value may move between machines, relative to the larger of 1 and the value."""


def repeats_table(merged: Merged, compared: Sequence[ComparedMetric], *, rounding: float = ROUNDING) -> pd.DataFrame:
    """One row a metric and pair of runs that are of one set-up and share images.

    Parameters
    ----------
    merged : Merged
    compared : sequence of ComparedMetric
    rounding : float
        See `ROUNDING`. A value that is defined in one of the runs alone is beyond it.

    Returns
    -------
    DataFrame
        `kind` is ``repeat`` for the same seeds, where all values should agree, and ``seed`` for another one, where the
        difference shows what the seed does; `where` is the image and the arm of the largest difference.
    """
    rows = []
    for one in compared:
        for group in merged.set_ups:
            for first, second in combinations([run for run in group if run in one.runs], 2):
                kind = "repeat" if merged[first].same_draw(merged[second]) else "seed"
                found = _agreement(one.runs[first], one.runs[second], rounding)
                if found:
                    rows.append([one.scores.metric, one.scores.variant, first, second, kind, *found])
    return pd.DataFrame(rows, columns=REPEAT_COLUMNS)


def disagreeing(repeats: pd.DataFrame) -> pd.DataFrame:
    """Rows of repetitions whose values differ beyond rounding."""
    return repeats[(repeats["kind"] == "repeat") & (repeats["beyond_rounding"] > 0)]


def _agreement(first: pd.DataFrame, second: pd.DataFrame, rounding: float) -> list[Any]:
    cells = list(_shared(first, second))
    if not cells:
        return []
    a, b = (np.array([cell[side] for cell in cells], dtype=float) for side in (1, 2))
    both_undefined = np.isnan(a) & np.isnan(b)
    gap = np.where(both_undefined, 0.0, np.abs(a - b))
    allowed = rounding * np.fmax(1.0, np.fmax(np.abs(a), np.abs(b)))
    beyond = int(np.sum(np.isnan(gap) | (gap > allowed)))
    if np.isnan(gap).all():
        return [len(cells), 0, beyond, np.nan, ""]
    place = int(np.nanargmax(gap))
    where = cells[place][0] if gap[place] > 0 else ""
    return [len(cells), int((gap == 0).sum()), beyond, float(gap[place]), where]


def _shared(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[tuple[str, float, float]]:
    images = [image for image in first.index if image in second.index]
    for arm in list[Any](first.columns):
        if arm in second.columns:
            pairs = zip(first[arm].reindex(images), second[arm].reindex(images), strict=True)
            for image, (one, other) in zip(images, pairs, strict=True):
                where = f"{image}, {arm_label(arm)}" if arm != ("", "") else str(image)
                yield where, float(one), float(other)
