"""Tables as text: CSV for programs, Markdown for reading, LaTeX for papers. The same table gives the same bytes."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label
from xaibench.report.scores import MetricScores
from xaibench.report.wording import UNDEFINED, interval_text, number

_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
}  # fmt: skip


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


def score_latex(scores: Sequence[MetricScores], *, confidence: float = 0.95) -> str:
    """`score_markdown` as a LaTeX table; it needs the package ``booktabs``."""
    ranking, order = _ranking(scores)
    cells = {latex(_heading(one)): [latex(_score_cell(one, arm)) for arm in order] for one in ranking}
    bold = {
        latex(_heading(one)): ["textbf:--rwrap;" if arm in one.best.members else "" for arm in order] for one in ranking
    }
    index = pd.Index([latex(arm_label(arm)) for arm in order], dtype=object)
    table = pd.DataFrame(cells, index=index, dtype=object)
    styler = table.style.apply(lambda _: pd.DataFrame(bold, index=index, dtype=object), axis=None)
    return styler.to_latex(
        hrules=True, column_format="l" * (1 + len(ranking)), caption=latex(_caption(confidence)), position="t",
        position_float="centering", label="tab:scores",
    )  # fmt: skip


def latex(text: str) -> str:
    """Text with LaTeX's own characters escaped, arrows as mathematics."""
    return "".join(_LATEX.get(character, character) for character in text)


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
    mark = next((sign for level, sign in _MARKS if p < level), "")
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
