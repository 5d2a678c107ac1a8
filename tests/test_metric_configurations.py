"""The files of conf/metric: they compose together, build, and hold the defaults of the classes."""

import dataclasses
import re
from pathlib import Path

import pytest

from xaibench.composition import compose_settings
from xaibench.leaves import metric_of
from xaibench.metrics.baselines import BASELINES
from xaibench.metrics.catalogue import METRICS
from xaibench.metrics.presets import PRESETS

CONF = Path(__file__).parents[1] / "conf" / "metric"
STEPS_OF_THE_RUN = {"n_steps": 16}  # curve_steps, one number for all curves of a run
# what a run's configuration has otherwise than the class, and why
DIFFERENT = {
    **dict.fromkeys(
        ("deletion", "insertion", "morf", "lerf", "area_between_curves", "aopc", "flip_fraction"), STEPS_OF_THE_RUN
    ),
    "pointing_game": {"tolerance_px": 9},  # the paper's 15 px are for larger images than the embedded ones
    "pixel_flipping": {"features_in_step": 4096},  # the class's 224 are 672 passes a map of 224 × 224 pixels
    "monotonicity": {"reading": "share"},  # the paper's strict answer is 0 for nearly every photograph
}
# fields that a file may leave out: rules that take the place of others, and what says nothing in that metric
OPTIONAL = {"steps", "precision"}
LEFT_OUT = {"flip_fraction": {"area"}, "incremental_deletion": {"step_px"}}


@pytest.fixture(scope="module")
def leaves():
    """Every metric and every preset, chosen at once."""
    names = [*METRICS, *(f"preset/{name}" for name in PRESETS)]
    return compose_settings([f"metric=[{','.join(names)}]"]).metric


def test_no_file_and_no_key_is_left_over(leaves):
    assert {file.stem for file in CONF.glob("*.yaml")} == set(METRICS)
    assert {file.stem for file in (CONF / "preset").glob("*.yaml")} == set(PRESETS)
    of_presets = {f"{preset}_{name}" for preset, each in PRESETS.items() for name in each.metrics}
    assert set(leaves) == set(METRICS) | of_presets
    assert len(leaves) == len(METRICS) + len(of_presets)


@pytest.mark.parametrize("name", METRICS)
def test_a_configuration_has_every_field_with_the_default_of_its_class(leaves, name):
    leaf = leaves[name]
    assert leaf["name"] == name
    metric, default = metric_of(name, leaf), METRICS[name]()
    fields = {field.name for field in dataclasses.fields(default)}
    assert fields - set(leaf) - OPTIONAL == LEFT_OUT.get(name, set())
    assert set(leaf) <= fields | {"name"}
    changed = {field: getattr(metric, field) for field in fields if getattr(metric, field) != getattr(default, field)}
    assert changed == DIFFERENT.get(name, {})


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_chosen_by_name_is_the_preset(leaves, preset):
    for name, settings in PRESETS[preset].metrics.items():
        assert metric_of(f"{preset}_{name}", leaves[f"{preset}_{name}"]) == settings


@pytest.mark.parametrize("name", ["deletion", "insertion"])
def test_the_comment_lists_every_baseline(name):
    comments = " ".join(re.findall(r"#(.*)", (CONF / f"{name}.yaml").read_text()))
    assert set(BASELINES) <= set(re.findall(r"\w+", comments))
