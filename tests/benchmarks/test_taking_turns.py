import time
from types import SimpleNamespace

import pytest
from taking_turns import in_turn


def test_the_order_turns_round_and_ratios_are_those_within_a_round(monkeypatch):
    now, called = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def taking(name, *seconds):
        def run(i):
            called.append(name + str(i))
            now[0] += seconds[i]

        return run

    benchmark = SimpleNamespace(extra_info={})
    contenders = {"one": taking("a", 1, 10, 100), "other": taking("b", 2, 30, 400)}
    in_turn(benchmark, "one", contenders, rounds=3, targets={"other": "at most 2"})
    assert called == ["a0", "b0", "b1", "a1", "a2", "b2"]
    known = benchmark.extra_info
    assert known["seconds"] == {"one": [1, 10, 100], "other": [2, 30, 400]}
    assert known["ratios"] == {"one": 1.0, "other": 3.0}
    assert known["ratio_quartiles"]["other"] == pytest.approx([2.5, 3.5])
    assert known["targets"] == {"other": "at most 2"}
