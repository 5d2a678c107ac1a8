import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import LAYERS, SIMILARITIES, as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.sanity.table import sanity


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic_records()


@pytest.fixture(scope="module")
def table(records):
    return sanity(records)


def test_one_row_per_arm_and_similarity(table):
    assert list(zip(table["layer"], table["variant"], strict=True)) == [(a, b) for a in LAYERS for b in SIMILARITIES]
    assert set(table["first_module"]) == {"fc"}
    assert set(table["last_module"]) == {"stem"}
    assert set(zip(table["images"], table["seeds"], table["steps"], strict=True)) == {(4, 3, 18)}


def test_values_are_plain_means_without_step_zero(records, table):
    row = table[(table["layer"] == "layer4.2") & (table["variant"] == "ssim")].iloc[0]
    own = records[(records["layer"] == "layer4.2") & (records["variant"] == "ssim")]
    assert row["first"] == pytest.approx(own.loc[own["step"] == 1, "value"].mean())
    assert row["end"] == pytest.approx(own.loc[own["step"] == 18, "value"].mean())
    assert row["mean"] == pytest.approx(own.loc[own["step"] > 0, "value"].mean())
    assert row["end_low"] < row["end"] < row["end_high"]


def test_undefined_values_are_counted(records, table):
    row = table[(table["layer"] == "layer1.2") & (table["variant"] == "spearman")].iloc[0]
    assert row["undefined"] == 18 * 3  # one image, all steps but the trained model's, all seeds
    own = records[(records["layer"] == "layer1.2") & (records["variant"] == "spearman") & (records["step"] == 18)]
    assert row["end"] == pytest.approx(own["value"].dropna().mean())


def test_a_cascade_with_an_undefined_step_is_in_no_average():
    # the steps that remain of it would be others than those of the rest
    rows = [
        Record(
            "parameter_randomization",
            value,
            image=image,
            explainer="grad_cam",
            layer="x",
            variant="ssim",
            step=step,
            module=str(step),
        )
        for image, values in {"a": (1.0, 0.8, 0.2), "b": (1.0, 0.6, 0.4)}.items()
        for step, value in enumerate(values)
    ]
    undefined = {"status": "undefined", "reason": "constant map"}
    rows += [
        Record(
            "parameter_randomization",
            0.9,
            image="c",
            explainer="grad_cam",
            layer="x",
            variant="ssim",
            step=1,
            module="1",
        )
    ]
    rows += [
        Record(
            "parameter_randomization",
            math.nan,
            image="c",
            explainer="grad_cam",
            layer="x",
            variant="ssim",
            step=2,
            module="2",
            **undefined,
        )
    ]
    row = sanity(as_frame(rows)).iloc[0]
    assert row["first"] == pytest.approx((0.8 + 0.6 + 0.9) / 3)
    assert row["end"] == pytest.approx((0.2 + 0.4) / 2)
    assert row["mean"] == pytest.approx((0.5 + 0.5) / 2)
    assert row["undefined"] == 1
    assert "one seed" in row["note"]


def test_nothing_checked_and_everything_undefined(records):
    assert sanity(records[records["metric"] != "parameter_randomization"]).empty
    blank = records[records["metric"] == "parameter_randomization"].assign(value=np.nan, status="undefined")
    table = sanity(blank)
    assert table[["first", "end", "mean", "end_low"]].isna().all(axis=None)
    assert set(table["note"]) == {"no value is defined"}
