"""The oracle: shares of the object in each cell, known exactly for objects that fill whole cells."""

import pytest
import torch
from small_networks import pictures
from torch import nn

from xaibench.explainers.corrupted import Corrupted
from xaibench.explainers.oracle import Oracle, oracle_maps
from xaibench.explainers.references import Sobel

TARGETS = torch.tensor([0, 0])


def masks():
    """A quarter of the image, and half of one cell of 4 × 4."""
    found = torch.zeros(2, 16, 16, dtype=torch.bool)
    found[0, :8, :8] = True
    found[1, 4:6, 8:12] = True
    return found


def test_each_cell_holds_its_share_of_the_object():
    maps = oracle_maps(masks(), cells=4)
    expected = torch.zeros(2, 4, 4)
    expected[0, :2, :2] = 1
    expected[1, 1, 2] = 0.5
    assert torch.equal(maps, expected)


def test_an_image_without_an_object_has_no_map():
    maps = oracle_maps(torch.cat([masks(), torch.zeros(1, 16, 16, dtype=torch.bool)]), cells=4)
    assert maps[2].isnan().all()
    assert maps[:2].isfinite().all()


def test_it_asks_no_model_and_draws_what_it_was_told():
    images = pictures(2, 16, 16)
    oracle = Oracle(cells=4)
    told = oracle.informed(masks())
    assert torch.equal(told.maps(nn.Identity(), images, TARGETS)[""], oracle_maps(masks(), cells=4))
    assert (told, told.resize, told.forward_passes()) == (oracle, "bilinear", 0.0)
    corrupted = Corrupted(oracle, 1.0).informed(masks()).maps(nn.Identity(), images, TARGETS)[""]
    assert not torch.equal(corrupted, oracle_maps(masks(), cells=4))
    assert Sobel().informed(masks()) == Sobel()


def test_an_oracle_that_was_told_nothing_or_of_other_images_says_so():
    images = pictures(2, 16, 16)
    with pytest.raises(ValueError, match="was told none"):
        Oracle().maps(nn.Identity(), images, TARGETS)
    with pytest.raises(ValueError, match=r"masks of shape \(1, 16, 16\)"):
        Oracle().informed(masks()[:1]).maps(nn.Identity(), images, TARGETS)
    with pytest.raises(ValueError, match="at least 1"):
        Oracle(cells=0)
