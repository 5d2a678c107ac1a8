"""Smoothing against a slow loop, its trivial cases, and independence of the batch."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from small_networks import pictures, tiny_resnet
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.gradients import Gradient, image_gradients
from xaibench.explainers.references import generator_of
from xaibench.explainers.smoothed import Smoothed, SmoothGrad
from xaibench.names import UnknownName

TARGETS = torch.tensor([0, 3, 2])


@dataclass(frozen=True)
class Itself(Explainer):
    """The map is the image's first channel: what the copies look like can be seen."""

    name: ClassVar[str] = "itself"

    def maps(self, model, images, targets, *, generator=None):
        return {"": images[:, 0]}


class Untouched(nn.Module):
    def forward(self, x):
        raise AssertionError


def slow(explainer, network, images, *, n_samples, noise_level, clean_last, seed):
    """One image and one copy at a time, in the order in which they are drawn."""
    means = []
    for image, target in zip(images, TARGETS, strict=False):
        generator = generator_of(image, seed)
        spread = noise_level * (image.max() - image.min())
        copies = [image + spread * torch.randn(image.shape, generator=generator) for _ in range(n_samples)]
        if clean_last:
            copies[-1] = image
        found = [explainer.maps(network, copy[None], target[None]) for copy in copies]
        means.append({key: torch.cat([one[key].double() for one in found]).mean(0) for key in found[0]})
    return {key: torch.stack([one[key] for one in means]) for key in means[0]}


@pytest.mark.parametrize("clean_last", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_the_mean_over_noisy_copies(clean_last, batch_size):
    network, images, layers = tiny_resnet(), pictures(3, 32, 32), ("layer2.0", "layer1.0")
    choices = {"n_samples": 3, "noise_level": 0.2, "clean_last": clean_last, "seed": 5}
    smoothed = Smoothed(GradCAM(layers), batch_size=batch_size, **choices)
    expected = slow(GradCAM(layers), network, images, **choices)
    found = smoothed.maps(network, images, TARGETS)
    assert tuple(found) == smoothed.layers == layers
    for layer in layers:
        scale = expected[layer].abs().max().item()
        torch.testing.assert_close(found[layer].double(), expected[layer], rtol=0, atol=2e-6 * scale + 1e-7)
        assert found[layer].dtype == torch.float32


def test_the_noise_has_the_stated_width_and_no_bias():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 50, 60, generator=draw) * torch.tensor([1.0, 10.0])[:, None, None, None] + 4
    choices = {"n_samples": 1, "noise_level": 0.1, "clean_last": False}
    noise = Smoothed(Itself(), **choices).maps(Untouched(), images, TARGETS[:2])[""] - images[:, 0]
    for image, values in zip(images, noise, strict=True):
        sigma = 0.1 * (image.max() - image.min())
        # 3,000 draws: mean within five standard errors, standard deviation within 7 %
        assert abs(values.mean()) < 5 * sigma / 3000**0.5
        assert values.std().item() == pytest.approx(sigma.item(), rel=0.07)
    mean = Smoothed(Itself(), n_samples=400, noise_level=0.1, clean_last=True).maps(Untouched(), images, TARGETS[:2])
    ratio = (mean[""] - images[:, 0]).std(dim=(1, 2)) / noise.std(dim=(1, 2))
    torch.testing.assert_close(ratio, torch.full((2,), 399**0.5 / 400), rtol=0.07, atol=0)


@pytest.mark.parametrize("trivial", [{"noise_level": 0.0}, {"n_samples": 1, "clean_last": True}])
def test_without_noise_it_is_the_explainer_itself(trivial):
    network, images = tiny_resnet(), pictures()
    smoothed = Smoothed(Gradient(), **trivial)
    assert torch.equal(smoothed.maps(network, images, TARGETS)[""], Gradient().maps(network, images, TARGETS)[""])
    assert smoothed.forward_passes() == 1.0


def test_draws_depend_on_seed_and_image_only():
    images = pictures()
    smoothed = Smoothed(Itself(), n_samples=5, batch_size=4)
    found, state = smoothed.maps(Untouched(), images, TARGETS)[""], torch.get_rng_state()
    assert torch.equal(smoothed.maps(Untouched(), images.flip(0), TARGETS)[""].flip(0), found)
    assert torch.equal(smoothed.maps(Untouched(), images[1:2], TARGETS[1:2])[""], found[1:2])
    assert torch.equal(torch.get_rng_state(), state)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(smoothed.maps(Untouched(), images, TARGETS, generator=generator)[""], found)
    assert not torch.allclose(Smoothed(Itself(), n_samples=5, seed=1).maps(Untouched(), images, TARGETS)[""], found)
    twins = images[[0, 0]]
    maps = smoothed.maps(Untouched(), twins, TARGETS[:2])[""]
    assert torch.equal(maps[0], maps[1])


def test_passes_are_counted_and_batches_bounded():
    network, images, seen = tiny_resnet(), pictures(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    for explainer in (Smoothed(GradCAM(("layer4",)), n_samples=5, batch_size=4), SmoothGrad(n_samples=5, batch_size=4)):
        seen.clear()
        explainer.maps(network, images, TARGETS)
        assert sum(seen) == explainer.forward_passes() * len(images) == 15
        assert seen == [4, 4, 4, 3]


def test_it_is_recorded_as_the_explainer_that_it_smooths():
    smoothed = Smoothed(GradCAM(("layer4",), upsampling="nearest"))
    assert (smoothed.name, smoothed.layers, smoothed.upsampling) == ("grad_cam", ("layer4",), "nearest")
    assert smoothed == Smoothed(GradCAM(("layer4",), upsampling="nearest"))
    assert hash(smoothed) == hash(Smoothed(GradCAM(("layer4",), upsampling="nearest")))
    assert smoothed != Smoothed(GradCAM(("layer3",), upsampling="nearest"))
    images, network = pictures(), tiny_resnet()
    blocks = Smoothed(GradCAM(("layer4",), upsampling="nearest"), n_samples=2)(network, images, TARGETS)["layer4"]
    assert blocks.shape == (3, 40, 56)
    assert len(blocks[0].unique()) <= 4


def test_smooth_grad_reduces_channels_after_the_mean():
    network, images = tiny_resnet(), pictures(dtype=torch.float64).float()
    choices = {"n_samples": 4, "noise_level": 0.15, "clean_last": False, "seed": 2}
    generators = [generator_of(image, 2) for image in images]
    means = torch.zeros(3, 3, 40, 56)
    for _ in range(4):
        noise = [torch.randn(3, 40, 56, generator=generator) for generator in generators]
        spread = 0.15 * (images.amax((1, 2, 3)) - images.amin((1, 2, 3)))[:, None, None, None]
        means += image_gradients(network, images + spread * torch.stack(noise), TARGETS) / 4
    for channels, expected in [("sum", means.sum(1)), ("max_abs", means.abs().amax(1))]:
        found = SmoothGrad(channels=channels, **choices).maps(network, images, TARGETS)[""]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    signed = SmoothGrad(**choices).maps(network, images, TARGETS)[""]
    same = Smoothed(Gradient(), **choices).maps(network, images, TARGETS)[""]
    torch.testing.assert_close(signed, same, rtol=0, atol=1e-5 * same.abs().max().item())


def test_images_with_infinite_answers_are_named_all():
    images = pictures(4)
    images[1, 0, 3, 3], images[3] = torch.nan, torch.nan
    for explainer in (Smoothed(Gradient(), n_samples=3, batch_size=2), SmoothGrad(n_samples=3, batch_size=5)):
        with pytest.raises(NonFiniteOutput) as error:
            explainer.maps(tiny_resnet(), images, torch.tensor([0, 1, 2, 3]))
        assert error.value.indices == (1, 3)


def test_settings_are_checked_when_they_are_given():
    for wrong, message in [
        ({"n_samples": 0}, "n_samples of a smoothed explainer must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size of a smoothed explainer must be at least 1"),
        ({"noise_level": -0.1}, r"0 or more; got -0\.1"),
        ({"noise_level": float("nan")}, "got nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            Smoothed(Gradient(), **wrong)
        with pytest.raises(ValueError, match=message):
            SmoothGrad(**wrong)
    with pytest.raises(UnknownName, match="channels"):
        SmoothGrad(channels="mean")
