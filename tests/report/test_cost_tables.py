import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import LAYERS, synthetic_records

from xaibench.report.cost import cost, timing


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
