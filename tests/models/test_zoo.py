import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from xaibench.models.checks import check_classifier
from xaibench.models.preprocessing import IMAGENET, Preprocessing
from xaibench.models.weights import UnusableWeights, digest
from xaibench.models.zoo import load_model, model_names
from xaibench.names import UnknownName

SOURCE = """
from torch import nn
from xaibench.models.classifier import Classifier
from xaibench.models.preprocessing import IMAGENET

def network():
    made = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made[0].weight.requires_grad = False
    return made

def classifier():
    return Classifier("mine", network(), IMAGENET, ("a", "b", "c", "d"), "trained", "?")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "zoo_net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("zoo_net", None)


def test_names_of_all_models():
    names = model_names()
    assert names[0] == "shapes_resnet50"
    assert "resnet50" in names


def test_an_unknown_model_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown model 'resnet5O'; did you mean .*resnet50"):
        load_model("resnet5O")


def test_a_torchvision_model_is_ready_to_use():
    model = load_model("mobilenet_v3_small", weights="random", num_classes=5, categories=list("abcde"))
    assert not model.network.training
    assert model.network.features[0][0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model.categories == tuple("abcde")
    assert model.preprocessing == Preprocessing.from_torchvision(
        torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.transforms()
    )
    assert model.digest == digest(model.network)
    assert check_classifier(model) == 5


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_give_plain_logits(name):
    assert check_classifier(load_model(name, weights="random")) == 1000


def test_the_preprocessing_can_be_replaced():
    other = Preprocessing(64, 64, (0.5,) * 3, (0.5,) * 3)
    assert load_model("squeezenet1_1", weights="random", preprocessing=other).preprocessing == other


def test_a_users_network_is_left_as_it_is_but_for_evaluation(here):
    model = load_model("zoo_net:network", preprocessing=IMAGENET)
    assert not model.network[0].weight.requires_grad
    assert model.network[1].weight.requires_grad
    assert not model.network.training
    assert (model.name, model.weights, model.digest) == ("zoo_net:network", "own", digest(model.network))
    assert check_classifier(model) == 4


def test_a_users_bare_network_needs_a_preprocessing(here):
    with pytest.raises(ValueError, match="preprocessing="):
        load_model("zoo_net:network")


def test_a_users_classifier_keeps_its_own_and_gets_its_digest(here):
    model = load_model("zoo_net:classifier")
    assert (model.name, model.preprocessing, model.weights) == ("mine", IMAGENET, "trained")
    assert model.categories == ("a", "b", "c", "d")
    assert model.digest == digest(model.network)
    assert not model.network.training


def test_a_users_model_is_filled_from_a_file(here):
    torch.save(load_model("zoo_net:classifier", seed=8).network.state_dict(), here / "mine.pth")
    model = load_model("zoo_net:classifier", weights="mine.pth")
    assert model.digest == load_model("zoo_net:classifier", seed=8).digest
    assert model.weights == "mine.pth"
    torch.save(nn.Linear(2, 2).state_dict(), here / "other.pth")
    with pytest.raises(UnusableWeights, match=r"other\.pth does not fit Sequential"):
        load_model("zoo_net:classifier", weights="other.pth")


def test_the_embedded_model_is_asked_for_by_name(monkeypatch):
    asked = []
    stand_in = load_model("squeezenet1_1", weights="random", num_classes=8)
    module = SimpleNamespace(load_shapes_resnet50=lambda weights: asked.append(weights) or stand_in)
    monkeypatch.setitem(sys.modules, "xaibench.models.shapes_resnet", module)
    assert load_model("shapes_resnet50").network is stand_in.network
    load_model("shapes_resnet50", weights="mine.safetensors")
    assert asked == [None, Path("mine.safetensors")]
