import dataclasses

import pandas as pd
import pytest
from synthetic_records import LAYERS, synthetic_records

from xaibench.report.cost.quality import arm_costs, cost_quality, cost_quality_table, cost_sentences
from xaibench.report.cost.tables import cost, path_milliseconds, timing
from xaibench.report.figures.pareto import pareto_figure
from xaibench.report.labels import arms
from xaibench.report.page.cost_quality_view import cost_quality_view
from xaibench.report.scores import analyse

ARMS = [("grad_cam", layer) for layer in LAYERS]


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic_records()


@pytest.fixture(scope="module")
def scores(records):
    return [one for one in analyse(records, n_resamples=400) if one.metric in ("insertion", "deletion")]


def timed(**milliseconds: float) -> pd.DataFrame:
    """A table of timing with the whole explanation of each layer."""
    rows = [
        {"layer": layer.replace("_", "."), "phase": "explanation", "milliseconds": ms}
        for layer, ms in milliseconds.items()
    ]
    return pd.DataFrame(rows)


def found(scores, **milliseconds: float):
    return cost_quality(scores, timed(**milliseconds), pd.DataFrame(columns=["metric", "arm", "seconds_per_image"]))


def test_the_front_has_what_no_cheaper_arm_reaches(scores):
    # quality rises with depth: 0.30, 0.45, 0.70, 0.72
    (one,) = found(scores, layer1_2=5.0, layer2_3=9.0, layer3_5=7.0, layer4_2=8.0)
    assert [point.arm[1] for point in one.points] == ["layer1.2", "layer3.5", "layer4.2", "layer2.3"]
    assert [point.arm[1] for point in one.front] == ["layer1.2", "layer3.5", "layer4.2"]
    assert one.scores.metric == "insertion"


def test_lower_scores_are_better_where_the_metric_says_so(scores):
    deletion = [one for one in scores if one.metric == "deletion"]
    (one,) = found(deletion, layer1_2=9.0, layer2_3=8.0, layer3_5=7.0, layer4_2=6.0)
    assert [point.arm[1] for point in one.front] == ["layer4.2"]


def test_equal_costs_leave_the_better_one(scores):
    (one,) = found(scores, layer1_2=5.0, layer2_3=5.0, layer3_5=5.0, layer4_2=5.0)
    assert [point.arm[1] for point in one.front] == ["layer4.2"]


def only(scores, *layers: str):
    """Scores of some layers alone."""
    kept = [("grad_cam", layer) for layer in layers]
    (one,) = [one for one in scores if one.metric == "insertion"]
    comparisons = one.comparisons[one.comparisons["first"].isin(kept) & one.comparisons["second"].isin(kept)]
    intervals = {arm: one.intervals[arm] for arm in kept}
    return [dataclasses.replace(one, values=one.values[kept], intervals=intervals, comparisons=comparisons)]


def test_best_and_cheapest_is_said_where_the_tests_settle_it(scores):
    settled = only(scores, "layer1.2", "layer4.2")
    (sentence,) = cost_sentences(found(settled, layer1_2=9.0, layer4_2=6.0))
    assert sentence.endswith("Grad-CAM at layer4.2 is both best and the cheapest, at 6.00 ms an image.")
    (sentence,) = cost_sentences(found(settled, layer1_2=6.2, layer4_2=6.0))  # nearer than 5 %
    assert "both best and among the cheapest" in sentence


def test_what_cannot_be_told_from_the_best_is_not_called_worse(scores):
    (sentence,) = cost_sentences(found(scores, layer1_2=9.0, layer2_3=8.0, layer3_5=5.0, layer4_2=6.0))
    assert sentence.endswith(
        "nothing dearer is shown to be better: Grad-CAM at layer3.5 is among the best and cheapest."
    )


def test_a_price_is_named_with_its_test(scores):
    (sentence,) = cost_sentences(found(scores, layer1_2=4.0, layer2_3=8.0, layer3_5=6.0, layer4_2=5.0))
    assert (
        "quality has its price: Grad-CAM at layer1.2 (4.00 ms an image) costs least but scores worse than" in sentence
    )
    assert "(adjusted p" in sentence
    assert sentence.endswith("of the arms that may be best, Grad-CAM at layer4.2 (5.00 ms an image) costs least.")


def test_other_methods_than_the_timed_one_make_all_costs_those_of_the_run(records):
    table, spent = timing(records), cost(records)
    costs, meaning = arm_costs(ARMS, table, spent)
    assert costs == {("grad_cam", layer): path_milliseconds(table)[layer] for layer in LAYERS}
    assert "alone" in meaning
    costs, meaning = arm_costs([*ARMS, ("layer_cam", "layer4.2"), ("sobel", "")], table, spent)
    assert costs["grad_cam", "layer4.2"] == pytest.approx(1.0)  # a millisecond in the row of the map
    assert costs["sobel", ""] == pytest.approx(1.0)
    assert "shared" in meaning


def test_without_costs_there_is_nothing_to_draw(scores, records):
    bare = records.assign(seconds=float("nan"))
    assert cost_quality(scores, timing(records.iloc[:0]), cost(bare)) == []


def test_table_page_and_figure_show_the_same_arms(scores, records):
    chosen = cost_quality(scores, timing(records), cost(records))
    table = cost_quality_table(chosen)
    assert list(table["arm"]) == [f"grad_cam @ {point.arm[1]}" for point in chosen[0].points]
    assert table["on_front"].sum() == len(chosen[0].front)
    order = arms(records)
    labels = {arm: "/".join(arm) for arm in order}
    (chart,) = cost_quality_view(chosen, numbers={arm: i for i, arm in enumerate(order)}, labels=labels)
    assert [spot.label for spot in chart.spots] == [labels[point.arm] for point in chosen[0].points]
    xs = [spot.x for spot in chart.spots]
    assert xs == sorted(xs)
    assert 48 <= xs[0] < xs[-1] <= 352
    for spot in chart.spots:
        assert 12 <= spot.high <= spot.y <= spot.low <= chart.bottom  # pixels run downwards
    figure = pareto_figure(chosen, order=order, labels=labels, device="cpu")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {labels[point.arm] for point in chosen[0].points}
    assert "explanation of this layer alone" in figure.get_supxlabel()
