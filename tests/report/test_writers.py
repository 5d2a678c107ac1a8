import math
import re

import pandas as pd
import pytest
from synthetic_records import ARMS, synthetic_records

from xaibench.report.scores import analyse
from xaibench.report.writers import score_markdown, to_csv, to_markdown


@pytest.fixture(scope="module")
def scores():
    return analyse(synthetic_records(), n_resamples=999)


def test_csv_has_six_digits_and_empty_cells():
    table = pd.DataFrame({"name": ["a,b", "c"], "value": [1 / 3, math.nan], "n": [3, 4]})
    assert to_csv(table) == 'name,value,n\n"a,b",0.333333,3\nc,,4\n'


def test_markdown_escapes_pipes_and_aligns_numbers():
    table = pd.DataFrame({"name": ["a|b"], "value": [0.5], "n": [340.0], "best": [True], "none": [math.nan]})
    assert to_markdown(table).splitlines() == [
        "| name | value | n | best | none |",
        "| --- | ---: | ---: | --- | ---: |",
        r"| a\|b | 0.500 | 340 | yes | – |",
    ]


def test_score_markdown_sets_the_best_set_in_bold(scores):
    lines = score_markdown(scores).splitlines()
    header = [cell.strip() for cell in lines[0].split("|")]
    assert "Deletion ↓" in header
    assert "Insertion ↑" in header
    assert "Confidence" not in lines[0]
    column = header.index("Deletion ↓")
    cells = {line.split("|")[1].strip(): line.split("|")[column].strip() for line in lines[2 : 2 + len(ARMS)]}
    assert {arm for arm, cell in cells.items() if cell.startswith("**")} == {
        "grad_cam @ layer3.5",
        "grad_cam @ layer4.2",
    }
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]\\\*", cells["random"])
    assert "1 undefined" in score_markdown(scores)
