import numpy as np
import pytest
import torch
from scipy import ndimage
from small_networks import pictures
from torch import nn

from xaibench.explainers.references import Center, Random, RawImage, Sobel, center_maps, random_maps, sobel_maps

TARGETS = torch.tensor([0, 0, 0])


class Untouched(nn.Module):
    def forward(self, x):
        raise AssertionError("a reference explainer asked the model")


@pytest.mark.parametrize("explainer", [Random(), Center(), Sobel(), RawImage()])
def test_references_ignore_the_model_and_the_batch(explainer):
    images = pictures()
    maps = explainer.maps(Untouched(), images, TARGETS)
    assert list(maps) == [""]
    assert maps[""].shape == (3, 40, 56)
    assert maps[""].dtype == torch.float32
    alone = torch.cat([explainer.maps(Untouched(), images[i : i + 1], TARGETS[:1])[""] for i in (2, 1, 0)])
    assert torch.equal(maps[""], alone.flip(0))
    assert torch.equal(explainer(Untouched(), images, TARGETS)[""], maps[""])


def test_noise_is_uniform_and_differs_by_image_and_seed():
    images = pictures(2, 100, 200)
    maps = random_maps(images, seed=0)
    assert not torch.equal(maps[0], maps[1])
    assert not torch.equal(maps, random_maps(images, seed=1))
    counts = torch.histc(maps[0], 10, 0, 1)
    # 20,000 draws: each tenth of [0, 1) within five standard deviations of 2,000
    assert (counts - 2000).abs().max() < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert maps.min() >= 0
    assert maps.max() < 1


def test_noise_leaves_the_global_state_alone_and_takes_a_generator():
    images, before = pictures(), torch.get_rng_state()
    Random(seed=4).maps(Untouched(), images, TARGETS)
    assert torch.equal(torch.get_rng_state(), before)
    draws = [Random().maps(Untouched(), images, TARGETS, generator=torch.Generator().manual_seed(5))[""] for _ in "ab"]
    assert torch.equal(draws[0], draws[1])
    alone = Random().maps(Untouched(), images[1:2], TARGETS[1:2], generator=torch.Generator().manual_seed(5))[""]
    assert torch.equal(draws[0][1:2], alone)  # whatever else is in the batch
    others = Random().maps(Untouched(), images, TARGETS, generator=torch.Generator().manual_seed(6))[""]
    assert not torch.equal(draws[0], others)


def test_the_centre_is_a_gaussian_in_fractions_of_the_sides():
    maps = center_maps(torch.zeros(1, 3, 8, 5), sigma=0.25)[0]
    for i in range(8):
        for j in range(5):
            y, x = (i + 0.5) / 8 - 0.5, (j + 0.5) / 5 - 0.5
            assert maps[i, j] == pytest.approx(np.exp(-(x**2 + y**2) / (2 * 0.25**2)), abs=1e-6)
    with pytest.raises(ValueError, match="sigma must be a positive"):
        Center(sigma=0.0)


def test_edges_equal_scipy():
    images = pictures(2)
    gray = np.einsum("c,bchw->bhw", [0.299, 0.587, 0.114], images.double().numpy())
    for ours, values in zip(sobel_maps(images), gray, strict=True):
        expected = np.hypot(ndimage.sobel(values, 0, mode="nearest"), ndimage.sobel(values, 1, mode="nearest"))
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_a_constant_image_has_no_edges_and_other_channel_counts_are_refused():
    assert torch.equal(sobel_maps(torch.full((1, 1, 4, 6), 2.0)), torch.zeros(1, 4, 6))
    with pytest.raises(ValueError, match="one or three channels; got 4"):
        sobel_maps(torch.zeros(1, 4, 5, 5))
