import json

import pytest

from xaibench.records.record import Record, settings_json


def test_an_undefined_value_needs_a_status():
    with pytest.raises(ValueError, match="NaN exactly where"):
        Record("deletion", float("nan"))


def test_a_defined_value_cannot_be_marked_undefined():
    with pytest.raises(ValueError, match="NaN exactly where"):
        Record("deletion", 0.5, status="undefined", reason="constant map")


def test_equal_settings_have_one_text():
    assert settings_json({"b": 1, "a": [2.5]}) == settings_json({"a": [2.5], "b": 1})
    assert json.loads(settings_json({"b": 1})) == {"b": 1}
