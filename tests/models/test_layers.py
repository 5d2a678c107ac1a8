import pytest
import torch
import torchvision
from torch import nn

from xaibench.models.layers import layer_names, resolve_layers
from xaibench.names import UnknownName


class Shared(nn.Module):
    """A plain network whose ReLU is called twice; one module is never called, one puts out a tuple."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Conv2d(1, 1, 1)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.head = nn.Linear(6, 3)

    def forward(self, images):
        maps = self.relu(self.conv2(self.relu(self.conv1(images))))
        maps, _ = self.pool(maps)
        return self.head(maps.mean(dim=(2, 3)))


def test_layers_come_in_the_order_of_the_forward_pass_with_shape_stride_and_calls():
    found = {info.name: info for info in layer_names(Shared(), (32, 64))}
    assert list(found) == ["conv1", "relu", "conv2", "pool", "head", "unused"]
    assert found["conv2"].shape == (6, 8, 16)
    assert found["conv2"].grid == (8, 16)
    assert found["conv2"].stride == 4
    assert found["conv2"].kind == "Conv2d"
    assert found["relu"].calls == 2
    assert found["relu"].shape == (4, 16, 32)
    assert (found["pool"].shape, found["pool"].grid) == (None, None)
    assert (found["head"].shape, found["head"].grid) == ((3,), None)
    assert (found["unused"].calls, found["unused"].shape) == (0, None)


def test_a_network_is_left_as_it_was_also_after_a_failure():
    network = Shared().train()
    network.conv1.eval()
    modes = [module.training for module in network.modules()]
    state = torch.random.get_rng_state()
    layer_names(network, (32, 32))
    with pytest.raises(RuntimeError):
        layer_names(network, (1, 1))
    assert [module.training for module in network.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None for p in network.parameters())


def test_the_stages_and_blocks_of_resnet50():
    network = torchvision.models.resnet50(num_classes=2)
    blocks = [f"layer{stage}.{i}" for stage, n in enumerate((3, 4, 6, 3), start=1) for i in range(n)]
    assert resolve_layers(network, ["blocks"], (128, 128)) == blocks
    assert resolve_layers(network, ["stages"], (128, 128)) == ["layer1.2", "layer2.3", "layer3.5", "layer4.2"]
    assert resolve_layers(network, ["last"], (128, 128)) == ["layer4.2"]
    assert resolve_layers(network, ["conv1", "last", "stages", "conv1"], (128, 128)) == [
        *("conv1", "layer4.2", "layer1.2", "layer2.3", "layer3.5")
    ]


@pytest.mark.parametrize(
    ("name", "n_blocks", "stages"),
    [
        ("vgg11_bn", 8, ["features.2", "features.6", "features.13", "features.20", "features.27"]),
        ("alexnet", 5, ["features.1", "features.4", "features.11"]),
        ("densenet121", 4, [f"features.denseblock{i}" for i in (1, 2, 3, 4)]),
        ("efficientnet_b0", 16, ["features.1.0", "features.2.1", "features.3.1", "features.5.2", "features.7.0"]),
        ("convnext_tiny", 18, ["features.1.2", "features.3.2", "features.5.8", "features.7.2"]),
        ("mobilenet_v2", 17, ["features.1", "features.3", "features.6", "features.13", "features.17"]),
        ("googlenet", 9, ["inception3b", "inception4e", "inception5b"]),
        ("swin_t", 12, ["features.1.1", "features.3.1", "features.5.5", "features.7.1"]),
        ("vit_b_32", 12, ["encoder.layers.encoder_layer_11"]),
    ],
)
def test_groups_of_other_architectures(name, n_blocks, stages):
    options = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):  # shapes are enough
        network = torchvision.models.get_model(name, **options)
    assert len(resolve_layers(network, ["blocks"])) == n_blocks
    assert resolve_layers(network, ["stages"]) == stages
    assert resolve_layers(network, ["last"]) == stages[-1:]


def test_groups_of_a_plain_stack_pass_over_modules_that_are_called_twice():
    assert resolve_layers(Shared(), ["blocks", "stages"], (32, 32)) == ["conv1", "conv2"]


def test_a_wrapped_network_has_the_same_groups():
    network = nn.Sequential(nn.Identity(), torchvision.models.resnet18(num_classes=2))
    assert resolve_layers(network, ["stages"], (64, 64)) == [f"1.layer{i}.1" for i in (1, 2, 3, 4)]


def test_explicit_names_keep_their_order_and_cost_no_forward():
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU())  # could not take an image
    assert resolve_layers(network, ["1", "0", "1"]) == ["1", "0"]


def test_maps_with_channels_last_are_recognised():
    class ChannelsLast(nn.Module):
        def forward(self, images):
            return images.permute(0, 2, 3, 1)

    network = nn.Sequential(nn.Conv2d(3, 5, 1, stride=4), ChannelsLast())
    assert [info.grid for info in layer_names(network, (32, 32))] == [(8, 8), (8, 8)]


def test_an_unknown_layer_comes_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown layer 'layer4\.3'; did you mean layer4\.\d"):
        resolve_layers(torchvision.models.resnet18(num_classes=2), ["layer4.3"])


@pytest.mark.parametrize("names", [[], "layer4"])
def test_layers_must_be_a_list(names):
    with pytest.raises(ValueError, match="list of at least one name"):
        resolve_layers(Shared(), names)


def test_a_group_that_is_empty_is_an_error():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(ValueError, match="Sequential has no 'stages'"):
        resolve_layers(network, ["stages"], (2, 2))
