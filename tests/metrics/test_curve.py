import json
from dataclasses import replace

import pytest

from xaibench.metrics.baselines import Mean
from xaibench.metrics.curve import Curve
from xaibench.metrics.ordering import Order
from xaibench.metrics.steps import EqualSteps, PixelSteps


def test_pixel_steps_take_what_is_left_last():
    assert PixelSteps(4)(10) == (0, 4, 8, 10)
    assert PixelSteps(5)(10) == (0, 5, 10)
    assert PixelSteps(99)(10) == (0, 10)
    assert PixelSteps(3)(1) == (0, 1)


def test_equal_steps():
    assert EqualSteps(4)(10) == (0, 2, 5, 7, 10)
    assert EqualSteps(28)(50176) == PixelSteps(1792)(50176)
    assert EqualSteps(28)(3) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [("both", (0, 4, 8, 10)), ("start", (0, 4, 8)), ("end", (4, 8, 10)), ("neither", (4, 8))],
)
def test_endpoints(endpoints, expected):
    assert Curve("c", "deletion", steps=PixelSteps(4), endpoints=endpoints).counts(10) == expected


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="step_px must be at least 1"):
        PixelSteps(0)
    with pytest.raises(ValueError, match="n_steps must be at least 1"):
        EqualSteps(-2)
    with pytest.raises(ValueError, match="no point on an image of 10 pixels"):
        Curve("c", "deletion", steps=PixelSteps(10), endpoints="neither").counts(10)
    for setting, value, hint in (
        ("score", "probabilty", "did you mean probability"),
        ("area", "trapez", "did you mean trapezoid"),
        ("endpoints", "bth", "did you mean both"),
    ):
        with pytest.raises(ValueError, match=hint):
            Curve("c", "deletion", **{setting: value})


def test_equal_settings_make_equal_curves():
    assert Curve("c", "insertion") == Curve("c", "insertion")
    assert hash(Curve("c", "insertion")) == hash(Curve("c", "insertion"))


def test_settings_tell_curves_apart_and_fit_json():
    curve = Curve("c", "deletion")
    others = [replace(curve, baseline=Mean()), replace(curve, steps=EqualSteps(3)), replace(curve, area="mean"),
              replace(curve, order=Order(rectify=True)), replace(curve, score="logit"), replace(curve, endpoints="end"),
              Curve("c", "insertion")]  # fmt: skip
    texts = {json.dumps(c.settings(), sort_keys=True) for c in [curve, *others]}
    assert len(texts) == 8
    assert json.loads(json.dumps(curve.settings()))["baseline"] == "Zero()"
