import math

import pytest

from xaibench.timing.derived import hook_milliseconds, phases_to_whole
from xaibench.timing.phases import PhaseTiming
from xaibench.timing.vocabulary import EXPLANATION_PATH


def row(phase: str, *milliseconds: float, layer: str = "a") -> PhaseTiming:
    return PhaseTiming(layer, phase, milliseconds, 1.0, 0.0, "", "", "", 1, (), 0)


def test_phases_are_added_up_round_by_round():
    path = [row(phase, 1.0, 10.0 * place, 0.0) for place, phase in enumerate(EXPLANATION_PATH)]
    rows = [row("inference", 3.0, 3.0, 3.0, layer=""), row("explanation", 4.0, 100.0, 0.0), *path]
    found = phases_to_whole(rows)
    assert list(found) == ["a"]
    # the second round was slow as a whole; the third took no time that the clock could see
    assert found["a"][:2] == (5 / 4, 1.0)
    assert math.isnan(found["a"][2])


def test_hooks_are_the_difference_in_the_same_round():
    rows = [row("forward_with_hooks", 5.0, 90.0, 4.0), row("forward_without_hooks", 4.5, 89.5, 4.25)]
    assert hook_milliseconds(rows) == {"a": pytest.approx((0.5, 0.5, -0.25))}


def test_what_lacks_a_part_is_left_out():
    assert phases_to_whole([row("explanation", 1.0), row("reduce", 1.0)]) == {}
    assert hook_milliseconds([row("forward_with_hooks", 1.0)]) == {}
