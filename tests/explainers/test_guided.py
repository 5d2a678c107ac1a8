"""Guided backpropagation against arithmetic by hand, Captum and its golden, however the ReLUs are written."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop as CaptumGuidedBackprop
from small_networks import pictures, tiny_resnet
from test_cam import golden
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.capture import capture
from xaibench.explainers.errors import LayerError, NonFiniteOutput
from xaibench.explainers.gradients import Gradient, InputXGradient, image_gradients
from xaibench.explainers.guided import GuidedBackprop, GuidedGradCAM, guided_gradients
from xaibench.explainers.integrated_gradients import IntegratedGradients
from xaibench.explainers.upsample import upsample
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.reuse import outputs_reused
from xaibench.metrics.units import randomization_units
from xaibench.names import UnknownName

TARGETS = torch.tensor([0, 3, 2])


def captum(network, images, targets):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the hooks that it sets
        return CaptumGuidedBackprop(network).attribute(images.clone().requires_grad_(), targets).detach()


# ---- the rule


def test_two_layers_by_hand():
    """x = (1, 2), h = ReLU(Wx), y = ReLU(Vh), score = Σ c y: every number can be followed."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 3, bias=False)
    first.weight.data = torch.tensor([[1.0, 1.0], [-3.0, 1.0], [2.0, -0.5]]).double()  # Wx = (3, −1, 1)
    second.weight.data = torch.tensor([[1.0, 5.0, -2.0], [0.5, 1.0, 3.0], [-1.0, 0.0, 1.0]]).double()  # (1, 4.5, −2)
    score = nn.Linear(3, 1, bias=False)
    score.weight.data = torch.tensor([[2.0, -1.0, 4.0]]).double()
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), score)
    image, target = torch.tensor([[[[1.0, 2.0]]]]).double(), torch.tensor([0])
    # at y: (2, −1, 4) → closed where y is 0 (third) or the gradient negative (second): (2, 0, 0)
    # at h: 2 · (1, 5, −2) = (2, 10, −4) → h is (3, 0, 1): (2, 0, 0); at x: 2 · (1, 1)
    assert guided_gradients(network, image, target).flatten().tolist() == [2.0, 2.0]
    # without the rule: at y (2, −1, 0), at h (1.5, 9, −7) → (1.5, 0, −7), at x (1.5 − 14, 1.5 + 3.5)
    assert image_gradients(network, image, target).flatten().tolist() == [-12.5, 5.0]


@pytest.mark.parametrize(
    "rectifier",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.ReLU6(inplace=True),
        F.relu,
        torch.relu,
        torch.Tensor.relu,
        F.relu6,
        torch.ops.aten.relu,
        torch.ops.aten.relu.default,
        lambda x: F.relu(input=x, inplace=True),
        lambda x: F.relu_(x),
        lambda x: torch.relu_(x),
        lambda x: x.relu_(),
        lambda x: F.relu6(x, inplace=True),
        lambda x: F.hardtanh(x, 0.0, 6.0),
        lambda x: [x, x.view(-1).relu_()][0],  # what works in place on a view changes its base
    ],
)
def test_every_way_to_write_a_relu(rectifier):
    image = 8 * torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    factors = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    capped = bool((rectifier(image.clone()) <= 6).all())
    assert image.max() > 6  # so that a cap would show

    class Network(nn.Module):
        def forward(self, x):
            return (rectifier(x) * factors).sum(dim=(1, 2, 3))[:, None]

    rises = (image > 0) & (image < (6 if capped else torch.inf))
    found = guided_gradients(Network(), image, torch.tensor([0]))
    torch.testing.assert_close(found, rises * factors.clamp(min=0)[None], rtol=0, atol=1e-15)


class Plain(nn.Module):
    """Two residual blocks; every ReLU a module of its own, none in place. What Captum can guide."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 6, 6, 3, padding=1) for i in range(5))
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(5))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.relus[0](self.convs[0](x))
        for block in (1, 3):
            y = self.convs[block + 1](self.relus[block](self.convs[block](x)))
            x = self.relus[block + 1](y + x)
        return self.fc(x.mean(dim=(2, 3)))


class Tangled(Plain):
    """The same function, written as torchvision does and worse: one module for all, in place, += before, functions."""

    def __init__(self):
        super().__init__()
        self.relus = None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.convs[0](x))
        y = F.relu(self.convs[1](x), inplace=True)
        y = self.convs[2](y)
        y += x
        x = self.relu(y)
        y = self.convs[3](x)
        y = self.convs[4](torch.relu(y))
        y += x
        y.view(len(y), -1).relu_()
        return self.fc(y.mean(dim=(2, 3)))


def pair():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain, tangled = Plain().double(), Tangled().double()
    tangled.load_state_dict(plain.state_dict())
    return plain.eval(), tangled.eval()


def test_captum_where_it_can():
    plain, tangled = pair()
    images = pictures(3, 9, 12, dtype=torch.float64)
    found, theirs = guided_gradients(plain, images, TARGETS), captum(plain, images, TARGETS)
    assert theirs.abs().max() > 1e-4
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-9)
    assert not torch.allclose(found, image_gradients(plain, images, TARGETS))
    torch.testing.assert_close(guided_gradients(tangled, images, TARGETS), found, rtol=0, atol=1e-15)
    # where ReLUs are functions, Captum leaves the gradient as it is there
    assert not torch.allclose(captum(copy.deepcopy(tangled), images, TARGETS), theirs)


def test_a_resnet_of_torchvision_equals_one_without_shared_and_in_place_relus():
    network, images = tiny_resnet().double(), pictures(dtype=torch.float64)
    tame = copy.deepcopy(network)
    for module in tame.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    found = guided_gradients(network, images, TARGETS)
    torch.testing.assert_close(found, captum(tame, images, TARGETS), rtol=0, atol=1e-9)


def test_a_network_without_relu_is_refused_and_given_back():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for explainer in (GuidedBackprop(), GuidedGradCAM(("1",))):
        with pytest.raises(
            ValueError, match=r"at ReLUs only, and Sequential uses none .* use the explainer 'gradient'"
        ):
            explainer.maps(network, pictures(), TARGETS)
    assert all(parameter.requires_grad for parameter in network.parameters())
    network[1] = nn.ReLU()
    GuidedBackprop().maps(network, pictures(), TARGETS)


def test_the_rule_ends_with_the_pass():
    network, images = tiny_resnet(), pictures()
    before = image_gradients(network, images, TARGETS)
    guided_gradients(network, images, TARGETS)
    assert torch.equal(image_gradients(network, images, TARGETS), before)
    images[1] = torch.inf
    with pytest.raises(NonFiniteOutput):
        guided_gradients(network, images, TARGETS)
    torch.testing.assert_close(image_gradients(network, images[:1], TARGETS[:1]), before[:1], rtol=0, atol=1e-6)


def test_maps_are_the_guided_gradients_channels_added():
    network, images = tiny_resnet(), pictures()
    gradients = guided_gradients(network, images, TARGETS)
    assert torch.equal(GuidedBackprop().maps(network, images, TARGETS)[""], gradients.sum(1))
    found = GuidedBackprop(channels="max_abs", score="margin").maps(network, images, TARGETS)[""]
    assert torch.equal(found, guided_gradients(network, images, TARGETS, score="margin").abs().amax(1))


# ---- guided Grad-CAM


def test_golden_guided_grad_cam():
    arrays, _, network = golden("cam_captum")
    images, targets = torch.from_numpy(arrays["images"]).double(), torch.from_numpy(arrays["targets_predicted"])
    stored = torch.from_numpy(arrays["guided_grad_cam/relu3/predicted/map"])
    maps = GuidedGradCAM(("relu3", "relu2")).maps(network, images, targets)
    expected = stored.sum(1) if stored.ndim == 4 else stored
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(maps["relu3"], expected, rtol=0, atol=1e-9)
    assert not torch.allclose(maps["relu2"], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_guided_grad_cam_is_the_product_of_its_parts(mode):
    network, images, layers = tiny_resnet(), pictures(), ("layer4.1", "layer2.1")
    explainer = GuidedGradCAM(layers, upsampling=mode)
    maps = explainer.maps(network, images, TARGETS)
    gradients = guided_gradients(network, images, TARGETS)
    cams = GradCAM(layers).maps(network, images, TARGETS)
    assert tuple(maps) == layers
    for layer in layers:
        cam = upsample(cams[layer].relu(), (40, 56), mode=mode)
        torch.testing.assert_close(maps[layer], (gradients * cam[:, None]).sum(1))
        assert maps[layer].min() < 0 < maps[layer].max()
        assert torch.equal(explainer(network, images, TARGETS)[layer], maps[layer])


@pytest.mark.parametrize("explainer", [GuidedBackprop(), GuidedGradCAM(("layer4", "layer3", "layer1.0"))])
def test_forward_passes_are_counted_exactly(explainer):
    network, images, seen = tiny_resnet(), pictures(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    explainer.maps(network, images, TARGETS)
    assert sum(seen) == explainer.forward_passes() * len(images)


def test_settings_and_layers_are_checked():
    with pytest.raises(UnknownName, match="did you mean sum"):
        GuidedBackprop(channels="sums")
    with pytest.raises(UnknownName, match="did you mean bilinear"):
        GuidedGradCAM(("layer4",), upsampling="bilinea")
    with pytest.raises(UnknownName, match="channels"):
        GuidedGradCAM(("layer4",), channels="mean")
    with pytest.raises(ValueError, match="one or more module names"):
        GuidedGradCAM(())
    with pytest.raises(LayerError, match="single cell"):
        GuidedGradCAM(("avgpool",)).maps(tiny_resnet(), pictures(), TARGETS)


# ---- outputs remembered along a cascade


def test_a_remembered_output_serves_guided_and_plain_gradients_apart():
    network, images = pair()[1], pictures(3, 9, 12, dtype=torch.float64)
    network = nn.Sequential(network, nn.Identity())  # remembered whole, with all its ReLUs
    plain, guided = image_gradients(network, images, TARGETS), guided_gradients(network, images, TARGETS)
    for first in (guided_gradients, image_gradients):
        with outputs_reused(network) as reuse:
            first(network, images, TARGETS)
            for _ in range(2):
                torch.testing.assert_close(guided_gradients(network, images, TARGETS), guided, rtol=0, atol=1e-15)
                torch.testing.assert_close(image_gradients(network, images, TARGETS), plain, rtol=0, atol=1e-15)
        assert reuse.recalled == 3  # of five passes, one of each kind was computed


@pytest.mark.parametrize("order", ["top_down", "independent"])
def test_maps_along_a_cascade_are_the_same_with_and_without_reuse(order):
    network, images = tiny_resnet(), pictures(2, 32, 32)
    targets, layers = torch.tensor([0, 3]), ("layer2.0", "layer3")
    gradients = [Gradient(), InputXGradient(), GuidedBackprop(), IntegratedGradients(n_steps=3)]
    explainers = {explainer.name: explainer for explainer in (*gradients, GuidedGradCAM(layers), GradCAM(layers))}
    units = randomization_units(network, images[:1], granularity="stage")
    results = {}
    for reuse in (True, False):
        settings = ParameterRandomization(order=order, granularity="stage", seeds=(0,), rectify=False, reuse=reuse)
        steps = randomization_similarities(network, images, targets, explainers, units=units, settings=settings, seed=0)
        results[reuse] = [step.maps for step in steps]
    first = results[False][0]
    assert not torch.allclose(first["guided_backprop", ""], first["gradient", ""])
    for remembered, computed in zip(results[True], results[False], strict=True):
        assert remembered.keys() == computed.keys()
        for key, values in computed.items():
            scale = values.abs().max().item()
            torch.testing.assert_close(remembered[key], values, rtol=0, atol=1e-5 * scale, msg=str(key))
    last = results[False][-1]
    assert not torch.allclose(last["guided_backprop", ""], first["guided_backprop", ""])


def test_capture_is_not_disturbed_by_guided_passes():
    network, images = tiny_resnet(), pictures()
    before = capture(network, images, ["layer4"], targets=TARGETS)
    guided_gradients(network, images, TARGETS)
    after = capture(network, images, ["layer4"], targets=TARGETS)
    assert torch.equal(before.gradients["layer4"], after.gradients["layer4"])
