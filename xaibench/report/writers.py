"""Tables as text: CSV for programs, Markdown for reading. The same table gives the same bytes."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label
from xaibench.report.latex import significance_mark
from xaibench.report.scores import MetricScores
from xaibench.report.wording import UNDEFINED, interval_text, number


def to_csv(table: pd.DataFrame) -> str:
    """Comma-separated, six significant digits, empty where undefined."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_markdown(table: pd.DataFrame) -> str:
    """A pipe table; numbers to the right, three decimals, a dash where undefined."""
    numeric = [pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in table.dtypes]
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return pipe_table([str(name) for name in table.columns], rows, numeric)


def pipe_table(header: Sequence[str], rows: Sequence[Sequence[str]], to_the_right: Sequence[bool]) -> str:
    """Lines of a Markdown table."""
    rule = ["---:" if right else "---" for right in to_the_right]
    lines = [header, rule, *([cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def score_markdown(scores: Sequence[MetricScores], *, confidence: float = 0.95) -> str:
    """All arms in rows, all metrics that rank them in columns; the best set in bold."""
    ranking, order = _ranking(scores)
    header = ["", *(f"{_heading(one)}" for one in ranking)]
    rows = []
    for arm in order:
        cells = [(_score_cell(one, arm), arm in one.best.members) for one in ranking]
        rows.append([arm_label(arm), *(f"**{text}**" if bold else text for text, bold in cells)])
    rows = [[cell.replace("*", r"\*") if not cell.startswith("**") else cell for cell in row] for row in rows]
    return pipe_table(header, rows, [False] * len(header)) + f"\n{_caption(confidence)}\n"


def _ranking(scores: Sequence[MetricScores]) -> tuple[list[MetricScores], list[Arm]]:
    ranking = [one for one in scores if one.higher_is_better is not None]
    return ranking, list(dict.fromkeys(arm for one in ranking for arm in one.arms))


def _heading(scores: MetricScores) -> str:
    return f"{scores.title} {'↑' if scores.higher_is_better else '↓'}"


def _score_cell(scores: MetricScores, arm: Arm) -> str:
    interval = scores.intervals.get(arm)
    if interval is None:
        return UNDEFINED
    p = scores.best.p.get(arm, math.nan)
    mark = significance_mark(p)
    undefined = f" ({interval.n_undefined} undefined)" if interval.n_undefined else ""
    return interval_text(interval.estimate, interval.low, interval.high) + mark + undefined


def _caption(confidence: float) -> str:
    return (
        f"Mean over images [{100 * confidence:g} % interval]. In bold, what cannot be told from the best. "
        "Paired test against the best, Holm-adjusted over all pairs: * p < 0.05, ** p < 0.01, *** p < 0.001. "
        "Undefined values are left out of the mean."
    )


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value) if not value.is_integer() else str(int(value))
    return str(value)
