import math

import numpy as np
import pytest
from scipy import stats
from synthetic_records import as_frame

from xaibench.records.record import Record
from xaibench.report.cost.limits import bound, median_interval, memory, path_checks, roof, roofline
from xaibench.report.figures.roofline import drawable, roofline_figure


def phase(layer: str, name: str, **values: float) -> list[Record]:
    return [Record(metric, value, layer=layer, variant=name) for metric, value in values.items()]


def machine() -> list[Record]:
    return [Record("matrix_gflop_per_second", 100.0), Record("copy_gbyte_per_second", 20.0)]


@pytest.fixture
def records():
    rows = [
        *machine(),
        *phase("a", "backward_to_layer", milliseconds=2.0, gflop=0.1, gbyte=0.004),
        *phase("a", "reduce", milliseconds=1.0, gflop=0.0, gbyte=0.01),
        *phase("a", "copy_to_host", milliseconds=0.001, gflop=0.0, gbyte=0.0),
        *phase("", "inference", milliseconds=10.0, gflop=0.9, gbyte=0.02),
        *phase("b", "forward_with_hooks", milliseconds=100.0, gflop=0.09, gbyte=0.02),
        *phase("c", "upsample", milliseconds=1.0),  # timed, not counted
    ]
    return as_frame(rows)


def test_rates_and_shares_in_closed_form(records):
    table = roofline(records, layers=["b", "a"]).set_index(["layer", "phase"])
    assert list(table.index) == [
        ("", "inference"), ("b", "forward_with_hooks"), ("a", "backward_to_layer"), ("a", "reduce"), ("a", "copy_to_host"),
    ]  # fmt: skip
    row = table.loc[("a", "backward_to_layer")]
    assert row["gflop_per_second"] == pytest.approx(50)  # 10⁸ operations in 2 ms
    assert row["gbyte_per_second"] == pytest.approx(2)
    assert row["intensity"] == pytest.approx(25)
    assert (row["percent_of_peak"], row["percent_of_copy_rate"]) == pytest.approx((50, 10))
    assert math.isnan(table.loc[("a", "copy_to_host"), "intensity"])
    assert list(table["bound"]) == ["compute", "overhead", "compute", "memory", ""]


@pytest.mark.parametrize(
    ("compute", "moved", "expected"),
    [
        (0.5, 0.2, "compute"),
        (0.2, 0.5, "memory"),
        (0.09, 0.099, "overhead"),
        (0.0, 0.0, ""),
        (math.nan, 0.5, ""),
    ],
)
def test_what_bounds_a_phase(compute, moved, expected):
    assert bound(compute, moved) == expected


def test_without_the_machine_s_rates_there_is_no_bound_and_no_picture(records):
    bare = records[~records["metric"].str.endswith("_per_second")]
    table = roofline(bare)
    assert set(table["bound"]) == {""}
    assert drawable(table, roof(bare)).empty
    assert roof(records).ridge == 5


def test_memory_stands_beside_its_prediction():
    rows = [
        *phase("a", "forward_with_hooks", peak_memory_mib=30.0, predicted_memory_mib=28.0, graph_memory_mib=9.0),
        *phase("a", "forward_with_hooks", captured_memory_mib=4.0),
        *phase("a", "reduce", peak_memory_mib=30.0, predicted_memory_mib=1.0),
        *phase("a", "upsample", peak_memory_mib=30.0),  # nothing predicted
    ]
    table = memory(as_frame(rows))
    assert list(table["phase"]) == ["forward_with_hooks", "reduce"]
    assert list(table["beyond_prediction_mib"]) == [2.0, 29.0]
    assert table.loc[0, ["graph_memory_mib", "captured_memory_mib"]].tolist() == [9.0, 4.0]
    assert table.loc[1, ["graph_memory_mib", "reserved_memory_mib"]].isna().all()


def test_checks_have_the_median_of_their_rounds_and_its_interval():
    ratios = tuple(np.linspace(0.9, 1.1, 21))
    rows = [
        Record("phases_to_whole", 1.0, layer="a", variant="explanation", curve_y=ratios),
        Record("hook_milliseconds", 0.1, layer="a", variant="hooks", curve_y=(0.1, 0.3)),
    ]
    table = path_checks(as_frame(rows)).set_index("check")
    whole = table.loc["sum of the phases over the whole"]
    assert whole["median"] == pytest.approx(1.0)
    # 21 values: the 6th from below and from above hold the median with 97.3 %, the 7th with 92 %
    assert (whole["low"], whole["high"]) == pytest.approx((ratios[5], ratios[15]))
    hooks = table.loc["hooks: milliseconds an image added to the forward pass"]
    assert hooks["median"] == pytest.approx(0.2)
    assert math.isnan(hooks["low"])  # two rounds cannot bound a median


def test_the_interval_of_a_median_is_that_of_order_statistics():
    values = np.random.default_rng(0).exponential(size=15)
    low, high = median_interval(values)
    ordered = np.sort(values)
    rank = list(ordered).index(low)
    assert high == ordered[14 - rank]
    assert 1 - 2 * stats.binom.cdf(rank, 15, 0.5) >= 0.95 > 1 - 2 * stats.binom.cdf(rank + 1, 15, 0.5)
    assert np.isnan(median_interval(np.empty(0))).all()


def test_every_phase_with_operations_has_its_mark(records):
    table, limit = roofline(records), roof(records)
    axes = roofline_figure(table, limit, device="cpu").axes[0]
    marks = [line.get_xydata()[0] for line in axes.lines if line.get_marker() != "None"]
    assert np.sort(marks, axis=0) == pytest.approx(np.sort([(25, 50), (45, 90), (4.5, 0.9)], axis=0))
    top = next(line for line in axes.lines if line.get_marker() == "None")
    assert top.get_ydata().max() == 100
    assert axes.texts[0].get_text() == "a"
