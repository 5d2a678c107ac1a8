import mmap
import subprocess
import sys
import time

import pytest
import torch

from xaibench.timing.memory import CudaMeter, HighWaterMeter, SamplingMeter, meter_for

METERS = [
    pytest.param(
        HighWaterMeter,
        marks=pytest.mark.skipif(not HighWaterMeter.available(), reason="the system does not let the mark be set back"),
    ),
    SamplingMeter,
]


def hold(mebibytes: int, seconds: float = 0.05) -> torch.Tensor:
    block = torch.ones(mebibytes * 2**20, dtype=torch.uint8)
    time.sleep(seconds)
    return block


@pytest.mark.parametrize("kind", METERS)
def test_a_planted_block_is_seen_and_counts_in_later_phases_while_it_is_held(kind):
    with kind() as meter:
        meter.reset()
        assert meter.peak_mib() < 4
        # straight from the system: after other tests the C library may keep a freed tensor of this size for itself
        block = mmap.mmap(-1, 64 * 2**20)
        for _ in range(64):
            block.write(bytes(2**20))
        time.sleep(0.05)
        assert 62 < meter.peak_mib() < 70
        assert 62 < meter.peak_mib() < 70  # still held
        block.close()
        meter.peak_mib()
        assert meter.peak_mib() < 8  # given back, and no longer a peak


@pytest.mark.parametrize("kind", METERS)
def test_a_block_freed_before_the_phase_ends_is_still_its_peak(kind):
    with kind() as meter:
        meter.reset()
        hold(64)
        assert 62 < meter.peak_mib() < 70


FREED_BETWEEN = """
import time
import torch
from xaibench.timing.memory import {kind} as Meter

with Meter() as meter:
    for _ in range(3):
        meter.reset()
        blocks = [torch.ones(2**20, dtype=torch.uint8) for _ in range(32)]  # the C library keeps such when freed
        time.sleep(0.02)
        del blocks
        print(meter.peak_mib())
"""


@pytest.mark.parametrize("kind", METERS)
def test_pages_that_an_earlier_run_freed_do_not_hide_the_next_peak(kind):
    """In a process of its own: its heap holds nothing that other tests left."""
    code = FREED_BETWEEN.format(kind=kind.__name__)
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    peaks = [float(line) for line in out.split()]
    assert len(peaks) == 3
    assert all(30 < peak < 40 for peak in peaks)


def test_the_sampling_thread_ends_with_its_context():
    meter = SamplingMeter()
    with meter:
        thread = meter._thread
        assert thread is not None
        assert thread.is_alive()
    assert not thread.is_alive()


def test_the_meter_says_how_it_measures():
    meter = meter_for("cpu")
    assert meter.method.startswith("resident set, ")
    assert isinstance(meter, HighWaterMeter) == HighWaterMeter.available()


def test_cuda_s_numbers_are_read_in_order(monkeypatch):
    """Against a device that only counts: allocated above the floor, reserved in all, each phase's peak on its own."""
    now = {"allocated": 100.0, "reserved": 500.0}
    peak = dict(now)

    def use(allocated: float, reserved: float) -> None:
        now.update(allocated=allocated, reserved=reserved)
        peak.update({name: max(peak[name], value) for name, value in now.items()})

    mib = 2**20
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: peak.update(now))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: now["allocated"] * mib)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: peak["allocated"] * mib)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: peak["reserved"] * mib)
    with CudaMeter(torch.device("cuda")) as meter:
        meter.reset()
        use(160.0, 700.0)
        use(120.0, 700.0)
        assert (meter.peak_mib(), meter.reserved_mib) == (60.0, 700.0)
        use(130.0, 600.0)
        assert (meter.peak_mib(), meter.reserved_mib) == (30.0, 700.0)
        use(100.0, 600.0)
        meter.peak_mib()
        assert (meter.peak_mib(), meter.reserved_mib) == (0.0, 600.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_memory_is_that_of_tensors():
    with CudaMeter(torch.device("cuda")) as meter:
        meter.reset()
        block = torch.ones(64 * 2**20, dtype=torch.uint8, device="cuda")
        assert meter.peak_mib() == 64
        del block
        meter.peak_mib()
        assert meter.peak_mib() == 0
