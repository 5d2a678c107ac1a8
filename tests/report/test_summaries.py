import math

import numpy as np
import pytest
from synthetic_records import LAYERS, UNITS, as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.sanity.checks import find_cascade
from xaibench.report.summaries import cascade_lines, mean_band, mean_curves, phase_costs


def test_band_of_two_values_in_closed_form():
    # t(0.975, 1) = tan(0.475 π); the mean's standard error of (0, 2) is 1
    low, mean, high = mean_band(np.array([[0.0], [2.0]]))
    assert mean[0] == 1
    assert high[0] - 1 == pytest.approx(math.tan(0.475 * math.pi))
    assert 1 - low[0] == pytest.approx(math.tan(0.475 * math.pi))


def test_undefined_values_are_left_out_and_one_value_has_no_band():
    low, mean, high = mean_band(np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]]))
    np.testing.assert_array_equal(mean, [2, 5])
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()


def test_mean_curve_is_the_mean_of_the_curves():
    rows = [
        Record("deletion", 0.0, image=str(i), explainer="sobel", curve_x=(0.0, 0.5, 1.0), curve_y=(1.0, y, 0.0))
        for i, y in enumerate((0.2, 0.4))
    ]
    line = mean_curves(as_frame(rows), "deletion")["sobel", ""]
    np.testing.assert_allclose(line.mean, [1, 0.3, 0])
    assert line.n_images == 2
    assert line.area == pytest.approx(0.4)


def test_seeds_are_averaged_within_an_image_first():
    # image a has two seeds, image b one: the mean is over images, (2 + 6) / 2, not over rows
    values = (("a", 0, 1.0), ("a", 1, 3.0), ("b", 0, 6.0))
    keys = {"explainer": "grad_cam", "layer": "l", "variant": "ssim", "module": "fc", "step": 1}
    rows = [Record("parameter_randomization", v, image=i, seed=s, **keys) for i, s, v in values]
    assert cascade_lines(find_cascade(as_frame(rows)), "ssim")["grad_cam", "l"].mean.tolist() == [4.0]


def test_the_cascade_of_a_run():
    records = synthetic_records()
    cascade = find_cascade(records)
    assert cascade.modules == ["", *UNITS]
    assert cascade.similarities == ["spearman", "spearman_abs", "ssim"]
    lines = cascade_lines(cascade, "spearman")
    assert [layer for _, layer in lines] == list(LAYERS)
    assert lines["grad_cam", "layer4.2"].mean[0] == 1
    undefined = (
        (records["metric"] == "parameter_randomization") & (records["variant"] == "spearman") & records["value"].isna()
    )
    assert sum(line.n_undefined for line in lines.values()) == undefined.sum() > 0


def test_costs_keep_the_order_of_layers_and_phases():
    rows = [
        Record("milliseconds", v, layer=a, variant=p) for a, p, v in (("z", "q", 2.0), ("a", "q", 3.0), ("a", "b", 1.0))
    ]
    table = phase_costs(as_frame(rows))
    assert list(table.index) == ["z", "a"]
    assert list(table.columns) == ["q", "b"]
    assert math.isnan(table.loc["z", "b"])
