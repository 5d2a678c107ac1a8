"""Another class's map: closed forms of linear models, and draws that are uniform and fixed by seed and image."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from quantus_peer import similarity_func
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import Sobel
from xaibench.metrics.random_logit import RandomLogit, other_targets, random_logit
from xaibench.metrics.similarity import SIMILARITIES

IMAGES = torch.randn(5, 1, 16, 20, generator=torch.Generator().manual_seed(0))
NAMES = [f"image-{i}" for i in range(5)]


@dataclass(frozen=True)
class Gradient(Explainer):
    """Gradient of the logit, summed over channels."""

    name: ClassVar[str] = "gradient"

    def maps(self, model, images, targets, *, generator=None):
        images = images.clone().requires_grad_()
        scores = model(images).gather(1, targets[:, None]).sum()
        return {"": torch.autograd.grad(scores, images)[0].sum(dim=1)}


def linear(classes):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16 * 20, classes)).eval()


def run(network, targets, explainers, *, seed=0, **settings):
    settings = RandomLogit(**settings)
    return random_logit(network, IMAGES, targets, explainers, settings=settings, seed=seed, names=NAMES)


def test_a_map_that_ignores_the_target_has_similarity_one():
    names = ("ssim", "spearman", "pearson", "top_10_percent")
    found, targets = run(linear(4), torch.zeros(5, dtype=torch.long), {"edges": Sobel()}, similarities=names)
    assert (targets != 0).all()
    assert set(found) == {("edges", "", name) for name in names}
    for values, reasons in found.values():
        torch.testing.assert_close(values, torch.ones(5, dtype=torch.float64))
        assert reasons == [""] * 5


def test_two_opposite_classes_have_opposite_gradients():
    network = linear(2)
    network[1].weight.data[1] = -network[1].weight.data[0]
    targets = torch.tensor([0, 1, 0, 1, 1])
    found, others = run(network, targets, {"g": Gradient()}, similarities=("spearman", "pearson", "spearman_abs"))
    assert torch.equal(others, 1 - targets)
    for name, expected in (("spearman", -1.0), ("pearson", -1.0), ("spearman_abs", 1.0)):
        torch.testing.assert_close(found["g", "", name][0], torch.full((5,), expected, dtype=torch.float64))


def test_a_linear_model_has_the_similarity_of_its_weights():
    network, targets = linear(6), torch.tensor([0, 1, 2, 3, 5])
    found, others = run(network, targets, {"g": Gradient()}, similarities=("ssim", "spearman"))
    weights = network[1].weight.detach().reshape(6, 16, 20)
    for name in ("ssim", "spearman"):
        expected = SIMILARITIES[name](weights[targets], weights[others])
        torch.testing.assert_close(found["g", "", name][0], expected, atol=1e-6, rtol=0)


def test_ssim_is_of_the_map_and_not_of_its_flattened_pixels():
    """Quantus compares flattened maps: its window lies along one axis and runs from one row's end into the next."""
    network, targets = linear(6), torch.tensor([0, 1, 2, 3, 5])
    with torch.no_grad():  # smooth templates, as networks have
        kernel = torch.ones(1, 1, 5, 5) / 25
        weights = nn.functional.conv2d(network[1].weight.reshape(6, 1, 16, 20), kernel, padding=2)
        network[1].weight.copy_(weights.flatten(1))
    found, others = run(network, targets, {"g": Gradient()}, similarities=("ssim",))
    pairs = [(weights[t, 0].numpy(), weights[o, 0].numpy()) for t, o in zip(targets, others, strict=True)]
    flattened = torch.tensor([similarity_func.ssim(a.ravel(), b.ravel()) for a, b in pairs])
    two_dimensional = torch.tensor([similarity_func.ssim(a, b) for a, b in pairs])
    assert (flattened - two_dimensional).abs().max() > 0.05
    assert (found["g", "", "ssim"][0] - flattened).abs().max() > 0.05


def test_other_classes_are_drawn_uniformly_and_never_the_target():
    draws, classes = 4000, 5
    targets = torch.arange(draws) % classes
    others = other_targets(targets, classes, seed=0, names=range(draws))
    assert (others != targets).all()
    distance = (others - targets) % classes
    counts = torch.bincount(distance, minlength=classes)[1:].double()
    expected = draws / (classes - 1)
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_square < 16.3  # 99.9 % of χ²(3)


def test_draws_depend_on_seed_and_image_only():
    targets = torch.tensor([3, 1, 4, 1, 5])
    together = other_targets(targets, 1000, seed=0, names=NAMES)
    reordered = other_targets(targets.flip(0)[:3], 1000, seed=0, names=NAMES[::-1][:3])
    assert torch.equal(reordered, together.flip(0)[:3])
    assert (other_targets(targets, 1000, seed=1, names=NAMES) != together).any()
    assert together.unique().numel() > 1


def test_undefined_maps_say_whose_they_are():
    network = linear(3)
    network[1].weight.data[2] = 0.0
    found, others = run(network, torch.tensor([2, 2, 0, 1, 0]), {"g": Gradient()})
    values, reasons = found["g", "", "spearman"]
    for value, reason, target, other in zip(values.tolist(), reasons, [2, 2, 0, 1, 0], others.tolist(), strict=True):
        if target == 2:
            assert math.isnan(value)
            assert reason == "constant map (target's map)"
        elif other == 2:
            assert math.isnan(value)
            assert reason == "constant map (other class's map)"
        else:
            assert reason == ""
            assert math.isfinite(value)


@pytest.mark.parametrize("rectify", [True, False])
def test_maps_at_a_layer_are_rectified_before_upsampling(rectify):
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    ).eval()
    targets = torch.tensor([0, 1, 2, 3, 0])
    found, others = run(network, targets, {"cam": GradCAM(("1",))}, rectify=rectify)
    plain = GradCAM(("1",), rectify=rectify)
    first, second = plain(network, IMAGES, targets)["1"], plain(network, IMAGES, others)["1"]
    expected = SIMILARITIES["spearman"](first, second)
    torch.testing.assert_close(found["cam", "1", "spearman"][0], expected, equal_nan=True)


def test_the_network_is_as_before():
    network = linear(3).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run(nn.DataParallel(network), torch.zeros(5, dtype=torch.long), {"edges": Sobel()})
    assert network.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_settings_are_told_apart():
    settings = RandomLogit(seeds=[1, 2], similarities=["pearson"], rectify=True)
    assert (settings.seeds, settings.similarities) == ((1, 2), ("pearson",))
    assert settings.defining() == {"name": "random_logit", "rectify": True}


@pytest.mark.usefixtures("as_in_production")
def test_mistakes_are_named():
    zeros = torch.zeros(5, dtype=torch.long)
    with pytest.raises(ValueError, match="another class, but the model knows 1; leave the test out"):
        run(linear(1), zeros, {"edges": Sobel()})
    with pytest.raises(ValueError, match="class 7 of image 0 is out of range: the model knows 3 classes"):
        run(linear(3), zeros + 7, {"edges": Sobel()})
    with pytest.raises(ValueError, match="names must be one for each of 5 images; got 2"):
        other_targets(zeros, 3, seed=0, names=("a", "b"))
    with pytest.raises(ValueError, match="did you mean spearman"):
        RandomLogit(similarities=("spearmen",))
    with pytest.raises(ValueError, match="at least one seed and one image"):
        RandomLogit(seeds=())
