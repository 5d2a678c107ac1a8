"""Folding what a cascade has settled changes what is computed, not what comes out of it."""

import copy
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.gradients import Gradient
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.settled import folded_when_settled
from xaibench.metrics.units import randomization_units

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([1, 2])


class Network(nn.Module):
    """Two pairs in a row, then one whose convolution somebody else reads, too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8)
        self.conv3, self.bn3 = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(8, 4)
        for norm in (self.bn1, self.bn2, self.bn3):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x):
        x = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        between = self.conv3(x)
        return self.fc((self.bn3(between) + between).relu().mean(dim=(2, 3)))


@pytest.fixture
def network():
    return Network().eval()


def tensors_of(network, *modules):
    return [f"{module}.{name}" for module in modules for name in network.get_submodule(module).state_dict()]


@pytest.fixture
def normalized(monkeypatch):
    """Channels of every batch normalization that is computed."""
    calls, plain = [], F.batch_norm

    def counted(images, *args, **kwargs):
        calls.append(images.shape[1])
        return plain(images, *args, **kwargs)

    monkeypatch.setattr(F, "batch_norm", counted)
    return calls


def test_settled_pairs_give_the_same_without_normalizing(network, normalized):
    network.double()
    images = IMAGES.double()
    with torch.no_grad():
        plain = network(images)
        assert normalized == [6, 8, 8]
        with folded_when_settled(network) as folds:
            folds.settle(tensors_of(network, "conv2", "bn2"))
            normalized.clear()
            torch.testing.assert_close(network(images), plain, rtol=0, atol=1e-12)
            assert normalized == [6, 8]  # the third pair is read in between
            folds.settle(tensors_of(network, "conv1", "bn1", "conv2", "bn2", "conv3", "bn3"))
            normalized.clear()
            torch.testing.assert_close(network(images), plain, rtol=0, atol=1e-12)
            assert normalized == [8]
        normalized.clear()
        assert torch.equal(network(images), plain)
        assert normalized == [6, 8, 8]


def test_a_pair_half_settled_is_left_alone(network, normalized):
    with folded_when_settled(network) as folds, torch.no_grad():
        folds.settle([*tensors_of(network, "bn1"), "conv2.weight"])
        network(IMAGES)
    assert normalized == [6, 8, 8]


def test_what_a_hook_sees_is_as_ever(network):
    seen = []
    for module in (network.conv1, network.bn2):
        module.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        network(IMAGES)
        with folded_when_settled(network) as folds:
            folds.settle(network.state_dict())
            network(IMAGES)
    assert len(seen) == 4
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


def test_a_hook_that_comes_later_is_respected_and_goes_again(network, normalized):
    with folded_when_settled(network) as folds, torch.no_grad():
        folds.settle(network.state_dict())
        handle = network.bn1.register_forward_hook(lambda *_: None)
        network(IMAGES)
        handle.remove()
        network(IMAGES)
    assert normalized == [6, 8, 8]


def test_gradients_of_parameters_and_training_run_as_ever(network):
    network(IMAGES).sum().backward()
    expected = network.conv1.weight.grad.clone()
    network.zero_grad()
    with folded_when_settled(network) as folds:
        folds.settle(network.state_dict())
        network(IMAGES).sum().backward()
        assert torch.equal(network.conv1.weight.grad, expected)
        network.train()
        network(IMAGES)
    assert network.bn1.num_batches_tracked == 1


def test_a_copy_made_meanwhile_is_folded_by_itself(network):
    with folded_when_settled(network) as folds, torch.no_grad():
        folds.settle(network.state_dict())
        twin = copy.deepcopy(network)
        expected = network(IMAGES)
        network.conv1.weight.data.zero_()
        assert torch.equal(twin(IMAGES), expected)


def test_modules_are_put_back_after_an_exception(network):
    with suppress(RuntimeError), folded_when_settled(network) as folds:
        folds.settle(network.state_dict())
        raise RuntimeError("stop")
    assert all("forward" not in module.__dict__ for module in network.modules())


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
@pytest.mark.parametrize("batch_norm", ["keep", "reset", "reestimate"])
def test_a_cascade_gives_the_same_similarities(network, order, batch_norm):
    explainers = {"cam": GradCAM(("conv1", "bn2", "conv3")), "gradient": Gradient()}
    units = randomization_units(network, IMAGES, granularity="module")

    def similarities(fold):
        settings = ParameterRandomization(
            order=order, granularity="module", batch_norm=batch_norm, similarities=("pearson",), fold=fold
        )
        steps = randomization_similarities(network, IMAGES, TARGETS, explainers, units=units, settings=settings, seed=0)
        return [torch.stack(list(step.similarities.values())) for step in steps]

    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.testing.assert_close(similarities(True), similarities(False), rtol=0, atol=1e-5, equal_nan=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
