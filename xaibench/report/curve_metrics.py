"""Which metrics of a run have curves to show, and what their axes are called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xaibench.report.conventions import SCORE_WORDS
from xaibench.report.labels import Arm, higher_is_better
from xaibench.report.summaries import MeanLine
from xaibench.report.tables import Tables

_FIRST = ("insertion", "deletion")
_CHANGED = {"insertion": "inserted", "deletion": "removed"}
_DIRECTIONS = {True: ": higher is better", False: ": lower is better", None: ""}


@dataclass(frozen=True)
class MeanCurves:
    """A metric's mean curves and the words around them.

    Attributes
    ----------
    metric, title : str
        Name in the records, and in words with its direction.
    x_label, y_label : str
        What the axes show.
    lines : mapping of arm to MeanLine
        Not empty.
    higher_is_better : bool or None
    """

    metric: str
    title: str
    x_label: str
    y_label: str
    lines: Mapping[Arm, MeanLine]
    higher_is_better: bool | None


def curve_metrics(tables: Tables) -> list[MeanCurves]:
    """Metrics of one perturbation curve, insertion and deletion first; of a metric and its variations the base alone."""
    ranked = {one.metric: one for one in tables.ranking}
    names = sorted(ranked, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    found = []
    for name in names:
        row = ranked[name].rows.iloc[0]
        if not _has_curve(ranked[name].rows):
            continue
        settings = json.loads(row["settings"] or "{}")
        lines = tables.mean_curves(name)
        if lines:
            better = higher_is_better(name, row["settings"])
            title = f"{ranked[name].title}{_DIRECTIONS[better]}"
            changed = _CHANGED.get(settings.get("direction") or name, "changed")
            unit = "regions" if settings.get("regions", "pixels") != "pixels" else "pixels"
            score = SCORE_WORDS.get(settings.get("score", ""), "score of the target class")
            found.append(MeanCurves(name, title, f"fraction of {unit} {changed}", score, lines, better))
    return found


def _has_curve(rows: pd.DataFrame) -> bool:
    return any(isinstance(curve, tuple | list | np.ndarray) and len(curve) > 1 for curve in rows["curve_y"])
