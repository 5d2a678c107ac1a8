import gc

import pytest
from fake_time import FakeClock

from xaibench.timing.laps import Laps, Work
from xaibench.timing.schedule import is_warm, repeat_interleaved


@pytest.mark.parametrize(
    ("durations", "warm"),
    [
        ([], False),
        ([10.0, 10.0], False),  # too few to tell
        ([10.0, 10.0, 10.0], True),
        ([30.0, 10.0, 10.0], False),  # two runs, both faster than all before
        ([30.0, 10.0, 10.0, 10.0], True),
        ([30.0, 10.0, 9.4, 10.0], False),  # 6 % faster still
        ([30.0, 10.0, 9.6, 10.0], True),  # 4 %
        ([10.0, 40.0, 40.0], True),  # slowed down by something else
    ],
)
def test_warm_means_no_longer_getting_faster(durations, warm):
    assert is_warm(durations) is warm


def ladder(clock: FakeClock, name: str, durations: list[float], log: list[str]) -> Work:
    """Work whose runs take the given times, then the last one for ever."""

    def run(laps: Laps) -> None:
        log.append(name)
        laps.start()
        clock.advance(durations.pop(0) if len(durations) > 1 else durations[0])
        laps.end("a")
        clock.advance(1)
        laps.end("b")

    return Work(name, ("a", "b"), run)


def test_warm_up_goes_on_until_the_slowest_learner_is_warm_and_is_not_counted():
    clock, log = FakeClock(), []
    works = [ladder(clock, "x", [5], log), ladder(clock, "y", [80, 40, 20, 10], log)]
    x, y = repeat_interleaved(works, clock, repeats=2, warmup=10, max_seconds=60.0)
    assert y.warmup_ms == [81, 41, 21, 11, 11, 11]
    assert x.warmup_ms == [6] * 6
    assert y.milliseconds == {"a": [10, 10], "b": [1, 1]}
    assert x.positions == [0, 3]
    assert y.positions == [1, 2]
    assert log == ["x", "y"] * 6 + ["x", "y", "y", "x"]


def test_warm_up_is_bounded_by_rounds_and_by_half_of_the_time():
    clock, log = FakeClock(), []
    (never,) = repeat_interleaved(
        [ladder(clock, "z", [2.0**-n for n in range(100)], log)], clock, repeats=1, warmup=4, max_seconds=60.0
    )
    assert len(never.warmup_ms) == 4
    assert not never.warm
    (slow,) = repeat_interleaved([ladder(clock, "z", [99], log)], clock, repeats=9, warmup=50, max_seconds=0.5)
    assert len(slow.warmup_ms) == 3  # 300 ms: over the half, and just warm
    assert len(slow.positions) == 2  # 400 ms, 500 ms: the next would begin after the limit


def test_garbage_collection_waits_and_is_switched_on_again_after_an_error():
    states = []

    def run(laps: Laps) -> None:
        states.append(gc.isenabled())
        raise ArithmeticError

    assert gc.isenabled()
    with pytest.raises(ArithmeticError):
        repeat_interleaved([Work("", ("a",), run)], FakeClock(), repeats=1, warmup=0, max_seconds=1.0)
    assert states == [False]
    assert gc.isenabled()


def test_work_that_reports_other_phases_than_announced_is_refused():
    work = Work("w", ("a", "c"), ladder(FakeClock(), "w", [1], []).run)
    with pytest.raises(RuntimeError, match="reported the phases"):
        repeat_interleaved([work], FakeClock(), repeats=1, warmup=0, max_seconds=1.0)
