"""Outputs that are reused are those that would have been computed, and less is computed."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import Bottleneck
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from xaibench.explainers.capture import capture
from xaibench.metrics.randomization import cascade
from xaibench.metrics.reuse import outputs_reused
from xaibench.metrics.units import randomization_units

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class TinyResNet(nn.Module):
    """torchvision's own bottlenecks, with in-place operations, and few channels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(self.block(8, 4, 1), Bottleneck(16, 4))
        self.layer2 = nn.Sequential(self.block(16, 6, 2))
        self.layer3 = nn.Sequential(self.block(24, 8, 1), Bottleneck(32, 8))
        self.fc = nn.Linear(32, 5)

    @staticmethod
    def block(channels, planes, stride):
        shortcut = nn.Sequential(nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes))
        return Bottleneck(channels, planes, stride, shortcut)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3)))


def densenet():
    return DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=5)


def vit():
    return VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)


def swin():
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [2, 2], num_classes=5)


NETWORKS = {
    "resnet": (
        TinyResNet,
        ("layer1.0.bn2", "layer1.1", "layer2.0.bn3", "layer3"),
    ),  # bn3 is followed by an in-place sum
    "densenet": (densenet, ("features.denseblock1", "features.transition1.norm")),
    "vit": (vit, ("encoder.layers.encoder_layer_0",)),
    "swin": (swin, ("features.1",)),
}


def made(name):
    torch.manual_seed(0)
    make, layers = NETWORKS[name]
    network = make().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network, layers


def explanations(network, layers):
    """Everything that explainers ask for: logits, captured activations and gradients, the gradient by the image."""
    captured = capture(network, IMAGES, layers, targets=torch.tensor([1, 2]))
    images = IMAGES.clone().requires_grad_()
    frozen = [parameter.requires_grad_(False) for parameter in network.parameters()]
    gradient = torch.autograd.grad(network(images)[:, 0].sum(), images)[0]
    for parameter in frozen:
        parameter.requires_grad_(True)
    with torch.no_grad():
        logits = network(IMAGES)
    with torch.inference_mode():
        again = network(IMAGES).clone()
    return [logits, again, captured.logits, gradient, *captured.activations.values(), *captured.gradients.values()]


@pytest.mark.parametrize(
    ("name", "order", "granularity"),
    [
        ("resnet", "top_down", "module"),
        ("resnet", "independent", "block"),
        ("resnet", "bottom_up", "block"),
        ("densenet", "top_down", "block"),
        ("vit", "top_down", "module"),
        ("swin", "independent", "block"),
    ],
)
def test_same_numbers_along_every_cascade(name, order, granularity):
    network, layers = made(name)
    units = randomization_units(network, IMAGES, granularity=granularity)
    expected = [explanations(network, layers) for _ in cascade(network, units, order=order, seed=0)]
    with outputs_reused(network) as reuse:
        for step, wanted in zip(cascade(network, units, order=order, seed=0), expected, strict=True):
            names = [name for unit in step.randomized for name in (*unit.parameters, *unit.buffers)]
            reuse.touch(names, forget=order == "top_down")
            torch.testing.assert_close(explanations(network, layers), wanted, rtol=1e-5, atol=1e-6)
    assert reuse.recalled > 0 or order == "bottom_up"
    assert not any("forward" in module.__dict__ for module in network.modules())


def flops(network, layers, *, reuse):
    units = randomization_units(network, IMAGES, granularity="block")
    with FlopCounterMode(display=False) as counter:
        steps = cascade(network, units, seed=0)
        if not reuse:
            for _ in steps:
                capture(network, IMAGES, layers, targets=torch.tensor([1, 2]))
        else:
            with outputs_reused(network) as memory:
                for step in steps:
                    memory.touch([n for unit in step.randomized for n in unit.parameters], forget=True)
                    capture(network, IMAGES, layers, targets=torch.tensor([1, 2]))
    return counter.get_total_flops()


def test_less_is_computed():
    network, _ = made("resnet")
    one = flops_of_one(network)
    assert flops(network, ("layer3.1",), reuse=False) > 7 * one
    assert flops(network, ("layer3.1",), reuse=True) < 4.5 * one  # a bit over half of the seven passes
    assert flops(network, ("layer1.0",), reuse=True) < flops(network, ("layer1.0",), reuse=False)


def flops_of_one(network):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(IMAGES)
    return counter.get_total_flops()


def test_other_images_and_changed_weights_are_computed():
    network, _ = made("resnet")
    other = IMAGES.flip(0)
    with torch.no_grad():
        first, second = network(IMAGES), network(other)
        with outputs_reused(network) as reuse:
            assert torch.equal(network(IMAGES), first)
            assert torch.equal(network(other), second)
            assert torch.equal(network(IMAGES), first)
            assert torch.equal(network(IMAGES[:1]), first[:1]) or torch.allclose(network(IMAGES[:1]), first[:1])
            network.layer3[1].conv3.weight.data.mul_(2)
            reuse.touch(["layer3.1.conv3.weight"])
            changed = network(IMAGES)
        assert not torch.allclose(changed, first)
        assert torch.equal(network(IMAGES), changed)


def test_hooks_below_fire_and_may_change_values():
    network, _ = made("resnet")
    seen = []

    def halve(module, inputs, output):
        seen.append(module)
        return output / 2

    with torch.no_grad():
        plain = network(IMAGES)
        handle = network.layer1[1].conv2.register_forward_hook(halve)
        hooked = network(IMAGES)
        handle.remove()
        with outputs_reused(network):
            network(IMAGES)
            handle = network.layer1[1].conv2.register_forward_hook(halve)
            assert torch.equal(network(IMAGES), hooked)
            handle.remove()
            assert torch.equal(network(IMAGES), plain)
    assert len(seen) == 2


def test_modules_that_write_into_their_input_run_each_time():
    torch.manual_seed(0)
    branch = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))

    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = branch

        def forward(self, x):
            x = x * 1
            return self.branch(x) + x  # x is rectified here, too

    network = Shortcut().eval()
    with torch.no_grad():
        expected = network(IMAGES)
        with outputs_reused(network):
            for _ in range(3):
                assert torch.equal(network(IMAGES), expected)


def test_training_mode_and_parameter_gradients_are_left_alone():
    network, _ = made("resnet")
    network(IMAGES).sum().backward()
    expected = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    with outputs_reused(network) as reuse:
        for _ in range(2):
            network.zero_grad()
            network(IMAGES).sum().backward()
        assert reuse.recalled == 0
        torch.testing.assert_close([parameter.grad for parameter in network.parameters()], expected)
        network.train()
        count = network.bn1.num_batches_tracked.item()
        with torch.no_grad():
            network(IMAGES)
            network(IMAGES)
        assert network.bn1.num_batches_tracked.item() == count + 2


def test_a_copied_network_computes_with_its_own_weights():
    network, _ = made("resnet")
    with torch.no_grad(), outputs_reused(network):
        expected = network(IMAGES)
        twin = copy.deepcopy(network)
        twin.layer3[1].conv3.weight.mul_(2)
        assert not torch.allclose(twin(IMAGES), expected)
        assert torch.equal(network(IMAGES), expected)


def test_forward_is_given_back_after_an_exception():
    network, _ = made("resnet")
    mine = network.conv1.forward = lambda x: nn.Conv2d.forward(network.conv1, x)
    with pytest.raises(RuntimeError, match="stop"), outputs_reused(network):
        raise RuntimeError("stop")
    assert network.conv1.__dict__["forward"] is mine
    assert "forward" not in network.layer1.__dict__
