"""The checks beside the cascades, what the figures and the page show of a run of every sanity check, and the answer."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sanity_records import CANDIDATES, LAYERS, SANITY_ARMS, SIMILARITIES, SMOOTH, UNITS, cascade_rows, sanity_records
from synthetic_records import as_frame
from synthetic_run import synthetic_run

from xaibench.records.record import Record
from xaibench.report import redraw
from xaibench.report.answer import answer
from xaibench.report.arms import short_labels
from xaibench.report.figures import every
from xaibench.report.figures.cascade import plot_cascade
from xaibench.report.figures.data_randomization import plot_data_randomization
from xaibench.report.figures.independent import plot_independent
from xaibench.report.figures.sanity_heatmap import plot_heatmap
from xaibench.report.figures.style import arm_styles
from xaibench.report.page.charts import line_chart
from xaibench.report.page.sanity_charts import bar_charts, heat_chart, pair_chart
from xaibench.report.sanity.calibration import Band, calibration_bands
from xaibench.report.sanity.checks import find_cascade, find_cascades
from xaibench.report.sanity.other_checks import coverage, data_randomization, mean_check, training_accuracy
from xaibench.report.sanity.table import sanity
from xaibench.report.scores import has_own_table
from xaibench.report.summaries import MeanLine, cascade_lines
from xaibench.report.tables import make_tables

LABELS = short_labels(SANITY_ARMS)
NUMBERS = {arm: place for place, arm in enumerate(SANITY_ARMS)}
CAM = ("grad_cam", "layer4.2")


@pytest.fixture(scope="module")
def records():
    return sanity_records(3, seeds=(0, 1), noise=0.005)


@pytest.fixture(scope="module")
def tables(records):
    return make_tables(records, layers=LAYERS, n_resamples=200)


@pytest.fixture
def axes():
    return Figure().subplots()


def line(values, start=0):
    values = np.array(values, dtype=float)
    return MeanLine(np.arange(start, start + len(values), dtype=float), values, values - 0.1, values + 0.1, 3)


def test_every_cascade_is_found_by_its_card_or_its_settings(records):
    smooth = as_frame(list(cascade_rows("smooth_mprt", SMOOTH, 1, (0,), 0.05, np.random.default_rng(0))))
    both = pd.concat([records, smooth], ignore_index=True)
    assert [one.key for one in find_cascades(both)] == [
        "parameter_randomization", "independent_randomization", "smooth_mprt"
    ]  # fmt: skip
    assert find_cascade(both).key == "parameter_randomization"
    assert find_cascade(records[records["metric"] != "parameter_randomization"]).order == "independent"
    assert find_cascade(records).modules == ["", *UNITS]
    assert has_own_table(both).all()


def test_one_row_of_the_table_per_cascade_arm_and_similarity(records, tables):
    table = tables.sanity
    assert len(table) == 2 * len(SANITY_ARMS) * len(SIMILARITIES)
    assert list(dict.fromkeys(table["order"])) == ["top_down", "independent"]
    row = table.set_index(["cascade", "arm", "variant"]).loc[("parameter_randomization", "sobel", "ssim")]
    pairs = records[(records["metric"] == "calibration") & (records["explainer"] == "sobel")]
    pairs = pairs[(pairs["variant"] == "ssim") & (pairs["module"] == "random_maps")]["value"]
    assert row["random_maps_low"] == pytest.approx(pairs.quantile(0.025))
    assert row["random_maps_high"] == pytest.approx(pairs.quantile(0.975))
    assert row["random_maps_mean"] == pytest.approx(pairs.mean())
    assert (row["random_maps_pairs"], row["other_images_pairs"], row["random_maps_undefined"]) == (40, 40, 0)


def test_undefined_pairs_are_counted_and_in_no_band():
    keys = {"explainer": "grad_cam", "layer": "l", "variant": "ssim", "module": "random_maps"}
    rows = [Record("calibration", v, step=i, **keys) for i, v in enumerate((0.0, 0.2, 0.4))]
    rows.append(Record("calibration", math.nan, step=3, status="undefined", reason="constant", **keys))
    band = calibration_bands(as_frame(rows))[("grad_cam", "l"), "ssim", "random_maps"]
    assert (band.low, band.mean, band.high) == pytest.approx((0.01, 0.2, 0.39))
    assert (band.pairs, band.n_undefined) == (3, 1)


def test_without_calibration_the_band_is_empty(records):
    table = sanity(records[records["metric"] != "calibration"])
    assert table["random_maps_high"].isna().all()
    assert table["random_maps_pairs"].eq(0).all()


def test_means_of_the_checks_beside():
    rows = [
        Record("efficient_mprt", value, image=image, seed=seed, explainer="gradient")
        for image, seed, value in (("a", 0, 1.0), ("a", 1, 3.0), ("b", 0, 2.0))
    ]
    rows.append(
        Record("efficient_mprt", math.nan, image="b", seed=1, explainer="gradient", status="undefined", reason="x")
    )
    row = mean_check(as_frame(rows), "efficient_mprt").iloc[0]
    assert row["mean"] == 2
    assert row["low"] < 2 < row["high"]
    assert (row["images"], row["seeds"], row["undefined"]) == (2, 2, 1)
    assert mean_check(as_frame(rows), "random_logit").empty


def test_permuted_labels_against_the_control():
    values = {"permuted_labels": (0.1, 0.2, 0.3, 0.0, 0.1, 0.2), "true_labels": (0.6, 0.7, 0.8, 0.5, 0.6, 0.7)}
    rows = [
        Record("data_randomization", v, image=str(i), explainer="gradient", variant="ssim", module=labels, seed=seed)
        for labels, own in values.items()
        for i, v in enumerate(own)
        for seed in (0, 1)
    ]
    row = data_randomization(as_frame(rows), n_resamples=200).iloc[0]
    assert row["permuted"] == pytest.approx(0.15)
    assert row["control"] == pytest.approx(0.65)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx((-0.5, -0.5, -0.5))
    assert row["p"] == 2 / 2**6
    alone = as_frame([one for one in rows if one.module == "permuted_labels"])
    row = data_randomization(alone, n_resamples=200).iloc[0]
    assert row["note"] == "no control was trained"
    assert row["permuted"] == pytest.approx(0.15)
    assert math.isnan(row["difference"])
    assert math.isnan(row["p"])


def test_coverage_and_accuracies(records):
    assert coverage(records)[["of", "share"]].to_numpy().tolist() == [["parameters", 1.0], ["buffers", 0.98]]
    table = training_accuracy(records)
    assert list(table["labels"]) == ["permuted_labels"] * 2 + ["true_labels"] * 2
    assert set(table["training_accuracy"]) == {0.97}
    assert set(table["epochs"]) == {3}


def test_explainers_without_a_layer_are_coloured_and_references_grey():
    styles = arm_styles(list(SANITY_ARMS))
    assert len({style.colour for style in styles.values()}) == len(SANITY_ARMS)
    grey = [arm for arm, style in styles.items() if style.colour[1:3] == style.colour[3:5] == style.colour[5:7]]
    assert grey == [arm for arm in SANITY_ARMS if arm not in CANDIDATES]


def test_curves_end_beside_the_bar_of_unrelated_maps(axes):
    lines = {CAM: line([1, 0.3, 0.1])}
    band = Band(-0.2, 0.0, 0.25, 60)
    plot_cascade(axes, lines, modules=["", "fc", "stem"], styles=arm_styles([CAM]), labels=LABELS, bands={CAM: band})
    bar = axes.lines[-1]
    assert bar.get_ydata() == pytest.approx([-0.2, 0.25])
    assert min(bar.get_xdata()) > 2
    assert [text.get_text() for text in axes.get_xticklabels()] == ["trained", "fc", "stem", "unrelated"]


def test_heatmap_hatches_what_is_undefined(axes):
    lines = {CAM: line([1, 0.25, math.nan]), ("sobel", ""): line([1, 1, 1])}
    plot_heatmap(axes, lines, modules=["", "fc", "stem"], labels=LABELS)
    assert [text.get_text() for text in axes.texts] == [".25", "1.00", "1.00"]
    assert [(patch.get_x(), patch.get_y(), patch.get_hatch() != "") for patch in axes.patches] == [(1, 0, True)]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["fc", "stem"]
    chart = heat_chart(lines, modules=["", "fc", "stem"], labels=LABELS, title="")
    assert [[cell.text for cell in cells] for _, _, cells in chart.rows] == [["0.25", ""], ["1.00", "1.00"]]
    assert chart.rows[0][2][1].title.endswith("stem: undefined")


def test_bars_of_single_modules(axes):
    modules = ["", "fc", "b", "stem"]
    lines = {CAM: line([1, 0.5, math.nan, 0.75])}
    band = Band(0.0, 0.1, 0.25, 60)
    plot_independent(axes, lines[CAM], modules=modules, style=arm_styles([CAM])[CAM], band=band)
    bars = axes.containers[0].patches
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars] == [(1, 0.5), (3, 0.75)]
    assert [text.get_text() for text in axes.texts] == ["undefined"]
    chart = bar_charts(lines, modules=modules, numbers=NUMBERS, labels=LABELS, bands={CAM: band})[0]
    whole = chart.zero - chart.ticks[-1][0]
    assert [bar.height / whole for bar in chart.bars] == pytest.approx([0.5, 0, 0.75], abs=0.01)
    assert chart.bars[1].title == "b: undefined"
    assert chart.band[1] / whole == pytest.approx(0.25, abs=0.01)


def test_pairs_of_bars(tables, axes):
    table = tables.findings.tables["data_randomization"]
    rows = table[table["variant"] == "ssim"]
    plot_data_randomization(axes, rows, labels=LABELS)
    assert [bar.get_width() for bar in axes.containers[0].patches] == pytest.approx(list(rows["permuted"]))
    assert [bar.get_width() for bar in axes.containers[1].patches] == pytest.approx(list(rows["control"]))
    chart = pair_chart(rows, labels=LABELS, title="")
    one, half = chart.ticks[2][0] - chart.ticks[0][0], chart.rows[-1][2]
    assert chart.rows[-1][0] == "sobel"
    assert [bar.width for bar in half] == pytest.approx([one, one])


def test_a_line_chart_leaves_room_for_the_bars():
    options = {"numbers": NUMBERS, "labels": LABELS, "title": "", "x_label": "", "y_label": ""}
    chart = line_chart({CAM: line([1, 0.2])}, ranges={CAM: (-0.5, 0.3)}, **options)
    assert chart.hover["box"][1] == chart.right < chart.marks[0].x
    assert chart.marks[0].low > chart.marks[0].high
    assert line_chart({CAM: line([1, 0.2])}, **options).right == 430


def test_the_answer_tells_the_verdicts(tables):
    said = answer(tables)
    text = said.headline  # there are no scores
    assert text.startswith("The maps of Grad-CAM at all 4 layers, the gradient")
    assert (
        "the maps of guided backpropagation and guided Grad-CAM at layer4.2 do not depend on what was learned" in text
    )
    assert "3 images, 2 seeds" in text
    assert "sobel" not in text
    assert len(said.facts["sanity_verdicts"]) == len(SANITY_ARMS)


def test_lines_are_the_means_over_images(records):
    cascade = find_cascade(records)
    own = cascade.of(CAM, "ssim")
    assert cascade_lines(cascade, "ssim")[CAM].mean[3] == pytest.approx(own.loc[own["step"] == 3, "value"].mean())


def test_the_whole_report(records, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(every, "save", lambda figure, folder, name: drawn.append(name))
    monkeypatch.setattr(redraw, "make_tables", partial(make_tables, n_resamples=50))
    run = synthetic_run(tmp_path / "run", records=records, maps=False)
    page = redraw.write_report(run).page
    text = page.read_text(encoding="utf-8")
    assert drawn == [
        "cascade", "sanity_heatmap", "independent", "sanity_heatmap_independent_randomization", "data_randomization"
    ]  # fmt: skip
    section = text[text.index('id="sanity"') : text.index('id="tables"')]
    assert section.count('class="verdict passes"') > 6
    for words in ("necessary, not sufficient", "does not depend on what was learned", "The rule is ours", "reproduced",
                  "after 2 of 5 units", "Trained on permuted labels", 'id="cascade-0-spearman"'):  # fmt: skip
        assert words in section
    before = {file: file.read_bytes() for file in (run / "tables").iterdir()}
    assert {"sanity_verdicts.csv", "sanity_claims.md", "coverage.csv"} <= {file.name for file in before}
    redraw.write_report(run)
    assert page.read_text(encoding="utf-8") == text
    assert {file: file.read_bytes() for file in before} == before
