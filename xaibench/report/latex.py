"""Tables for papers: LaTeX that needs the package ``booktabs`` and nothing else, with intervals and significance marks."""

import math
from collections.abc import Sequence

from xaibench.report.labels import Arm, arm_label
from xaibench.report.sanity.similarities import title
from xaibench.report.sanity.verdicts import SanityVerdict
from xaibench.report.scores import MetricScores
from xaibench.report.wording import UNDEFINED, fixed, interval_text, number
from xaibench.statistics.intervals import Interval

MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
"""Significance marks: the first whose level is above p."""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "→": r"$\rightarrow$", "×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$", "<": "$<$", ">": "$>$", "|": "$|$", "−": "$-$",
    "≤": r"$\leq$", "≥": r"$\geq$", "²": r"$^2$", "α": r"$\alpha$", "τ": r"$\tau$", "∞": r"$\infty$", '"': "''",
}  # fmt: skip
"""Characters that LaTeX reads as something else, or that its classic fonts do not have."""


def latex(text: str) -> str:
    """Text with LaTeX's own characters escaped; arrows, comparisons and a number's minus as mathematics."""
    parts = []
    for place, character in enumerate(text):
        minus = character == "-" and _before_a_number(text, place)
        parts.append("$-$" if minus else _LATEX.get(character, character))
    return "".join(parts)


def latex_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str, columns: str | None = None
) -> str:
    """A floating table, its caption above it.

    Parameters
    ----------
    header : sequence of str
        LaTeX, as the cells are; `caption` is plain text.
    rows : sequence of sequence of str
        As many cells in each as in the header.
    caption, label : str
    columns : str, optional
        Alignment of each column, such as ``lrr``; all to the left where not given.
    """
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{latex(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns or 'l' * len(header)}}}",
        r"\toprule",
        _row(header),
        r"\midrule",
        *(_row(row) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def score_latex(scores: Sequence[MetricScores], *, confidence: float = 0.95) -> str:
    """All arms in rows, all metrics that rank them in columns; the best set in bold."""
    ranking = [one for one in scores if one.higher_is_better is not None]
    order = list(dict.fromkeys(arm for one in ranking for arm in one.arms))
    header = ["", *(latex(f"{one.title} {'↑' if one.higher_is_better else '↓'}") for one in ranking)]
    rows = [[latex(arm_label(arm)), *(_score(one, arm) for one in ranking)] for arm in order]
    caption = (
        f"Mean over images [{100 * confidence:g} % interval]. In bold, what cannot be told from the best. {_marks_words()} "
        "Undefined values are left out of the mean."
    )
    return latex_table(header, rows, caption=caption, label="tab:scores")


def comparison_latex(scores: Sequence[MetricScores], *, confidence: float = 0.95) -> str:
    """For each metric that ranks arms, a table of what the best one is compared with; "" where nothing is compared."""
    return "\n".join(_comparisons(one, confidence) for one in scores if one.best.best is not None and len(one.arms) > 1)


def verdict_latex(verdicts: Sequence[SanityVerdict], *, confidence: float = 0.95) -> str:
    """Verdicts of the sanity checks with the two means and bounds that they rest on; "" where there are none."""
    if not verdicts:
        return ""
    header = ["Randomization", "Arm", "After the first unit", "Bound", "At the end", "Bound", "Verdict"]
    rows = [
        [
            latex(one.cascade.replace("_", " ")), latex(arm_label(one.arm)), _similarity(one.first.interval),
            latex(fixed(one.first.bound)), _similarity(one.end.interval), latex(fixed(one.end.bound)),
            latex(one.words),
        ]
        for one in verdicts
    ]  # fmt: skip
    caption = (
        f"Does the map depend on what the model learned? {title(verdicts[0].similarity)} with the trained model's map "
        f"[{100 * confidence:g} % interval over images and seeds] and the bound that it must stay below. Low similarity is "
        "necessary, not sufficient."
    )
    return latex_table(header, rows, caption=caption, label="tab:sanity", columns="lllrlrl")


def significance_mark(p: float) -> str:
    """``***`` for p below 0.001, ``**`` below 0.01, ``*`` below 0.05, else nothing."""
    return next((mark for level, mark in MARKS if p < level), "")


def _comparisons(scores: MetricScores, confidence: float) -> str:
    best = scores.best.best
    header = ["Against", "Difference", "Superiority", "$p$", "$n$", "Images for 80\\% power"]
    rows = []
    for row in scores.comparisons.to_dict("records"):
        first, second, p = row["first"], row["second"], row["p_adjusted"]
        if best not in (first, second):
            continue
        sign, other = (1, second) if first == best else (-1, first)
        low, high = (row["low"], row["high"]) if sign > 0 else (-row["high"], -row["low"])
        share = row["superiority"] if sign > 0 else 1 - row["superiority"]
        chance = "$<$0.001" if p < 0.001 else latex(number(p))
        difference = latex(interval_text(sign * row["difference"], low, high)) + _mark(p)
        needed = f"{row['images_80']:,.0f}" if math.isfinite(row["images_80"]) else latex(UNDEFINED)
        rows.append([latex(arm_label(other)), difference, latex(number(share)), chance, str(row["n"]), needed])
    name = arm_label(best) if isinstance(best, tuple) else str(best)
    caption = (
        f"{scores.title}: {name}, the best mean, against all others: difference of means "
        f"[{100 * confidence:g} % interval], share of images on which it is the better one, and p. {_marks_words()}"
    )
    return latex_table(header, rows, caption=caption, label=f"tab:comparisons-{_safe(scores)}", columns="llrrrr")


def _score(scores: MetricScores, arm: Arm) -> str:
    interval = scores.intervals.get(arm)
    if interval is None:
        return latex(UNDEFINED)
    undefined = f" ({interval.n_undefined} undefined)" if interval.n_undefined else ""
    text = latex(interval_text(interval.estimate, interval.low, interval.high))
    text += _mark(scores.best.p.get(arm, math.nan)) + undefined
    return rf"\textbf{{{text}}}" if arm in scores.best.members else text


def _similarity(interval: Interval) -> str:
    if not math.isfinite(interval.estimate):
        return latex(UNDEFINED)
    ends = f" [{fixed(interval.low)}, {fixed(interval.high)}]" if math.isfinite(interval.low) else ""
    return latex(fixed(interval.estimate) + ends)


def _mark(p: float) -> str:
    mark = significance_mark(p)
    return f"$^{{{mark}}}$" if mark else ""


def _marks_words() -> str:
    words = ", ".join(f"{mark} p < {level:g}" for level, mark in reversed(MARKS))
    return f"Paired test against the best, Holm-adjusted over all pairs: {words}."


def _row(cells: Sequence[str]) -> str:
    first = "{}" if cells[0].startswith(("[", "*")) else ""  # after the \\ of the row above, these would be its options
    return first + " & ".join(cells) + r" \\"


def _before_a_number(text: str, place: int) -> bool:
    """Whether a hyphen is a number's sign: a digit after it, and no word or number before it."""
    return text[place + 1 : place + 2].isdigit() and (place == 0 or text[place - 1] in " [(,")


def _safe(scores: MetricScores) -> str:
    return "-".join(part.replace("_", "-") for part in (scores.metric, scores.variant) if part)
