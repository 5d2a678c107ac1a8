"""What a row says of how its value came about."""

import json

import pytest

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.catalogue import CURVES, METRICS
from xaibench.shards.scores import settings_of

CONVENTIONS = {"score", "baseline", "steps", "endpoints", "area", "first", "ties", "seed", "rectify"}


@pytest.mark.parametrize("name", METRICS)
def test_every_row_names_its_metric_and_how_the_map_met_the_pixels(name):
    settings = json.loads(settings_of(METRICS[name](), resize="bicubic"))
    assert settings["name"] == name
    assert settings["resize"] == "bicubic"


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_has_all_conventions(name):
    settings = json.loads(settings_of(METRICS[name](), resize="none"))
    drawn = [value for key, value in settings.items() if key.startswith("curve/")] or [settings]
    assert all(set(curve) >= CONVENTIONS for curve in drawn)


def test_a_map_rectified_before_the_resize_says_so():
    assert GradCAM(layers=("relu",)).resize == "bilinear"
    assert GradCAM(layers=("relu",), upsampling="bicubic", rectify=True).resize == "bicubic, rectified before"
