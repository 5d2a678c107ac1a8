"""What a reader is told about how times were taken."""

import json

import pytest
from grid_records import grid_records
from synthetic_records import as_frame

from xaibench.records.record import Record
from xaibench.report.cost.conditions import ON_CUDA, STATED, timing_conditions
from xaibench.timing.clock import CpuClock
from xaibench.timing.conditions import conditions


def timed(**known):
    return Record("milliseconds", 1.0, layer="a", variant="reduce", settings=json.dumps(known), curve_y=(1.0,))


def told(*records):
    return dict(timing_conditions(as_frame(records)).itertuples(index=False))


def test_the_clock_s_own_cost_is_stated_and_numbers_have_their_range():
    found = told(
        timed(device="cpu (x)", clock="ticks", clock_overhead_ms=1e-4, threads=1, image_dtype="float32", mkldnn=True),
        timed(device="cpu (x)", clock="ticks", clock_overhead_ms=3e-4, threads=2, image_dtype="float64", mkldnn=True),
        Record("gflop", 1.0, settings=json.dumps({"device": "not timed", "threads": 64})),
    )
    assert found == {
        "device": "cpu (x)",
        "clock": "ticks",
        "clock: reported for no work, ms; every phase contains it": "0.0001 to 0.0003",
        "threads": "1 to 2",
        "precision of images": "float32, float64",
        "oneDNN": "yes",
    }


def test_looks_at_the_machine_before_and_after_and_what_slowed_the_gpu_down():
    def look(metric, value, when, reason=""):
        return Record(metric, value, variant=when, reason=reason, status="ok" if value == value else "undefined")

    found = told(
        look("processor_mhz", 2400.0, "before"),
        look("processor_mhz", 2600.0, "before"),
        look("processor_mhz", 2500.0, "after"),
        look("gpu_mhz", 1200.0, "after", "power cap, thermal slowdown by the driver"),
        look("gpu_mhz", float("nan"), "before", "power cap"),
    )
    assert found == {
        "processor's clock, MHz, before": "2400 to 2600",
        "processor's clock, MHz, after": "2500",
        "GPU's clock, MHz, after": "1200",
        "what slowed the GPU down": "power cap, thermal slowdown by the driver",
    }
    assert told(look("gpu_mhz", 1980.0, "before"))["what slowed the GPU down"] == "nothing seen"


@pytest.mark.parametrize(("device", "shown"), [("cpu (x)", False), ("cuda (y)", True)])
def test_what_cuda_alone_heeds_is_told_of_cuda_alone(device, shown):
    found = told(timed(device=device, cudnn_benchmark=True, parameter_dtypes=["bfloat16", "float32"]))
    assert found["precision of weights"] == "bfloat16+float32"
    assert ("cuDNN tries algorithms out" in found) == shown


def test_every_condition_that_is_recorded_has_its_words():
    torch = pytest.importorskip("torch")
    stated = conditions(torch.nn.Linear(2, 2), torch.zeros(1, 3, 4, 4), clock=CpuClock())
    assert set(stated) - set(STATED) == {"images"}  # their number and size are factors of the grid, and in its table
    assert set(STATED) - set(stated) == {"memory"}
    assert set(ON_CUDA) <= set(STATED)


def test_nothing_timed_nothing_said():
    assert timing_conditions(grid_records().iloc[:0]).empty
