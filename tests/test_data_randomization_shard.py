"""The data randomization test in a run: which images are learned, what is recorded, and what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from xaibench.data.folder import ImageFolder
from xaibench.data.shapes import Shapes
from xaibench.models.preprocessing import Preprocessing
from xaibench.settings import RunSettings
from xaibench.shards.data_randomization import check_trainable, data_randomization_shard, training_set
from xaibench.training.memorize import CACHE_VARIABLE
from xaibench.workbench import set_up

CHECK = {
    "name": "data_randomization",
    "n_train": 8,
    "max_epochs": 200,
    "learning_rate": 0.03,
    "batch_size": 4,
    "similarities": ["spearman", "ssim"],
}


def bench_of(data=None, **changes):
    return set_up(
        RunSettings(
            model={"name": "own_models:small"},
            data=data or {"name": "shapes", "n": 3, "size": 32},
            explainer={"cam": {"name": "grad_cam", "layers": ["conv1", "relu2"]}, "sobel": {"name": "sobel"}},
            sanity={"labels": CHECK | changes},
            device="cpu",
        )
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_map_is_compared_with_both_retrained_networks(cache):
    bench = bench_of()
    records, maps = data_randomization_shard(bench, "labels", 0, range(3))
    arms = {("cam", "conv1"), ("cam", "relu2"), ("sobel", "")}
    images = [bench.dataset.name(index) for index in range(3)]
    rows = {(r.module, r.explainer, r.layer, r.variant, r.image): r for r in records if r.metric == "labels"}
    ways = ("permuted_labels", "true_labels")
    assert set(rows) == {(w, *arm, v, i) for w in ways for arm in arms for v in ("spearman", "ssim") for i in images}
    assert len(records) == len(rows) + 2
    for (_, explainer, *_), row in rows.items():
        assert row.status == "ok"
        assert (row.value == pytest.approx(1, abs=1e-9)) == (explainer == "sobel")  # Sobel knows no model
        assert row.forward_passes == (
            2 / 4 if explainer == "cam" else 2 * bench.explainers["sobel"].forward_passes() / 2
        )
        assert json.loads(row.settings)["n_train"] == 8
    assert set(maps) == {f"other/{way}/{e}/{layer}/{i}" for way in ways for e, layer in arms for i in images[:2]}
    assert maps[f"other/true_labels/cam/relu2/{images[0]}"].shape == (8, 8)
    assert len(list((cache / "memorized").iterdir())) == 2


def test_the_training_is_recorded_with_its_curve():
    records, _ = data_randomization_shard(bench_of(), "labels", 0, range(1))
    permuted, true = (r for r in records if r.metric == "training_accuracy")
    assert (permuted.module, true.module) == ("permuted_labels", "true_labels")
    for row in (permuted, true):
        assert row.value == row.curve_y[-1] > 0.95 >= max(row.curve_y[:-1])
        assert row.curve_x == tuple(range(1, len(row.curve_y) + 1))
        assert row.forward_passes == 2 * 8 * len(row.curve_x)
        assert row.seconds > 0
    assert "of the permuted labels are the true ones by chance" in permuted.reason


def test_the_same_shard_again_costs_no_training_and_gives_the_same():
    first, maps = data_randomization_shard(bench_of(), "labels", 0, range(2))
    again, same_maps = data_randomization_shard(bench_of(), "labels", 0, range(2))
    key = [(r.metric, r.module, r.explainer, r.layer, r.variant, r.image, r.value, r.curve_y) for r in first]
    assert key == [(r.metric, r.module, r.explainer, r.layer, r.variant, r.image, r.value, r.curve_y) for r in again]
    assert [r.seconds for r in first if r.curve_y] == [r.seconds for r in again if r.curve_y]  # the first training's
    for name, values in maps.items():
        np.testing.assert_array_equal(values, same_maps[name])


def test_without_the_accuracy_the_test_is_not_valid():
    records, _ = data_randomization_shard(bench_of(max_epochs=1, control=False), "labels", 0, range(1))
    assert {r.module for r in records} == {"permuted_labels"}
    (training,) = (r for r in records if r.metric == "training_accuracy")
    assert training.status == "ok"
    for row in records:
        if row.metric == "labels":
            assert math.isnan(row.value)
            assert row.status == "undefined"
            expected = f"training reached only {training.value:.1%} after 1 epochs, not the 95% that the test asks for"
            assert row.reason == expected


def test_drawn_training_images_are_none_of_those_evaluated():
    bench = bench_of({"name": "shapes", "n": 20, "size": 32})
    known = training_set(bench, "labels")
    expected = Shapes(8, 2001, size=32)
    for index in range(8):
        torch.testing.assert_close(known.images[index], bench.classifier.preprocessing.image(expected[index].image))
    assert known.labels.tolist() == [expected.label(index) for index in range(8)]
    with pytest.raises(ValueError, match=r"sanity\.labels\.train_seed must differ from data.seed=0"):
        check_trainable(bench_of(train_seed=0), "labels")


@pytest.fixture
def photographs(tmp_path):
    """Six readable images of two classes and one broken one."""
    root, generator = tmp_path / "photos", np.random.default_rng(0)
    for name, count in (("disk", 3), ("star", 3)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    (root / "disk" / "broken.png").write_bytes(b"no picture")
    return {"name": "folder", "root": str(root)}


def test_a_folder_is_learned_itself_without_what_cannot_be_read(photographs):
    bench = bench_of(photographs, n_train=100)
    known = training_set(bench, "labels")
    assert known.images.shape == (6, 3, 32, 32)
    assert sorted(known.labels.tolist()) == sorted(
        3 * [bench.classifier.categories.index("disk")] + 3 * [bench.classifier.categories.index("star")]
    )
    few = [training_set(bench_of(photographs, n_train=4, train_seed=seed), "labels").images for seed in (1, 1, 2)]
    assert torch.equal(few[0], few[1])
    assert len(few[0]) <= 4
    assert few[0].shape != few[2].shape or not torch.equal(few[0], few[2])


def changed_bench(**changes):
    return replace(bench_of(), **changes)


def test_labels_must_be_the_models_classes_of_which_there_are_two(photographs):
    with pytest.raises(ValueError, match=r"sanity\.labels trains on labels, but the data's categories are not"):
        check_trainable(changed_bench(labels_fit=False), "labels")
    flat = ImageFolder(photographs["root"] + "/star")  # no labels
    with pytest.raises(ValueError, match="must be of two classes at least; found 0"):
        check_trainable(changed_bench(dataset=flat), "labels")


def test_images_must_be_of_one_size():
    bench = bench_of()
    of_any_size = replace(bench.classifier, preprocessing=Preprocessing(32, None, (0.5,) * 3, (0.5,) * 3))
    with pytest.raises(ValueError, match="gives images of several sizes; give it a crop"):
        check_trainable(replace(bench, classifier=of_any_size), "labels")
