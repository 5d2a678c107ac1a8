import json

import pytest

from xaibench.composition import compose_settings
from xaibench.models.shapes_resnet import load_shapes_resnet50
from xaibench.training.job import recipe_from, train_from_settings
from xaibench.training.recipe import Cycle, Phase, Recipe

TINY = [
    "experiment=train_shapes",
    "out=trained",
    "training.width_per_group=4",
    *(f"+training.{key}={value}" for key, value in {"n_train": 16, "n_validation": 8, "n_test": 8}.items()),
    *(
        f"+training.{key}={value}"
        for key, value in {"images_per_round": 8, "batch_size": 8, "image_size_px": 32}.items()
    ),
    "+training.phases=[{size_px: 32, rounds: 1, window: [1.1, 1.5]}]",
    "+training.cycles=[{rounds: 1, learning_rate: 0.001, horizon: 1}]",
]


def test_the_experiment_is_the_packaged_recipe():
    assert recipe_from(compose_settings(["experiment=train_shapes"])) == Recipe()


def test_settings_become_a_recipe():
    recipe = recipe_from(compose_settings(TINY))
    assert recipe.phases == (Phase(32, 1, window=(1.1, 1.5)),)
    assert recipe.cycles == (Cycle(1, 0.001, horizon=1),)


def test_a_misspelt_setting_is_named():
    with pytest.raises(ValueError, match="training does not take these settings"):
        recipe_from(compose_settings([*TINY, "+training.n_trian=3"]))


def test_what_comes_out_can_be_explained_and_has_a_card(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = train_from_settings(compose_settings(TINY))
    classifier = load_shapes_resnet50(folder / "shapes_resnet50.safetensors")
    assert len(classifier.categories) == 8
    card = json.loads((folder / "shapes_resnet50.json").read_text())
    assert card["recipe"]["n_train"] == 16
    assert len(card["curve"]) == 1
    assert f"Accuracy {card['test']['accuracy']:.4f}" in (folder / "shapes_resnet50.md").read_text()
    assert "accuracy" in capsys.readouterr().out
