import pytest
import torch
from fake_time import FakeClock

from xaibench.timing import roofline
from xaibench.timing.roofline import Rates, measure_rates


def test_rates_in_closed_form(monkeypatch):
    """A machine that does a gigaflop a second, and moves two gigabytes."""
    clock = FakeClock()
    monkeypatch.setattr(roofline, "PRODUCT_SIDES", (100, 200, 300))
    monkeypatch.setattr(roofline, "COPY_MIB", (1, 2))
    monkeypatch.setattr(roofline, "_product", lambda side, *_: lambda: clock.advance(2 * side**3 / 1e6))
    monkeypatch.setattr(roofline, "_copy", lambda mib, *_: lambda: clock.advance(2 * mib * 2**20 / 2e6))
    found = measure_rates("cpu", clock=clock, max_seconds=0.4)
    # four runs: 8 ms for a side of 100, 64 ms for 200; 216 ms for 300 would end after the half of the time
    assert found.product_sides == (100.0, 200.0)
    assert found.products == pytest.approx((1.0, 1.0))
    assert found.copy_mib == (1.0, 2.0)
    assert (found.gflop_per_second, found.gbyte_per_second) == pytest.approx((1.0, 2.0))


def test_the_best_size_and_the_best_run_count():
    assert Rates((1.0, 2.0), (5.0, 4.0), (1.0,), (3.0,)).gflop_per_second == 5.0


def test_one_size_is_always_tried(monkeypatch):
    monkeypatch.setattr(roofline, "PRODUCT_SIDES", (64, 128))
    monkeypatch.setattr(roofline, "COPY_MIB", (1, 2))
    found = measure_rates("cpu", torch.bfloat16, max_seconds=1e-9)
    assert (found.product_sides, found.copy_mib) == ((64.0,), (1.0,))
    assert min(found.gflop_per_second, found.gbyte_per_second) > 0


@pytest.mark.parametrize(
    ("device", "dtype", "seconds", "match"),
    [
        ("cpu", torch.int64, 1.0, "expected a floating-point type such as torch.float32, got torch.int64"),
        ("cpu", torch.float32, 0.0, "max_seconds"),
        ("meta", torch.float32, 1.0, "expected cpu or cuda"),
    ],
)
def test_bad_input(device, dtype, seconds, match):
    with pytest.raises(ValueError, match=match):
        measure_rates(device, dtype, max_seconds=seconds)
