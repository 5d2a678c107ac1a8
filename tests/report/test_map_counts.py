import math

import numpy as np
import pytest
from synthetic_records import as_frame

from xaibench.records.record import Record
from xaibench.report.map_counts import map_counts, removed_shares
from xaibench.report.page.page import _table_views
from xaibench.report.tables import make_tables

NAN = math.nan


def rows_of(metric, values, **keys):
    """One record a value, image by image; NaN is undefined."""
    for index, value in enumerate(values):
        status = {"status": "undefined", "reason": "map holds NaN or infinity"} if math.isnan(value) else {}
        yield Record(metric, value, image=f"i{index}", **keys, **status)


def removal(curves, **keys):
    for index, curve in enumerate(curves):
        excess = max(np.subtract(curve, (0.9, 0.2)), key=abs)
        yield Record("removal_error", excess, image=f"i{index}", curve_x=(0.9, 0.2), curve_y=curve, **keys)


DEEP = {"explainer": "grad_cam", "layer": "layer4"}
EARLY = {"explainer": "grad_cam", "layer": "layer1"}


@pytest.fixture(scope="module")
def records():
    return as_frame(
        [
            *rows_of("tied_fraction", (0.5, 1.0, NAN, 0.1), **DEEP),
            *rows_of("positive_fraction", (0.25, 0.0, NAN, 0.0), **DEEP),
            *rows_of("tied_fraction", (0.0, 0.2, 0.0, 0.2), **EARLY),
            *rows_of("positive_fraction", (0.5, 0.5, 1.0, 1.0), **EARLY),
            *rows_of("tied_fraction", (NAN,) * 4, explainer="random"),
            *removal([(0.9, 0.2), (1.0, 1.0)], **DEEP, variant="road_percentile/morf"),
        ]
    )


def test_degenerate_maps_are_counted_for_each_layer(records):
    table = map_counts(records, layers=["layer1", "layer4"]).set_index("arm")
    assert list(table.index) == ["grad_cam @ layer1", "grad_cam @ layer4", "random"]
    deep = table.loc["grad_cam @ layer4"]
    assert deep[["maps", "not_finite", "nothing_positive", "all_tied"]].tolist() == [4, 1, 2, 1]
    assert deep["tied_share"] == pytest.approx(1.6 / 3)
    assert deep["largest_tied_share"] == 1
    assert deep["positive_share"] == pytest.approx(0.25 / 3)
    assert table.loc["grad_cam @ layer1", "smallest_positive_share"] == 0.5
    broken = table.loc["random"]
    assert broken[["maps", "not_finite", "all_tied"]].tolist() == [4, 4, 0]
    assert math.isnan(broken["tied_share"])
    assert math.isnan(broken["nothing_positive"])  # not recorded is not zero


def test_asked_and_removed_shares(records):
    table = removed_shares(records)
    assert table[["metric", "arm", "maps"]].drop_duplicates().to_numpy().tolist() == [
        ["road_percentile/morf", "grad_cam @ layer4", 2]
    ]
    assert table.iloc[0, -4:].tolist() == pytest.approx([0.2, 0.6, 0.2, 1])


def test_both_are_on_the_page_and_absent_where_there_is_nothing_to_tell(records):
    tables = make_tables(records, n_resamples=99)
    views = {view.name: view for view in _table_views(tables)}
    assert "nothing positive" in views["map_counts"].columns
    assert views["removed_shares"].rows
    assert "removal_error" not in set(tables.summary["metric"])  # told of here alone
    without = make_tables(records[records["metric"] == "positive_fraction"], n_resamples=99)
    assert not {"map_counts", "removed_shares"} & set(without.frames())
