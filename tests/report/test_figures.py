import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic_records import ARMS, QUALITY, synthetic_records
from synthetic_run import CATEGORIES, synthetic_maps

from xaibench.report.arms import short_labels
from xaibench.report.figures.cascade import cascade_figure
from xaibench.report.figures.cost import plot_cost
from xaibench.report.figures.curves import plot_curves
from xaibench.report.figures.gallery import SIDE, caption, plot_gallery
from xaibench.report.figures.scores import plot_scores
from xaibench.report.figures.strip import plot_strip
from xaibench.report.figures.style import arm_styles, save
from xaibench.report.pictures import pictured, pictured_names, spread_evenly, strips
from xaibench.report.sanity.checks import find_cascade
from xaibench.report.scores import analyse
from xaibench.report.summaries import cascade_lines, mean_curves, phase_costs

LABELS = short_labels(ARMS)


@pytest.fixture(scope="module")
def records():
    return synthetic_records(6)


@pytest.fixture(scope="module")
def maps():
    return synthetic_maps(["one", "two", "three"])


@pytest.fixture
def axes():
    return Figure().subplots()


def test_every_arm_has_one_colour_of_its_own():
    many = [("grad_cam", f"layer{i}") for i in range(16)]
    for arms in (ARMS, many):
        styles = arm_styles(list(arms))
        assert len({style.colour for style in styles.values()}) == len(arms)
    assert not arm_styles(list(ARMS))["grad_cam", "layer4.2"].dashes
    assert arm_styles(list(ARMS))["sobel", ""].dashes


@pytest.mark.parametrize(("metric", "lower"), [("deletion", True), ("insertion", False)])
def test_curves_are_listed_best_first(records, axes, metric, lower):
    lines = mean_curves(records, metric)
    plot_curves(axes, lines, styles=arm_styles(list(lines)), labels=LABELS, lower_is_better=lower)
    shown = [text.get_text().split()[1] for text in axes.get_legend().get_texts()]
    by_quality = sorted(ARMS, key=lambda arm: -QUALITY[arm])
    assert shown[-1] == LABELS[by_quality[-1]] == "random"
    assert set(shown[:2]) == {"layer3.5", "layer4.2"}


def test_scores_fill_the_best_set_and_say_undefined(records, axes):
    scores = next(one for one in analyse(records, n_resamples=200) if one.metric == "insertion")
    missing = ("grad_cam", "nowhere")
    order = [*ARMS, missing]
    plot_scores(axes, scores, arms=order, styles=arm_styles(order))
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    filled = [ARMS[int(dot.get_ydata()[0])] for dot in dots if dot.get_markerfacecolor() != "white"]
    assert filled == list(scores.best.members)
    assert [text.get_text() for text in axes.texts] == ["undefined"]
    assert axes.get_xlabel() == "better →"


def test_gallery_says_which_maps_are_degenerate_and_why(records, maps, axes):
    rows = pictured(maps, records, names=pictured_names(maps), categories=CATEGORIES)
    plot_gallery(axes, rows, arms=ARMS, labels=LABELS)
    texts = [text.get_text().replace("\n", " ") for text in axes.texts]
    assert texts.count("no positive evidence") == 1
    assert texts.count("the same everywhere") == 1
    assert set(LABELS.values()) <= set(texts)
    assert axes.images[0].get_array().shape[1] > SIDE * (len(ARMS) + 1)


def test_captions_tell_label_and_explained_class(maps, records):
    known = pictured(
        {"picture/single-00001": maps["picture/one"]}, records, names=["single-00001"], categories=CATEGORIES
    )
    assert caption(known[0]).startswith("square ")
    stranger = pictured({"picture/x": maps["picture/one"]}, records, names=["x"], categories=CATEGORIES)
    assert caption(stranger[0]) == "x"


def test_strip_starts_with_the_trained_model(maps, records, axes):
    strip = strips(maps)[0]
    plot_strip(axes, strip, modules=find_cascade(records).modules, labels=LABELS)
    texts = [text.get_text() for text in axes.texts]
    assert texts[:4] == ["layer1.2", "layer2.3", "layer3.5", "layer4.2"]
    assert texts[4:6] == ["trained", "fc"]
    np.testing.assert_array_equal(strip.maps["grad_cam", "layer4.2"][0], maps["map/grad_cam/layer4.2/one"])


def test_cascade_has_a_panel_for_each_similarity(records):
    panels = {name: cascade_lines(find_cascade(records), name) for name in ("spearman", "ssim")}
    figure = cascade_figure(panels, modules=find_cascade(records).modules, labels=LABELS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Spearman, signed", "SSIM"]
    assert figure.axes[0].get_xticklabels()[0].get_text() == "trained"


def test_cost_bars_end_at_the_sum_of_the_path(records, axes):
    costs = phase_costs(records)
    plot_cost(axes, costs)
    row = costs.loc["layer1.2"]
    total = row[["forward_with_hooks", "backward_to_layer", "reduce", "upsample"]].sum()
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == 0]
    assert max(ends) == pytest.approx(total)


def test_an_overview_reaches_from_first_to_last():
    assert spread_evenly(list("abcdefghi"), 3) == ["a", "e", "i"]
    assert spread_evenly(["a"], 3) == ["a"]


def test_the_same_figure_gives_the_same_bytes(records, tmp_path):
    panels = {"ssim": cascade_lines(find_cascade(records), "ssim")}
    for folder in ("a", "b"):
        save(cascade_figure(panels, modules=find_cascade(records).modules, labels=LABELS), tmp_path / folder, "cascade")
    for name in ("cascade.png", "cascade.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a" / "cascade.svg").read_bytes()
