"""The embedded network as the default experiment uses it."""

import pytest
import torch

from xaibench.data.shapes import Shapes
from xaibench.explainers.explanation import explain
from xaibench.models.layers import resolve_layers
from xaibench.models.shapes_resnet import card, load_shapes_resnet50
from xaibench.notebook import prepare


@pytest.fixture(scope="module")
def classifier():
    return load_shapes_resnet50()


def test_the_groups_are_those_of_a_resnet50(classifier):
    assert resolve_layers(classifier.network, ["stages"]) == ["layer1.2", "layer2.3", "layer3.5", "layer4.2"]
    assert len(resolve_layers(classifier.network, ["blocks"])) == 16


def test_at_the_last_block_three_methods_are_one(classifier):
    images = prepare(classifier, Shapes(n=4, seed=11))
    maps = {
        method: explain(classifier, images, ["layer4.2"], method=method)["layer4.2"]
        for method in ("grad_cam", "hires_cam", "xgrad_cam")
    }
    scale = maps["grad_cam"].abs().amax(dim=(1, 2), keepdim=True)
    for method in ("hires_cam", "xgrad_cam"):
        assert float(((maps[method] - maps["grad_cam"]) / scale).abs().max()) < 1e-5


@pytest.mark.slow
def test_the_card_tells_the_accuracy(classifier):
    """A thousand images never trained on, other than those of the card."""
    images = Shapes(n=1000, seed=77)
    hits = 0
    for begin in range(0, len(images), 50):
        samples = [images[index] for index in range(begin, begin + 50)]
        batch = prepare(classifier, samples)
        with torch.inference_mode():
            predicted = classifier.network(batch).argmax(dim=1).tolist()
        hits += sum(p == sample.labels[0] for p, sample in zip(predicted, samples, strict=True))
    stated = card()["test"]["accuracy"]
    spread = (stated * (1 - stated) / len(images)) ** 0.5
    assert hits / len(images) == pytest.approx(stated, abs=4 * spread)
