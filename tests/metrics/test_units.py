"""Every parameter of any network lies in exactly one unit, in the order of execution."""

import warnings

import pytest
import torch
import torchvision
from torch import nn

from xaibench.metrics.units import coverage, randomization_units

ARCHITECTURES = ("resnet50", "vgg16_bn", "densenet121", "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16")


def on_meta(name):
    """Names, shapes and order of execution, without numbers."""
    with torch.device("meta"):
        return torchvision.models.get_model(name).eval(), torch.empty(1, 3, 224, 224)


@pytest.mark.parametrize("granularity", ["module", "block", "stage"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_parameter_of_known_architectures_is_in_one_unit(name, granularity):
    network, image = on_meta(name)
    units = randomization_units(network, image, granularity=granularity)
    found = [parameter for unit in units for parameter in unit.parameters]
    assert sorted(found) == sorted(parameter for parameter, _ in network.named_parameters())
    assert coverage(network, units).parameters == 1.0
    statistics = [b for b, _ in network.named_buffers() if "running" in b or "tracked" in b]
    assert sorted(b for unit in units for b in unit.buffers) == sorted(statistics)
    assert len({unit.name for unit in units}) == len(units)


def test_blocks_and_stages_of_resnet50():
    network, image = on_meta("resnet50")
    blocks = [f"layer{stage}.{i}" for stage, n in ((1, 3), (2, 4), (3, 6), (4, 3)) for i in range(n)]
    units = randomization_units(network, image)
    assert [unit.name for unit in units] == ["stem", *blocks, "fc"]
    assert units[0].parameters == ("conv1.weight", "bn1.weight", "bn1.bias")
    assert [unit.name for unit in randomization_units(network, image, granularity="stage")] == [
        *("stem", "layer1", "layer2", "layer3", "layer4", "fc")
    ]
    modules = [unit.name for unit in randomization_units(network, image, granularity="module")]
    assert len(modules) == 107
    assert modules[:3] == ["conv1", "bn1", "layer1.0.conv1"]


@pytest.mark.parametrize(
    ("name", "n_blocks", "n_stages"),
    [
        ("vgg16_bn", 16, 2),
        ("efficientnet_b0", 19, 10),
        ("swin_t", 18, 10),
        ("vit_b_16", 15, 4),
        ("densenet121", 64, 10),
    ],
)
def test_number_of_blocks_and_stages(name, n_blocks, n_stages):
    network, image = on_meta(name)
    assert len(randomization_units(network, image)) == n_blocks
    assert len(randomization_units(network, image, granularity="stage")) == n_stages


def test_parameters_that_no_layer_resets_have_their_place_in_vit():
    network, image = on_meta("vit_b_16")
    units = {unit.name: unit for unit in randomization_units(network, image, granularity="module")}
    assert "class_token" in units["class_token"].parameters
    assert "encoder.pos_embedding" in units["encoder"].parameters
    attention = "encoder.layers.encoder_layer_0.self_attention"
    assert f"{attention}.in_proj_weight" in units[attention].parameters
    names = list(units)
    assert names[names.index(attention) + 1] == f"{attention}.out_proj"  # never called: right after its parent


class Backwards(nn.Module):
    """Executes its layers in the opposite order of their registration; shares a weight; owns a parameter itself."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 4)
        self.first = nn.Linear(4, 4)
        self.first.weight = self.last.weight
        self.scale = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm1d(4, affine=False)

    def forward(self, x):
        return self.norm(self.last(self.first(x.flatten(1)) * self.scale))


def test_execution_order_and_shared_tensors():
    network = Backwards().train()
    units = randomization_units(network, torch.zeros(1, 1, 2, 2), granularity="module")
    assert [(unit.name, unit.parameters) for unit in units] == [
        ("scale", ("scale",)),
        ("first", ("last.weight", "first.bias")),  # one tensor, one name, the unit of its first user
        ("last", ("last.bias",)),
        ("norm", ()),
    ]
    assert coverage(network, units) == (1.0, 1.0)
    assert coverage(network, units[:1]).parameters == pytest.approx(1 / 25)
    assert network.training
    assert network.norm.num_batches_tracked == 0


def test_wrappers_are_looked_through():
    network = Backwards()
    image = torch.zeros(1, 1, 2, 2)
    expected = randomization_units(network, image)
    assert randomization_units(nn.DataParallel(network), image) == expected
    assert randomization_units(torch.compile(network), image) == expected


def quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but networks of that kind are around
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear})


def parametrized():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))


def integer():
    network = nn.Sequential(nn.Linear(4, 4))
    network[0].weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    return network


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (parametrized, r"'0'.*parametrize.*remove_parametrizations first"),
        (quantized, "'0'.*quantized"),
        (integer, "'0'.*'weight' holds torch.int8"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "'0'.*not initialized yet; run the network once"),
        (lambda: nn.Sequential(nn.Flatten()), "no parameters"),
    ],
)
def test_networks_that_cannot_be_randomized_say_why(make, message):
    with pytest.raises(ValueError, match=message):
        randomization_units(make(), torch.zeros(1, 1, 2, 2))


@pytest.mark.usefixtures("as_in_production")
def test_unknown_granularity_comes_with_its_neighbours():
    with pytest.raises(ValueError, match="did you mean block"):
        randomization_units(Backwards(), torch.zeros(1, 1, 2, 2), granularity="blok")
