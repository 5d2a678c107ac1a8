"""Parameters are replaced as a scheme says, and are bit for bit what they were afterwards."""

import copy
import math

import pytest
import torch
import torchvision
from torch import nn

from xaibench.metrics.randomization import cascade, randomized
from xaibench.metrics.schemes import SCHEMES, draw
from xaibench.metrics.units import Unit, randomization_units

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Tiny(nn.Module):
    """Batch norm, twin layers of one shape, attention, and a parameter that the network owns itself."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(8)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn3(self.conv3(torch.relu(self.conv2(x)))))
        tokens = torch.cat([self.token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        return self.fc(self.attention(tokens, tokens, tokens)[0][:, 0])


def disturb(network, seed=0):
    """Move all parameters away from their initial values, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=generator), alpha=0.5)
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.add_(torch.rand(buffer.shape, generator=generator))
    return network


@pytest.fixture
def network():
    torch.manual_seed(0)
    return disturb(Tiny()).eval()


def units_of(network, granularity="module"):
    return randomization_units(network, IMAGES, granularity=granularity)


def snapshot(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_parameter_changes_and_comes_back(network, scheme):
    before, random_state = snapshot(network), torch.get_rng_state()
    identities = [id(parameter) for parameter in network.parameters()]
    with randomized(network, units_of(network), scheme=scheme, seed=0) as done:
        changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
        assert changed == {name for name, _ in network.named_parameters()} == set(done.changed)
        assert not done.unchanged
        assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
    assert same(before, snapshot(network))
    assert [id(parameter) for parameter in network.parameters()] == identities
    assert torch.equal(torch.get_rng_state(), random_state)


def each_changes_and_returns(name, schemes):
    with torch.device("meta"):
        network = torchvision.models.get_model(name).eval()
        units = randomization_units(network, torch.empty(1, 3, 224, 224))
    network.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.1, 0.1)
        for buffer in network.buffers():
            buffer.fill_(1)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    for scheme in schemes:
        with randomized(network, units, scheme=scheme, seed=0) as done:
            same_in_between = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
            assert not same_in_between
            assert not done.unchanged
        assert same(before, dict(network.named_parameters()))


@pytest.mark.parametrize("name", ["efficientnet_b0"])
def test_every_parameter_of_small_known_architectures(name):
    each_changes_and_returns(name, ("truncated_normal",))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet50", "vgg16_bn", "densenet121", "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16"]
)
def test_every_parameter_of_known_architectures(name):
    each_changes_and_returns(name, ("truncated_normal", "initialization"))


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
def test_restored_after_an_exception_and_an_early_end(network, order):
    before = snapshot(network)
    steps = cascade(network, units_of(network), order=order, seed=0)
    assert [next(steps).number for _ in range(4)] == [0, 1, 2, 3]
    assert not same(before, snapshot(network))
    steps.close()
    assert same(before, snapshot(network))

    def fails_halfway():
        for step in cascade(network, units_of(network), order=order, seed=0):
            if step.number == 3:
                raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fails_halfway()
    assert same(before, snapshot(network))


def test_restored_when_drawing_itself_fails(network):
    before = snapshot(network)
    network.conv3.reset_parameters = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError), randomized(network, units_of(network), seed=0):
        pass
    assert same(before, snapshot(network))


def test_orders(network):
    units = units_of(network)
    before = snapshot(network)
    names = [unit.name for unit in units]

    def changed():
        return {
            unit.name
            for unit in units
            if any(not torch.equal(network.state_dict()[p], before[p]) for p in unit.parameters)
        }

    for order, sequence in (("top_down", names[::-1]), ("bottom_up", names), ("independent", names[::-1])):
        for step in cascade(network, units, order=order, seed=0):
            expected = sequence[: step.number] if order != "independent" else sequence[step.number - 1 : step.number]
            assert changed() == set(expected if step.number else [])
            assert {unit.name for unit in step.randomized} == set(expected if step.number else [])
            assert (step.unit.name if step.unit else None) == (sequence[step.number - 1] if step.number else None)
        assert same(before, snapshot(network))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_draws_depend_on_seed_and_name_alone(network, scheme):
    def weights(order, granularity, seed):
        steps = cascade(network, units_of(network, granularity), order=order, scheme=scheme, seed=seed)
        return [snapshot(network) for step in steps][-1] if order != "independent" else None

    torch.manual_seed(1)
    first = weights("top_down", "module", 0)
    torch.manual_seed(2)
    assert same(first, weights("bottom_up", "module", 0))
    assert same(first, weights("bottom_up", "stage", 0))
    other = weights("top_down", "module", 1)
    assert not torch.equal(first["conv2.weight"], other["conv2.weight"])
    assert not torch.equal(first["conv2.weight"], first["conv3.weight"])  # twins get weights of their own


def test_initialization_is_the_modules_own(network):
    with randomized(network, units_of(network), seed=0):
        bound = 1 / math.sqrt(8 * 9)
        assert network.conv2.weight.abs().max() <= bound
        assert network.conv2.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert torch.equal(network.bn1.weight, torch.ones(8))
        assert torch.equal(network.bn1.bias, torch.zeros(8))
        assert torch.equal(network.attention.in_proj_bias, torch.zeros(24))
        assert network.attention.in_proj_weight.abs().max() <= math.sqrt(6 / (24 + 8))


def test_attention_leaves_the_parameters_of_its_child_alone(network):
    before = network.attention.out_proj.bias.clone()
    unit = next(unit for unit in units_of(network) if unit.name == "attention")
    with randomized(network, unit, seed=0) as done:
        assert set(done.changed) == {"attention.in_proj_weight", "attention.in_proj_bias"}
        assert torch.equal(network.attention.out_proj.bias, before)


def test_distributions_of_the_schemes():
    layer = nn.Linear(300, 300)
    nn.init.normal_(layer.weight, mean=1.0, std=2.0)
    new = {scheme: draw(SCHEMES[scheme], layer, "layer", 0)["weight"] for scheme in SCHEMES}
    n = layer.weight.numel()
    truncated = new["truncated_normal"]
    assert truncated.abs().max() <= 0.02
    # deviation of a normal cut at two: sqrt(1 - 4 φ(2) / (2 Φ(2) - 1)) = 0.8796
    assert truncated.std().item() == pytest.approx(0.008796, rel=4 / math.sqrt(2 * n))
    mean, deviation = layer.weight.mean().item(), layer.weight.std().item()
    assert new["matched_normal"].mean().item() == pytest.approx(mean, abs=4 * deviation / math.sqrt(n))
    assert new["matched_normal"].std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * n))
    assert torch.equal(new["permutation"].flatten().sort().values, layer.weight.detach().flatten().sort().values)


def test_constants_stay_and_are_named(network):
    nn.init.zeros_(network.fc.bias)
    nn.init.ones_(network.bn1.weight)
    for scheme in ("permutation", "matched_normal"):
        with randomized(network, units_of(network), scheme=scheme, seed=0) as done:
            assert set(done.unchanged) == {"fc.bias", "bn1.weight"}
    unchanged = {step.unit.name: step.unchanged for step in cascade(network, units_of(network), seed=0) if step.unit}
    assert {name: u for name, u in unchanged.items() if u} == {"bn1": ("bn1.weight",)}


def test_batch_norm_is_kept_reset_or_measured_again(network):
    unit = next(unit for unit in units_of(network) if unit.name == "conv2")
    stem = next(unit for unit in units_of(network) if unit.name == "bn1")
    before = snapshot(network)
    with randomized(network, (stem, unit), seed=0, batch_norm="reset"):
        assert torch.equal(network.bn1.running_mean, torch.zeros(8))
        assert torch.equal(network.bn1.running_var, torch.ones(8))
        assert torch.equal(network.bn3.running_mean, before["bn3.running_mean"])
    with randomized(network, unit, seed=0, batch_norm="reestimate", images=IMAGES):
        with torch.no_grad():
            inputs = network.conv3(torch.relu(network.conv2(torch.relu(network.bn1(network.conv1(IMAGES))))))
        torch.testing.assert_close(network.bn3.running_mean, inputs.mean(dim=(0, 2, 3)))
        torch.testing.assert_close(network.bn3.running_var, inputs.transpose(0, 1).flatten(1).var(dim=1))
        assert torch.equal(network.bn1.running_mean, before["bn1.running_mean"])  # lies before what changed
        assert not network.bn3.training
        assert network.bn3.momentum == 0.1
    assert same(before, snapshot(network))


def test_tied_weights_stay_tied():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    network[1].weight = network[0].weight
    before = snapshot(network)
    with randomized(network, units_of(network), scheme="truncated_normal", seed=0) as done:
        assert network[1].weight is network[0].weight
        assert set(done.changed) == {"0.weight", "0.bias", "1.bias"}
    assert same(before, snapshot(network))


def test_frozen_training_and_uncopyable_networks_are_as_before(network):
    network.conv1.requires_grad_(False)
    network.bn3.train()
    network.lock = (item for item in ())  # a generator cannot be copied
    with pytest.raises(TypeError):
        copy.deepcopy(network)
    flags = [parameter.requires_grad for parameter in network.parameters()]
    before = snapshot(network)
    for step in cascade(network, units_of(network), seed=0, batch_norm="reestimate", images=IMAGES):
        assert step.network is network
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert network.bn3.training
    assert not network.bn1.training
    assert same(before, snapshot(network))


def test_wrapped_networks_show_the_change(network):
    wrapped = nn.DataParallel(network)
    before = wrapped(IMAGES)
    with randomized(wrapped, units_of(wrapped), seed=0), torch.no_grad():
        assert not torch.allclose(wrapped(IMAGES), before)
    assert torch.equal(wrapped(IMAGES), before)


def test_graphs_made_before_can_still_be_run_backwards(network):
    output = network.fc(torch.ones(1, 8, requires_grad=True)).sum()
    with randomized(network, units_of(network), seed=0):
        pass
    output.backward()


@pytest.mark.usefixtures("as_in_production")
def test_mistakes_are_named(network):
    units = units_of(network)
    with pytest.raises(ValueError, match="did you mean permutation"):
        cascade(network, units, scheme="permutations", seed=0)
    with pytest.raises(ValueError, match="unknown order 'topdown'; did you mean top_down"):
        cascade(network, units, order="topdown", seed=0)
    with pytest.raises(ValueError, match="unknown treatment of batch norm"):
        cascade(network, units, batch_norm="freeze", seed=0)
    with pytest.raises(ValueError, match="pass images="):
        cascade(network, units, batch_norm="reestimate", seed=0)
    with pytest.raises(ValueError, match=r"of another network: Tiny has no 'head\.weight'"):
        cascade(network, [Unit("head", ("head.weight",))], seed=0)
