"""Corrupted maps: bit for bit the map without corruption, a permutation with it, nested, and independent of the batch."""

import pytest
import torch
from small_networks import pictures, tiny_resnet

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.corrupted import Corrupted, corrupted_maps
from xaibench.explainers.oracle import Oracle
from xaibench.explainers.references import Sobel

TARGETS = torch.tensor([0, 3, 2])


def numbered(n_images, height, width):
    """Maps of which every cell has a value of its own."""
    return torch.arange(n_images * height * width, dtype=torch.float32).view(n_images, height, width)


@pytest.mark.parametrize("share", [0, 0.0, 0.02])
def test_a_share_of_fewer_than_two_cells_changes_nothing(share):
    maps = numbered(3, 8, 8)
    assert torch.equal(corrupted_maps(maps, pictures(), share=share, seed=0), maps)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_exactly_that_share_of_the_cells_moves_and_every_value_stays(share):
    maps, images = numbered(3, 8, 8), pictures()
    moved = corrupted_maps(maps, images, share=share, seed=0)
    assert ((moved != maps).flatten(1).sum(dim=1) == share * 64).all()
    assert torch.equal(moved.flatten(1).sort(dim=1).values, maps.flatten(1))
    assert torch.equal(maps, numbered(3, 8, 8))


def test_what_moves_at_a_smaller_share_moves_at_a_larger_one():
    maps, images = numbered(3, 6, 6), pictures()
    moved = [corrupted_maps(maps, images, share=share, seed=1) != maps for share in (0.25, 0.5, 0.75)]
    assert not (moved[0] & ~moved[1]).any()
    assert not (moved[1] & ~moved[2]).any()


def test_cells_go_anywhere_alike():
    """Over 3,000 images the value of cell 0 lands on each of the 8 others of a 3 × 3 map within five deviations."""
    images = torch.randn(3000, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    moved = corrupted_maps(torch.arange(9.0).expand(3000, 9).reshape(3000, 3, 3).clone(), images, share=1.0, seed=0)
    places = (moved.flatten(1) == 0).int().argmax(dim=1).bincount(minlength=9)
    assert places[0] == 0
    assert ((places[1:] - 375).abs() < 5 * (3000 / 8 * 7 / 8) ** 0.5).all()


def test_draws_depend_on_the_image_and_the_seed_only():
    maps, images = numbered(3, 8, 8), pictures()
    together = corrupted_maps(maps, images, share=0.5, seed=0)
    alone = torch.cat([corrupted_maps(maps[i : i + 1], images[i : i + 1], share=0.5, seed=0) for i in (2, 1, 0)])
    assert torch.equal(alone.flip(0), together)
    assert not torch.equal(corrupted_maps(maps, images, share=0.5, seed=1), together)
    same = corrupted_maps(maps[:1].expand(3, -1, -1), images, share=0.5, seed=0)
    assert not torch.equal(same[0], same[1])


def test_nan_moves_with_the_others():
    maps = numbered(1, 4, 4)
    maps[0, 0, 0] = torch.nan
    moved = corrupted_maps(maps, pictures(1), share=1.0, seed=0)
    assert moved.isnan().sum() == 1
    assert not moved[0, 0, 0].isnan()


def test_it_takes_layers_cost_and_resize_from_the_other_explainer():
    network, images, layers = tiny_resnet(), pictures(), ("layer2.0", "layer4.0")
    cam = GradCAM(layers, upsampling="nearest")
    plain = cam.maps(network, images, TARGETS)
    untouched = Corrupted(cam, 0.0)
    assert (untouched.layers, untouched.upsampling, untouched.resize) == (layers, "nearest", "nearest")
    assert untouched.forward_passes() == cam.forward_passes()
    for layer, values in untouched.maps(network, images, TARGETS).items():
        assert torch.equal(values, plain[layer])
    for layer, values in Corrupted(cam, 1.0).maps(network, images, TARGETS).items():
        assert not torch.equal(values, plain[layer])
        assert torch.equal(values.flatten(1).sort().values, plain[layer].flatten(1).sort().values)
    assert Corrupted(Sobel(), 0.5).resize == "none"
    assert Corrupted(Oracle(), 0.5).forward_passes() == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Corrupted(Sobel(), share)
