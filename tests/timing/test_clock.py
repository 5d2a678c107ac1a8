import time

import pytest
import torch

from xaibench.timing.clock import CpuClock, clock_for, coarseness


def test_the_cpu_clock_measures_a_known_wait():
    clock = clock_for("cpu")
    start = clock.mark()
    time.sleep(0.02)
    assert 20 <= clock.milliseconds(start, clock.mark()) < 2000


def test_its_own_cost_and_grain_are_known_and_small():
    clock = CpuClock()
    assert 0 < clock.resolution_ms < 0.01
    assert 0 < clock.overhead_ms < 0.01


def test_coarseness_begins_at_a_hundred_ticks():
    clock = CpuClock()
    clock.resolution_ms = 0.25
    assert coarseness(25.0, clock) == ""
    assert "24.9 ms is under 100 times the resolution of time.perf_counter_ns, 0.25 ms" in coarseness(24.9, clock)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_asked_for_and_absent():
    with pytest.raises(ValueError, match=r"'cuda:0' was asked for.*sees 0 CUDA devices here; use device=cpu"):
        clock_for("cuda:0")


def test_a_device_without_a_clock():
    with pytest.raises(ValueError, match="expected cpu or cuda, got 'meta'"):
        clock_for("meta")


def test_a_cuda_clock_stamps_the_device_s_queue_and_waits_for_it(monkeypatch):
    """Against a queue that only counts: events are read after the device has caught up, never before."""
    queue = {"time": 0.0, "done": 0.0}

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: object) -> None:
            assert stream == "stream of cuda:0"
            self.at = queue["time"]

        def elapsed_time(self, end: "Event") -> float:
            assert queue["done"] >= end.at, "read before the device passed it"
            return end.at - self.at

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: queue.update(done=queue["time"]))
    clock = clock_for("cuda:0")
    assert clock.overhead_ms == 0
    start = clock.mark()
    queue["time"] += 7.5
    end = clock.mark()
    clock.settle()
    assert clock.milliseconds(start, end) == 7.5
    with pytest.raises(ValueError, match=r"'cuda:1' was asked for.*sees 1 CUDA devices"):
        clock_for("cuda:1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_cuda_clock_waits_for_the_work():
    clock = clock_for("cuda")
    matrix = torch.randn(4096, 4096, device="cuda")
    start = clock.mark()
    for _ in range(20):
        matrix = matrix @ matrix
    end = clock.mark()
    clock.settle()
    assert clock.milliseconds(start, end) > 1
    assert clock.overhead_ms < 1
