import math
import re

import pytest
from synthetic_records import ARMS, synthetic_records

from xaibench.report.latex import comparison_latex, latex, latex_table, score_latex, significance_mark, verdict_latex
from xaibench.report.sanity.verdicts import sanity_verdicts
from xaibench.report.scores import analyse


@pytest.fixture(scope="module")
def scores():
    return [one for one in analyse(synthetic_records(), n_resamples=499) if one.higher_is_better is not None]


@pytest.fixture(scope="module")
def verdicts():
    return sanity_verdicts(synthetic_records(6))


def _check(text):
    """What LaTeX demands: groups and environments closed in their order, every row with the columns announced."""
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    outside = re.sub(r"\\label\{[^}]*\}", "", re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", text))
    assert not re.search(r"(?<!\\)[_#%^~]|[<>|]", outside)
    assert outside.isascii()
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        assert re.findall(r"\\(toprule|midrule|bottomrule)", body) == [
            "toprule",
            "midrule",
            "bottomrule",
        ]
        rows = [row for row in body.splitlines() if row.endswith(r"\\")]
        assert all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)
        assert not any(row.startswith(("[", "*")) for row in rows)


def test_scores_name_every_arm_and_set_the_best_in_bold(scores):
    text = score_latex(scores)
    _check(text)
    for part in (
        r"grad\_cam @ layer4.2 &",
        r"Deletion $\downarrow$",
        r"\textbf{0.",
        r"95 \%",
        r"\label{tab:scores}",
        "$^{*}$",
    ):
        assert part in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert body.count(r"\\") == len(ARMS)
    assert "1 undefined" in text


def test_comparisons_tell_of_the_best_arm_whichever_came_first(scores):
    text = comparison_latex(scores)
    _check(text)
    deletion = next(one for one in scores if one.metric == "deletion")
    table = text[: text.index(r"\end{table}")]
    assert r"\label{tab:comparisons-deletion}" in table
    rows = [row for row in table.splitlines() if row.endswith(r"\\")][1:]
    assert len(rows) == len(ARMS) - 1
    for row in rows:  # a lower deletion score is better, so all differences of the best mean are negative
        assert row.split(" & ")[1].startswith("$-$0.")
    random = next(row for row in rows if row.startswith("random &"))
    means = {arm: deletion.intervals[arm].estimate for arm in (deletion.best.best, ("random", ""))}
    expected = means[deletion.best.best] - means["random", ""]
    assert float(random.split(" & ")[1].replace("$-$", "-").split()[0]) == pytest.approx(expected, abs=5e-4)
    assert float(random.split(" & ")[2]) == 1.0


def test_verdicts_stand_beside_their_bounds(verdicts):
    text = verdict_latex(verdicts)
    _check(text)
    assert r"\label{tab:sanity}" in text
    assert verdict_latex([]) == ""
    for one in verdicts:
        assert latex(one.words) in text


def test_no_ranking_no_comparison():
    assert comparison_latex([]) == ""


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        (r"a_b & 5% #1 {x} ~ ^ \ $", r"a\_b \& 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$"),
        ("-0.5 [-0.7, -0.3]", "$-$0.5 [$-$0.7, $-$0.3]"),
        ("1e-06 top-down 3-4", "1e-06 top-down 3-4"),
        ("p < 0.05 | a > b", "p $<$ 0.05 $|$ a $>$ b"),
        ("input × gradient ↑ –", r"input $\times$ gradient $\uparrow$ --"),
    ],
)
def test_every_character_that_latex_reads_as_its_own_is_escaped(plain, escaped):
    assert latex(plain) == escaped


def test_a_cell_is_no_option_of_the_row_above():
    text = latex_table(["[a]", "b"], [["[0, 1]", "2"], ["*", "3"]], caption="of 5 %", label="tab:x", columns="lr")
    _check(text)
    assert "{}[0, 1] & 2" in text


def test_marks():
    assert [significance_mark(p) for p in (0.0009, 0.009, 0.049, 0.05, math.nan)] == ["***", "**", "*", "", ""]
