import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import LAYERS, as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.cost.tables import cost, path_milliseconds, timing


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic_records()


def test_timing_has_median_and_quartiles_of_the_repetitions(records):
    table = timing(records)
    row = table[(table["layer"] == "layer1.2") & (table["phase"] == "backward_to_layer")].iloc[0]
    times = records.loc[
        (records["metric"] == "milliseconds")
        & (records["layer"] == "layer1.2")
        & (records["variant"] == "backward_to_layer"),
        "curve_y",
    ].iloc[0]
    assert row["milliseconds"] == np.median(times)
    assert (row["q25"], row["q75"]) == tuple(np.quantile(times, [0.25, 0.75]))
    assert row["repetitions"] == 20
    assert row["ratio_to_inference"] > 1
    assert row["peak_memory_mib"] > 100
    assert row["device"] == "cpu"
    assert list(dict.fromkeys(table["layer"])) == ["", *LAYERS]


def _timed(layer: str, phase: str, *milliseconds: float, metric: str = "milliseconds") -> Record:
    return Record(metric, float(np.median(milliseconds)), layer=layer, variant=phase, curve_y=milliseconds)


def test_tails_are_counted_and_dropped_from_nothing():
    quiet = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
    table = timing(as_frame([_timed("", "inference", *quiet, 40.0, 50.0)]))
    row = table.iloc[0]
    assert row["outliers"] == 2
    assert row["repetitions"] == 12
    assert row["p95"] == np.quantile([*quiet, 40.0, 50.0], 0.95)
    # the third quartile of the first ten is 1.675, and 1.5 interquartile ranges above it lie at 2.35
    assert timing(as_frame([_timed("", "inference", *quiet, 2.2)]))["outliers"].iloc[0] == 0


def test_shares_are_those_within_a_run_and_hooks_are_a_row_of_their_own():
    rows = [
        _timed("", "inference", 2.0, 2.0, 2.0),
        _timed("a", "forward_with_hooks", 3.0, 30.0, 3.0),
        _timed("a", "backward_to_layer", 1.0, 10.0, 5.0),
        _timed("a", "explanation", 4.0, 4.0, 4.0),
        _timed("a", "hooks", 0.1, 0.3, 0.2, metric="hook_milliseconds"),
    ]
    table = timing(as_frame(rows)).set_index("phase")
    assert list(table.index) == ["inference", "forward_with_hooks", "backward_to_layer", "explanation", "hooks"]
    assert table.loc["forward_with_hooks", "share"] == 0.75  # of 3/4, 30/40 and 3/8
    assert table.loc["backward_to_layer", "share"] == 0.25
    assert table.loc[["inference", "explanation"], "share"].isna().all()
    hooks = table.loc["hooks"]
    assert (hooks["milliseconds"], hooks["share"], hooks["ratio_to_inference"]) == pytest.approx((0.2, 0.05, 0.1))


@pytest.mark.parametrize("with_copy", [False, True])
def test_without_the_whole_its_phases_stand_for_it(with_copy):
    names = ["forward_with_hooks", "backward_to_layer", "reduce", "upsample", *(["copy_to_host"] if with_copy else [])]
    table = timing(as_frame([_timed("a", name, 1.0) for name in names]))
    assert path_milliseconds(table) == {"a": len(names)}
    assert path_milliseconds(table[table["phase"] != "reduce"]) == {}


def test_timing_rows_follow_the_settings_order(records):
    table = timing(records, layers=LAYERS[::-1])
    assert list(dict.fromkeys(table["layer"])) == ["", *LAYERS[::-1]]


def test_a_value_without_repetitions_stands_for_itself(records):
    bare = records.assign(curve_y=[()] * len(records))
    row = timing(bare).iloc[0]
    assert row["milliseconds"] == records.loc[records["metric"] == "milliseconds", "value"].iloc[0]
    assert math.isnan(row["q25"])


def test_cost_adds_up(records):
    table = cost(records)
    row = table[(table["metric"] == "insertion") & (table["arm"] == "sobel")].iloc[0]
    assert (row["images"], row["forward_passes"], row["forward_passes_per_image"]) == (11, 11 * 15.5, 15.5)
    assert row["seconds"] == pytest.approx(11 * 0.08)
    counted = records[(records["image"] != "") & (records["metric"] != "image")]
    assert table["forward_passes"].sum() == pytest.approx(counted["forward_passes"].sum())


def test_seconds_that_were_not_measured_stay_unknown(records):
    assert cost(records.assign(seconds=np.nan))["seconds"].isna().all()


def test_nothing_measured(records):
    assert timing(records.iloc[:0]).empty
    assert cost(records.iloc[:0]).empty
