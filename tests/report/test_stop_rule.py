"""The rule for stopping early: what is wrong with it is told before work starts."""

import json

import pytest

from xaibench.metrics.cards import CARDS
from xaibench.names import UnknownName
from xaibench.report.stop_rule import StopRule, metric_range

RUN = {"metric": {"insertion": {}, "deletion": {}, "infidelity": {}}, "stop_when": "settled", "stop": {}}
OF_PROBABILITIES = '{"score": "probability"}'
TWO_LAYERS = [("grad_cam", "layer3.5"), ("grad_cam", "layer4.2"), ("sobel", "")]


def test_without_stop_when_there_is_no_rule():
    assert StopRule.of({"metric": {}, "stop_when": None, "stop": {"metric": "nothing"}}) is None
    assert StopRule.of({}) is None


def test_the_rule_of_the_short_form_is_about_insertion():
    assert StopRule.of(RUN) == StopRule("insertion", alpha=0.05, margin=None, at_least=8)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"stop_when": "setled"}, "unknown stop_when 'setled'; did you mean settled"),
        ({"stop": {"metric": "insertoin"}}, "unknown metric in stop.metric.*'insertoin'; did you mean insertion"),
        ({"stop": {"alhpa": 0.1}}, "unknown key of stop 'alhpa'; did you mean alpha"),
        ({"stop": {"alpha": 0}}, "stop.alpha is the chance of a false answer.*got 0"),
        ({"stop": {"alpha": 1.0}}, "stop.alpha is the chance of a false answer.*got 1"),
        ({"stop": {"alpha": "5 %"}}, "stop.alpha is a number; got '5 %'"),
        ({"stop": {"alpha": None}}, "stop.alpha is a number; got None"),
        ({"stop": {"margin": True}}, "stop.margin is a number; got True"),
        ({"stop": {"margin": float("nan")}}, "stop.margin is a number; got nan"),
        ({"stop": {"at_least": 0}}, "stop.at_least is a number of images, 1 or more; got 0"),
        ({"stop": {"at_least": 2.5}}, "stop.at_least is a number of images.*got 2.5"),
    ],
)
def test_a_wrong_setting_is_named(changed, told, as_in_production):
    with pytest.raises((ValueError, UnknownName), match=told):
        StopRule.of({**RUN, **changed})


def test_corrupted_maps_are_no_candidates():
    explainers = {"grad_cam": {"name": "grad_cam"}, "half": {"name": "corrupted", "of": "grad_cam", "share": 0.5}}
    rule = StopRule.of({**RUN, "explainer": explainers})
    arms = [("grad_cam", "layer3.5"), ("half", "layer3.5"), ("grad_cam", "layer4.2"), ("oracle", ""), ("sobel", "")]
    assert rule.candidates(arms) == [("grad_cam", "layer3.5"), ("grad_cam", "layer4.2")]


def test_one_layer_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="needs two at least; this run has 1: add a layer"):
        StopRule().check(OF_PROBABILITIES, [("grad_cam", "layer4.2"), ("sobel", ""), ("random", "")])
    StopRule().check(OF_PROBABILITIES, TWO_LAYERS)


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0])
def test_a_margin_is_a_difference_that_can_be(margin):
    with pytest.raises(ValueError, match="between 0 and 1; got"):
        StopRule(margin=margin).check(OF_PROBABILITIES, TWO_LAYERS)


@pytest.mark.parametrize(
    ("metric", "settings", "told"),
    [
        ("infidelity", {}, "has no fixed range.*metrics that fit: deletion, insertion"),
        ("irof", {}, "has no fixed range"),
        ("pixel_flipping", {}, "has no fixed range"),
        ("map_entropy", {}, "has no fixed range"),
        ("tied_fraction", {}, "has no better direction"),
        ("insertion", {"score": "logit"}, "reads logit.*set metric.insertion.score=probability"),
        ("insertion", {"area": "mean_drop"}, "reads a score that its settings do not name"),
        ("average_drop", {"score": "log_probability"}, "reads log_probability"),
        ("insertion", {"score": "probability", "area": "unit_trapezoid"}, "area=unit_trapezoid, which grows"),
        ("own", {"name": "deletion", "score": "logit"}, "reads logit"),
        (
            "srg",
            {"name": "srg", "mif": {"score": "probability"}, "lif": {"score": "logit"}},
            "reads logit, probability",
        ),
        ("nowhere", {}, "has no better direction"),
    ],
)
def test_a_metric_without_a_known_range_is_refused(metric, settings, told):
    with pytest.raises(ValueError, match=told):
        metric_range(metric, json.dumps(settings))


@pytest.mark.parametrize(
    ("metric", "settings", "found"),
    [
        ("insertion", {"score": "probability", "area": "uniform_trapezoid"}, (0, 1)),
        ("insertion", {"score": "probability", "area": "mean_drop"}, (-1, 1)),
        ("mine", {"name": "deletion", "score": "probability"}, (0, 1)),
        ("pointing_game", {}, (0, 1)),
        ("best_iou", {}, (0, 1)),
        ("coherency", {}, (0, 1)),  # a correlation of maps: no score is read
        ("road", {"score": "probability"}, (-0.5, 0.5)),
        ("region_perturbation", {"score": "probability"}, (-1, 1)),
        ("mu_fidelity", {"score": "logit"}, (-1, 1)),  # a correlation whatever it correlates
    ],
)
def test_ranges_come_from_the_cards(metric, settings, found):
    assert metric_range(metric, json.dumps(settings)) == found


def test_every_card_with_a_direction_has_a_range_or_is_known_to_have_none():
    without = set()
    for card in CARDS.values():
        if card.higher_is_better is not None and card.family not in ("sanity", "timing", "precision"):
            try:
                low, high = metric_range(card.name, OF_PROBABILITIES)
            except ValueError:
                without.add(card.name)
            else:
                assert low < high <= 1
    assert without == {
        "pixel_flipping", "irof", "infidelity", "max_sensitivity", "avg_sensitivity", "local_lipschitz",
        "relative_input_stability", "relative_output_stability", "map_entropy", "effective_complexity",
    }  # fmt: skip
