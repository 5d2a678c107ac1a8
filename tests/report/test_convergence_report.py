"""Enough images? Tables, pictures and the page's part; figures for a paper; a difference that the user names."""

import hashlib
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic_records import ARMS, synthetic_records

from xaibench.report import overlays
from xaibench.report.arms import short_labels
from xaibench.report.convergence import COLUMNS, converged, convergence_table
from xaibench.report.figures.convergence import convergence_figure, plot_stability
from xaibench.report.figures.critical_difference import critical_difference_figure, plot_critical_difference
from xaibench.report.figures.style import arm_styles, save_pdf
from xaibench.report.page.convergence_view import convergence_view
from xaibench.report.scores import NAMED, analyse, comparisons
from xaibench.statistics.critical_difference import critical_difference
from xaibench.statistics.sample_size import images_needed

LABELS = short_labels(ARMS)
STYLES = arm_styles(list(ARMS))


@pytest.fixture(scope="module")
def scores():
    records = synthetic_records(12)
    kept = records["metric"].isin(["deletion", "insertion", "confidence", "best_iou"])
    return analyse(records[kept], n_resamples=199)


@pytest.fixture(scope="module")
def metrics(scores):
    return converged(scores)


def test_table_says_what_would_part_the_leaders(scores, metrics):
    table = convergence_table(metrics)
    assert list(table.columns) == COLUMNS
    assert "confidence" not in set(table["metric"])  # it ranks nothing
    deletion = next(one for one in scores if one.metric == "deletion")
    means = deletion.values.mean().sort_values()
    metric = next(one for one in metrics if one.scores.metric == "deletion")
    assert metric.leaders == tuple(means.index[:2])
    differences = deletion.values[means.index[0]] - deletion.values[means.index[1]]
    row = table[table["metric"] == "deletion"].iloc[-1]
    assert row["images"] == 11
    assert row["leaders_95"] == images_needed(differences, power=0.95, n_comparisons=21).n
    assert (convergence_table([]).columns == COLUMNS).all()


def test_stability_marks_only_numbers_within_reach(metrics):
    metric = metrics[0]
    axes = plot_stability(Figure().subplots(), metric)
    labels = axes.get_legend_handles_labels()[1]
    within = [n for n in metric.needed.values() if math.isfinite(n) and n <= 10 * metric.n_images]
    assert sum("power" in label for label in labels) == len(within)


def test_diagram_joins_what_the_test_does_not_tell_apart(scores):
    deletion = next(one for one in scores if one.metric == "deletion")
    found = critical_difference(deletion.values, higher_is_better=False)
    axes = Figure().subplots()
    axes.set_ylim(2, 0)
    plot_critical_difference(axes, found, styles=STYLES, labels=LABELS)
    bars = [line for line in axes.lines if line.get_linewidth() == 2.6]
    assert len(bars) == len(found.groups)
    for bar, group in zip(bars, found.groups, strict=True):
        assert bar.get_xdata()[0] < found.mean_ranks[group[0]] <= found.mean_ranks[group[-1]] < bar.get_xdata()[1]
    names = [text.get_text() for text in axes.texts]
    for arm, rank in found.mean_ranks.items():
        assert any(LABELS[arm] in name and f"{rank:.2f}" in name for name in names)


def test_no_diagram_without_ranking_metrics(scores):
    descriptive = [one for one in scores if one.higher_is_better is None]
    assert critical_difference_figure(descriptive, arms=list(ARMS), labels=LABELS) is None


@pytest.mark.parametrize("width", [3.25, 7.0])
def test_paper_figures_have_the_columns_width_readable_words_and_the_same_bytes(scores, metrics, tmp_path, width):
    digests = []
    for copy in ("one", "two"):
        figures = {
            "convergence": convergence_figure(metrics, labels=LABELS, arms=list(ARMS), width=width),
            "critical": critical_difference_figure(scores, labels=LABELS, arms=list(ARMS), width=width),
        }
        for name, figure in figures.items():
            file = save_pdf(figure, tmp_path / copy / f"{name}.pdf")
            text = file.read_bytes()
            digests.append((name, hashlib.sha256(text).hexdigest()))
            assert f"/MediaBox [ 0 0 {72 * width:g} ".encode() in text
            assert b"/FontFile2" in text  # TrueType, embedded
            assert b"CreationDate" not in text
            sizes = [one.get_fontsize() for one in figure.findobj(lambda one: hasattr(one, "get_fontsize"))]
            assert min(sizes) >= 6
    assert sorted(digests[:2]) == sorted(digests[2:])


def test_page_shows_the_first_metrics(metrics):
    views = convergence_view(metrics, numbers={arm: i for i, arm in enumerate(ARMS)}, labels=LABELS)
    assert [view.metric for view in views] == ["deletion", "insertion"]
    assert views[0].stability[0][0] == "5"
    assert views[0].stability[-1][1] == "1.00 (1.00 to 1.00)"
    assert views[0].words.endswith(".")
    assert {series.arm for series in views[0].chart.series} == set(range(len(ARMS)))


def test_a_named_difference_has_columns_of_its_own():
    records = synthetic_records(12)
    records = records[records["metric"] == "deletion"]
    named = analyse(records, n_resamples=199, difference=0.05)
    plain = comparisons(analyse(records, n_resamples=199))
    table = comparisons(named)
    assert not set(NAMED) & set(plain)
    pd.testing.assert_frame_equal(table.drop(columns=list(NAMED)), plain)
    first, second = ARMS[0], ARMS[1]
    differences = named[0].values[first] - named[0].values[second]
    wanted = images_needed(differences, difference=0.05, power=0.8, n_comparisons=21).n
    assert table.loc[0, "named_images_80"] == wanted
    assert (table["named_images_95"] >= table["named_images_80"]).all()
    assert (table["named_difference"] == 0.05).all()


@pytest.mark.parametrize("difference", [0.0, -0.1, math.nan, math.inf])
def test_a_difference_is_above_zero(difference):
    with pytest.raises(ValueError, match=r"difference is a difference of means above 0"):
        analyse(synthetic_records(3), difference=difference)


def test_jet_only_on_request():
    picture, values = np.full((8, 8, 3), 90, np.uint8), np.linspace(0, 1, 64).reshape(8, 8)
    usual = overlays.overlay(picture, values)
    with overlays.coloured("jet"):
        asked = overlays.overlay(picture, values)
    np.testing.assert_array_equal(asked, overlays.overlay(picture, values, colour_map="jet"))
    np.testing.assert_array_equal(usual, overlays.overlay(picture, values, colour_map="inferno"))
    assert (usual != asked).any()
    with pytest.raises(ValueError, match=r"infern"), overlays.coloured("infernal"):
        pass
