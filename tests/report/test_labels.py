import pandas as pd
import pytest
from synthetic_records import ARMS, LAYERS, synthetic_records

from xaibench.explainers.catalogue import EXPLAINERS
from xaibench.explainers.catalogue import REFERENCES as REFERENCE_CLASSES
from xaibench.report.labels import REFERENCES, arm_label, arms, higher_is_better, is_reference, spoken


def test_labels():
    assert arm_label(("grad_cam", "layer4.2")) == "grad_cam @ layer4.2"
    assert arm_label(("sobel", "")) == "sobel"
    assert arm_label(("", "")) == "model"
    assert spoken(("grad_cam", "layer4.2")) == "Grad-CAM at layer4.2"
    assert spoken(("sobel", "")) == "the reference sobel"
    assert spoken(("mine", "")) == "mine"


def test_references_are_those_of_the_catalogue():
    assert set(REFERENCES) == set(REFERENCE_CLASSES)
    assert [name for name in EXPLAINERS if is_reference((name, ""))] == list(REFERENCE_CLASSES)


def test_arms_in_order_whatever_the_order_of_rows():
    records = synthetic_records()
    assert arms(records) == list(ARMS)
    assert arms(records[::-1], layers=LAYERS) == list(ARMS)
    assert arms(records[::-1])[0] == ("grad_cam", "layer4.2")
    assert arms(records, layers=["layer4.2"])[:2] == [("grad_cam", "layer4.2"), ("grad_cam", "layer1.2")]
    assert arms(pd.DataFrame({"explainer": [], "layer": []})) == []


@pytest.mark.parametrize(
    ("metric", "settings", "direction"),
    [
        ("insertion", "{}", True),
        ("deletion", "{}", False),
        ("confidence", "{}", None),
        ("my_blurred", '{"name":"deletion"}', False),
        ("never_heard_of", "", None),
    ],
)
def test_direction_from_the_card(metric, settings, direction):
    assert higher_is_better(metric, settings) is direction
