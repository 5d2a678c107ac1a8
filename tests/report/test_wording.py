import math

import pytest

from xaibench.report.wording import fixed, interval_text, listed, number, p_at_least, p_at_most, p_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8123, "0.812"),
        (0.0, "0.000"),
        (-0.25, "-0.250"),
        (0.00042, "0.00042"),
        (12.3456, "12.346"),
        (1234.0, "1234"),
        (math.nan, "–"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_fixed_has_no_negative_zero():
    assert fixed(-0.001) == "0.00"
    assert fixed(math.nan) == "–"


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "p < 0.001"), (0.001, "p = 0.001"), (0.0121, "p = 0.013"), (0.0496, "p = 0.0496"), (0.0501, "p = 0.0501"),
     (0.211, "p = 0.22"), (1.0, "p = 1.00"), (math.nan, "p unknown")],
)  # fmt: skip
def test_p_is_rounded_up(p, text):
    assert p_text(p) == text


def test_bounds_over_several():
    assert p_at_most([0.001, 0.0121]) == "p ≤ 0.013"
    assert p_at_most([0.02]) == "p = 0.020"
    assert p_at_most([0.0001, 0.0002]) == "p < 0.001"
    assert p_at_least([0.219, 0.5]) == "p ≥ 0.21"
    assert p_at_least([0.219]) == "p = 0.22"
    assert p_at_least([1.0, 1.0]) == "p = 1.00"
    assert p_at_least([math.nan, math.nan]) == "p unknown"


def test_lists_and_intervals():
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert interval_text(0.5, 0.25, 0.75) == "0.500 [0.250, 0.750]"
    assert interval_text(0.5, math.nan, math.nan) == "0.500"
