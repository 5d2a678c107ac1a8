"""The timing shard: which rows it writes, which of them a clock may change, and that they agree with one another."""

import json
import math

import pytest
import torch

from xaibench.composition import compose_settings
from xaibench.metrics.cards import CARDS
from xaibench.metrics.memory_limits import OutOfMemory
from xaibench.records.table import MEASURED_METRICS
from xaibench.settings import RunSettings
from xaibench.shards.timing import machine_records, path_records, state_records, time_path
from xaibench.timing import roofline, works
from xaibench.timing.explanation_path import ExplanationPath
from xaibench.timing.grid import TimingGrid
from xaibench.timing.machine_state import MachineState
from xaibench.timing.needs import Needs
from xaibench.timing.phases import PhaseTiming
from xaibench.timing.roofline import Rates
from xaibench.timing.schedule import MINIMUM_WARMUP
from xaibench.timing.vocabulary import EXPLANATION_PATH, PHASES
from xaibench.workbench import set_up

LAYERS = ["conv1", "relu2"]


@pytest.fixture
def bench():
    return set_up(
        RunSettings(
            model={"name": "own_models:small"},
            data={"name": "shapes", "n": 2, "size": 32},
            explainer={"cam": {"name": "grad_cam", "layers": LAYERS}},
            layers=LAYERS,
            sanity={},
            device="cpu",
        )
    )


def phase(name: str, *milliseconds: float, layer: str = "a", **more: object) -> PhaseTiming:
    return PhaseTiming(layer, name, milliseconds, 2.0, 5.0, "fake", "cpu", "fake", 4, (0, 1), 3, **more)


def test_a_run_has_every_phase_and_the_same_counts_again(bench, monkeypatch):
    monkeypatch.setattr(roofline, "PRODUCT_SIDES", (32,))
    monkeypatch.setattr(roofline, "COPY_MIB", (1,))
    runs = [time_path(bench, ExplanationPath(n_images=2, repeats=2, warmup=1), range(2))[0] for _ in range(2)]
    rows = {(row.metric, row.layer, row.variant): row for row in runs[0]}
    assert len(rows) == len(runs[0])
    assert {row.metric for row in runs[0]} <= set(CARDS)
    assert all(CARDS[row.metric].family == "timing" for row in runs[0])
    for metric in ("milliseconds", "gflop", "gbyte", "predicted_memory_mib", "percent_of_peak"):
        assert {key[2] for key in rows if key[0] == metric} == set(PHASES)
    joint = "+".join(LAYERS)
    assert {key[1] for key in rows if key[0] == "hook_milliseconds"} == {*LAYERS, joint}
    counted = [[row for row in run if row.metric not in MEASURED_METRICS] for run in runs]
    assert len(counted[0]) > 50
    assert counted[0] == counted[1]  # no clock has a part in them
    whole = rows["gflop", "conv1", "explanation"].value
    assert sum(rows["gflop", "conv1", name].value for name in EXPLANATION_PATH) == pytest.approx(whole)


def test_a_path_that_does_not_fit_the_memory_is_timed_on_half_of_the_images_and_says_so(bench, monkeypatch):
    monkeypatch.setattr(roofline, "PRODUCT_SIDES", (32,))
    monkeypatch.setattr(roofline, "COPY_MIB", (1,))
    settings, asked = ExplanationPath(n_images=2, repeats=2, warmup=1), []

    def hungry(limit):
        def captured(model, images, *args, **options):
            asked.append(len(images))
            if len(images) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return capture(model, images, *args, **options)

        return captured

    capture = works.capture
    monkeypatch.setattr(works, "capture", hungry(1))
    rows = [row for row in time_path(bench, settings, range(2))[0] if row.metric == "milliseconds"]
    assert asked[0] == 2
    assert set(asked[1:]) == {1}
    assert {row.variant for row in rows} == set(PHASES)
    assert all(row.reason.startswith("memory ran out at batch size 2; taken: 1") for row in rows)
    assert {tuple(json.loads(row.settings)["images"]) for row in rows} == {(1, 3, 32, 32)}
    monkeypatch.setattr(works, "capture", hungry(0))
    with pytest.raises(OutOfMemory, match="memory ran out even with one image at a time"):
        time_path(bench, settings, range(2))


def test_what_follows_from_several_phases_is_recorded_round_by_round():
    rows = [phase(name, 1.0, 2.0) for name in EXPLANATION_PATH]
    rows += [phase("explanation", 5.0, 8.0), phase("forward_without_hooks", 0.75, 1.25)]
    records = {record.metric: record for record in path_records(rows, {"threads": 1})}
    assert records["phases_to_whole"].curve_y == (1.0, 1.25)
    assert records["phases_to_whole"].value == 1.125
    assert records["hook_milliseconds"].curve_y == (0.25, 0.75)
    assert (records["hook_milliseconds"].layer, records["hook_milliseconds"].variant) == ("a", "hooks")
    assert json.loads(records["hook_milliseconds"].settings) == {"threads": 1}


def test_counts_are_an_image_s_and_carry_no_clock():
    needs = Needs(operations=8e9, bytes_moved=4e8, memory_mib=7.0, graph_mib=3.0)
    stated = {"images": [4, 3, 8, 8], "image_dtype": "float32", "clock_overhead_ms": 0.123}
    rows = [phase("forward_with_hooks", 1.0, needs=needs, captured_mib=2.0), phase("reduce", 1.0, needs=needs)]
    records = {(r.metric, r.variant): r for r in path_records(rows, stated)}
    assert records["gflop", "forward_with_hooks"].value == 2.0  # of 4 images
    assert records["gbyte", "forward_with_hooks"].value == 0.1
    assert records["predicted_memory_mib", "reduce"].value == 7.0
    assert records["graph_memory_mib", "forward_with_hooks"].value == 3.0
    assert records["captured_memory_mib", "forward_with_hooks"].value == 2.0
    assert not {("graph_memory_mib", "reduce"), ("captured_memory_mib", "reduce")} & set(records)
    assert "clock_overhead_ms" not in json.loads(records["gflop", "reduce"].settings)
    assert "clock_overhead_ms" in json.loads(records["milliseconds", "reduce"].settings)
    assert ("reserved_memory_mib", "reduce") not in records  # a CPU has none


def test_the_share_of_the_peak_and_the_state_of_the_machine():
    rates = Rates((64.0, 128.0), (40.0, 50.0), (1.0,), (10.0,))
    rows = [phase("inference", 2.0, 2.0, needs=Needs(operations=2e8)), phase("reduce", 1.0)]
    states = {
        "before": MachineState(processor_mhz=2600.0, load=0.5),
        "after": MachineState(2500.0, 3.0, 1200.0, 80.0, ("power cap", "thermal slowdown by the driver")),
    }
    records = {(r.metric, r.variant): r for r in machine_records(rows, rates, states, {})}
    # 4 images of 2 ms: 2 × 10⁸ operations in 8 ms are 25 × 10⁹ a second
    assert records["percent_of_peak", "inference"].value == pytest.approx(50)
    assert ("percent_of_peak", "reduce") not in records
    assert records["matrix_gflop_per_second", ""].value == 50.0
    assert records["matrix_gflop_per_second", ""].curve_x == (64.0, 128.0)
    assert records["processor_mhz", "before"].value == 2600.0
    assert records["gpu_mhz", "after"].reason == "power cap, thermal slowdown by the driver"
    assert ("gpu_mhz", "before") not in records


def test_what_slows_a_gpu_down_is_told_where_its_clock_is_not():
    (row,) = state_records({"after": MachineState(throttles=("power cap",))}, "{}")
    assert (row.metric, row.status, row.reason) == ("gpu_mhz", "undefined", "power cap")


def test_the_warm_up_can_go_on_until_nothing_gets_faster():
    for words in (["timing=explanation_path"], ["experiment=timing"]):
        settings = compose_settings(words).timing
        assert settings["warmup"] > MINIMUM_WARMUP
        kind = {"grid": TimingGrid}.get(settings["name"], ExplanationPath)
        assert settings["warmup"] == kind().warmup


def test_a_ratio_that_is_undefined_says_so():
    rows = [phase("inference", 0.0, 0.0)]
    rows = [PhaseTiming(**{**vars(rows[0]), "ratio_to_inference": math.nan})]
    (ratio,) = [record for record in path_records(rows, {}) if record.metric == "ratio_to_inference"]
    assert (ratio.status, ratio.reason) == ("undefined", "nothing to compare with")
