import numpy as np
import pytest
from own_models import small
from PIL import Image

import xaibench


def test_three_lines_give_maps_a_curve_and_a_figure(tmp_path):
    classifier = small()
    images = xaibench.prepare(classifier, xaibench.Shapes(n=2, seed=1, size=32))
    attributions = xaibench.explain(classifier, images, ["conv1", "relu2"])
    curve = xaibench.deletion_curve(classifier, images, attributions["relu2"], n_steps=4)
    assert {layer: tuple(maps.shape) for layer, maps in attributions.items()} == {
        "conv1": (2, 32, 32),
        "relu2": (2, 32, 32),
    }
    assert curve.scores.shape == (2, 5)
    figure = xaibench.figure(classifier, images, attributions)
    figure.savefig(tmp_path / "maps.png")
    with Image.open(tmp_path / "maps.png") as drawn:
        width, height = drawn.size
    assert width > height > 100


def test_pictures_come_as_arrays_or_paths(tmp_path):
    classifier = small()
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    from_array, from_path = xaibench.prepare(classifier, [picture, tmp_path / "a.png"])
    assert (from_array == from_path).all()


def test_no_picture_is_an_error():
    with pytest.raises(ValueError, match="no image"):
        xaibench.prepare(small(), [])


def test_every_public_name_is_there():
    for name in xaibench.__all__:
        assert callable(getattr(xaibench, name))
    with pytest.raises(AttributeError, match="grad_camm"):
        _ = xaibench.grad_camm
