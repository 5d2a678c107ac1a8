import math

import pytest
from synthetic_records import as_frame

from xaibench.records.record import Record, settings_json
from xaibench.report.adcc_table import adcc_table
from xaibench.report.page.page import _table_views
from xaibench.report.tables import make_tables

# two images: means 0.5, 0.5 and 0.5; the third has no coherency and counts in none of the means
TERMS = {
    "average_drop": (0.2, 0.8, 0.0),
    "coherency": (0.9, 0.1, math.nan),
    "complexity_adcc": (0.5, 0.5, 0.0),
    "adcc": (0.6, 0.2, math.nan),
}


def records_of(prefix, **settings):
    for name, values in TERMS.items():
        told = settings_json({"name": name, **(settings if name == "average_drop" else {})})
        for index, value in enumerate(values):
            status = {"status": "undefined", "reason": "no map"} if math.isnan(value) else {}
            keys = {"image": f"i{index}", "explainer": "grad_cam", "layer": "layer4"}
            yield Record(prefix + name, value, **keys, settings=told, **status)


def test_of_means_and_mean_of_images_are_told_apart():
    table = adcc_table(as_frame([*records_of(""), *records_of("shapleycam_", relative=True)]))
    assert table["metric"].tolist() == ["adcc", "shapleycam_adcc"]
    assert table["arm"].tolist() == ["grad_cam @ layer4"] * 2
    assert table["images"].tolist() == [2, 2]
    assert table["adcc_of_means"].tolist() == pytest.approx([0.5, 0.5])
    assert table["mean_of_adcc"].tolist() == pytest.approx([0.4, 0.4])


def test_an_absolute_drop_or_a_missing_term_makes_none():
    assert adcc_table(as_frame(list(records_of("", relative=False)))).empty
    records = as_frame(list(records_of("")))
    assert adcc_table(records[records["metric"] != "complexity_adcc"]).empty
    without = adcc_table(records[records["metric"] != "adcc"])
    assert math.isnan(without["mean_of_adcc"].item())


def test_it_is_on_the_page():
    tables = make_tables(as_frame(list(records_of(""))), n_resamples=99)
    assert {view.name: view.rows for view in _table_views(tables)}["adcc_of_means"]
