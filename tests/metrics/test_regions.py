"""Divisions of an image: every pixel once, numbers without gaps, nothing from the neighbours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.metrics.division import divide
from xaibench.metrics.regions import Grid, Patches, Superpixels


def picture(height, width, seed=0, channels=3):
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


def test_patches_are_cut_off_at_the_far_borders():
    assert Patches(2)(picture(3, 5))[0].tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


def test_cells_are_equal_up_to_one_pixel():
    assert Grid(2, 3)(picture(3, 4))[0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5]]
    assert Grid(4, 4)(picture(1, 2))[0].tolist() == [[0, 1]]


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12), side=st.integers(1, 15), rows=st.integers(1, 6))
def test_numbers_have_no_gaps_and_are_as_many_as_told(height, width, side, rows):
    for regions in (Patches(side), Grid(rows, 3)):
        labels = regions(picture(height, width))
        assert labels.unique().tolist() == list(range(regions.about(height, width)))
        sizes = divide(picture(height, width), regions).sizes
        assert sizes.sum() == height * width
        if isinstance(regions, Grid) and height % rows == width % 3 == 0:
            assert sizes.max() == sizes.min()


def blocks():
    """A picture of four flat colours in unequal rectangles."""
    image = torch.zeros(1, 3, 16, 20)
    image[:, 0, :8, :10], image[:, 1, :8, 10:], image[:, 2, 8:, :10] = 2.0, 1.5, -1.5
    return image


def test_superpixels_follow_the_colours():
    labels = Superpixels(4, 1.0)(blocks())[0]
    assert labels.unique().tolist() == [0, 1, 2, 3]
    for part in (labels[:8, :10], labels[:8, 10:], labels[8:, :10], labels[8:, 10:]):
        assert len(part.unique()) == 1


def test_superpixels_depend_on_their_image_alone_and_not_on_its_scale():
    images = torch.cat([picture(16, 20, seed=1), blocks(), picture(16, 20, seed=2)])
    together = Superpixels(12)(images)
    for b in range(3):
        assert torch.equal(Superpixels(12)(images[b : b + 1])[0], together[b])
        assert together[b].unique().tolist() == list(range(int(together[b].max()) + 1))
    assert torch.equal(Superpixels(12)(images * 4), together)


@pytest.mark.parametrize(
    "image", [picture(1, 1), torch.zeros(1, 3, 8, 9), picture(8, 9, channels=1), picture(8, 9, channels=4)]
)
def test_superpixels_of_odd_images(image):
    labels = Superpixels(6)(image)
    assert labels.shape == (1, *image.shape[2:])
    assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


class Labels:
    def __init__(self, labels):
        self.labels = torch.tensor(labels)

    def __call__(self, images):
        return self.labels

    def about(self, height, width):
        return 1


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[[0, 2]]], "without gaps"),
        ([[[1, 1]]], "without gaps"),
        ([[[-1, 0]]], "without gaps"),
        ([[[0.0, 1.0]]], "whole numbers"),
        ([[[0, 1, 2]]], r"shape \(1, 1, 3\).*\(1, 1, 2\)"),
    ],
)
def test_bad_labels_are_named(labels, message):
    with pytest.raises(ValueError, match=message):
        divide(picture(1, 2), Labels(labels))


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="side_px must be at least 1"):
        Patches(0)
    with pytest.raises(ValueError, match="at least one row"):
        Grid(0, 3)
    for wrong in ({"n_segments": 0}, {"compactness": 0}, {"sigma_px": -1}):
        with pytest.raises(ValueError, match="superpixels need"):
            Superpixels(**wrong)
