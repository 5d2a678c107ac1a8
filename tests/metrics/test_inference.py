import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.metrics.inference import fast_copy, fastest_batch_size, largest_deviation

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def trained(network):
    """Give batch norms statistics and weights that a fold must take into account."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator).mul_(0.1)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(generator=generator).mul_(0.1)
    return network.eval()


@pytest.fixture(scope="module")
def resnet():
    state = torch.get_rng_state()
    torch.manual_seed(0)
    network = trained(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=10, width_per_group=8))
    torch.set_rng_state(state)
    return network


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_every_batch_norm_of_a_resnet_is_folded_and_the_result_kept(resnet):
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    fast = fast_copy(resnet)
    assert len(norms(resnet)) == 17
    assert norms(fast) == []
    assert largest_deviation(resnet, fast, IMAGES) < 1e-6
    exact = largest_deviation(resnet.double(), fast_copy(resnet.double()), IMAGES.double())
    resnet.float()
    assert exact < 1e-12
    assert fast.layer4[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert [name for name, _ in fast.named_modules()] == [name for name, _ in resnet.named_modules()]
    for name, value in resnet.state_dict().items():
        assert torch.equal(value, before[name])


class Forked(nn.Module):
    """The convolution's output is read beside the batch norm, so that folding would be wrong."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fold, self.folded = (
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),
        )  # fmt: skip

    def forward(self, images):
        x = self.conv(images)
        return self.folded(self.fold(self.norm(x) + x)).mean(dim=(2, 3))


class Twice(Forked):
    def forward(self, images):
        x = self.norm(self.conv(images))
        return self.folded(self.fold(self.norm(x))).mean(dim=(2, 3))


class Untraceable(Forked):
    def forward(self, images):
        x = self.norm(self.conv(images))
        return x.mean(dim=(2, 3)) if x.sum() > 0 else -x.mean(dim=(2, 3))


@pytest.mark.parametrize(("kind", "left"), [(Forked, 1), (Twice, 1), (Untraceable, 2)])
def test_what_cannot_be_folded_is_left(kind, left):
    network = trained(kind())
    fast = fast_copy(network)
    assert len(norms(fast)) == left
    assert largest_deviation(network, fast, IMAGES) < 1e-6


def test_hooked_modules_are_left():
    network = trained(Forked())
    network.folded.register_forward_hook(lambda *_: None)
    assert len(norms(fast_copy(network))) == 2


def test_a_training_models_copy_is_for_evaluation(resnet):
    resnet.train()
    assert not any(module.training for module in fast_copy(resnet).modules())
    assert resnet.training
    resnet.eval()


def test_deviation_is_seen(resnet):
    other = fast_copy(resnet)
    other.fc.bias.data[3] += 1
    assert largest_deviation(resnet, other, IMAGES) > 1e-2


def test_fastest_batch_size_is_one_of_those_asked_for():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert fastest_batch_size(network, IMAGES[0], sizes=(1, 4), repeats=1) in (1, 4)
