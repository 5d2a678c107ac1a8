import dataclasses
import json
from typing import get_args

import pytest

from xaibench.metrics.areas import AREAS
from xaibench.metrics.cards import CARDS
from xaibench.report import conventions
from xaibench.report.conventions import told

RECORDED = {
    "name": "insertion", "direction": "insertion", "first": "most", "baseline": "RiseBlur(kernel_px=11, sigma_px=5.0)",
    "steps": "EqualSteps(n_steps=16)", "score": "probability", "endpoints": "both", "area": "uniform_trapezoid",
    "ties": "random", "seed": 3, "rectify": True, "resize": "bilinear", "regions": "pixels", "region_score": "mean",
    "precision": None,
}  # fmt: skip
SEVEN = ("Score", "Baseline and its space", "Steps", "Endpoints", "Area rule", "Equal pixels", "Resize of the map")


def test_a_curve_tells_its_seven_conventions_and_its_direction_in_words():
    ((heading, terms),) = told(RECORDED)
    words = dict(terms)
    assert heading == ""
    assert set(SEVEN) <= set(words)
    assert words["Direction of the curve"] == "pixels are put in, most relevant first (seed 3)"
    assert words["Steps"] == "16 equal steps"
    assert "kernel of 11 px, sigma 5" in words["Baseline and its space"]
    assert "normalized space" in words["Baseline and its space"]
    assert words["Endpoints"] == "both: nothing put in and everything put in"
    assert words["Sign of the map"] == "negative values are cut off first"
    assert not any(
        raw in text for text in words.values() for raw in ("uniform_trapezoid", "EqualSteps", "reverse_raster")
    )


def test_nested_curves_are_told_one_by_one_with_what_they_share():
    curve = {key: value for key, value in RECORDED.items() if key not in ("name", "resize")}
    groups = told(
        {"name": "area_between_curves", "resize": "none", "curve": curve, "curve/lerf": curve | {"first": "least"}}
    )
    assert [heading for heading, _ in groups] == ["", "Curve curve", "Curve lerf"]
    assert "least relevant first" in dict(groups[2][1])["Direction of the curve"]
    assert dict(groups[2][1])["Resize of the map"].startswith("not resized")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tolerance_px": 9}, ("Tolerance in pixels", "9")),
        ({"stretch": True}, ("Map scaled to [0, 1]", "yes")),
        ({"order": {"ties": "raster", "seed": 0}}, ("Equal pixels", "the earlier in reading order goes first")),
        ({"unheard_of": "Thing(1)"}, ("Unheard of", "Thing(1)")),
        ({"resize": "none"}, ("Resize of the map", "not resized: the map is as large as the image")),
        ({"images": [8, 3, 128, 128]}, ("Images", "8, 3, 128, 128")),
        ({"steps": "Unknown(n=1)"}, ("Steps", "Unknown(n=1)")),
    ],
)
def test_what_is_no_curve_is_told_setting_by_setting(settings, expected):
    assert expected in [one for _, terms in told(settings) for one in terms]


def test_nothing_recorded_says_nothing():
    assert told({}) == told({"name": "energy_in_mask"}) == []


def _written(kind):
    """An instance of a settings class with made-up values, as a record writes it."""
    values = [f"{one.name}={_made_up(one)}" for one in dataclasses.fields(kind) if one.repr]
    return f"{kind.__name__}({', '.join(values)})"


def _made_up(field):
    return repr(field.default) if field.default is not dataclasses.MISSING else "(1.0, 2.0)"


def test_every_baseline_step_rule_region_area_score_and_tie_rule_has_words():
    pytest.importorskip("torch")
    from xaibench.metrics.baselines import BASELINES
    from xaibench.metrics.ordering import Ties
    from xaibench.metrics.regions import Grid, Patches, Superpixels
    from xaibench.metrics.scores import SCORES
    from xaibench.metrics.steps import STEPS

    for words, kinds in (
        (conventions.BASELINE_WORDS, BASELINES.values()),
        (conventions.STEP_WORDS, STEPS.values()),
        (conventions.REGION_WORDS, (Patches, Grid, Superpixels)),
    ):
        for kind in kinds:
            text = conventions._object(words, _written(kind), unit="pixels")
            assert not text.startswith(kind.__name__), text
            assert "{" not in text
    assert set(AREAS) == set(conventions.AREA_WORDS)
    assert set(SCORES) == set(conventions.SCORE_WORDS)
    assert set(get_args(Ties)) == set(conventions.TIE_WORDS)


def test_every_curve_metric_of_the_catalogue_has_all_conventions_on_its_card():
    pytest.importorskip("torch")
    from xaibench.metrics.catalogue import METRICS
    from xaibench.metrics.curve import CurveMetric
    from xaibench.shards.scores import settings_of

    curves = [metric for metric in (kind() for kind in METRICS.values()) if isinstance(metric, CurveMetric)]
    assert len(curves) > 5
    for metric in curves:
        groups = told(json.loads(settings_of(metric, resize="bilinear")))
        drawn = [dict(terms) for _, terms in groups if "Direction of the curve" in dict(terms)]
        assert drawn, metric
        for terms in drawn:
            assert set(SEVEN) <= set(terms)
            assert "not recorded" not in terms.values()
    assert set(METRICS) <= set(CARDS)
