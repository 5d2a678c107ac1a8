import pytest
import torch

from xaibench.metrics.run_baselines import AnotherImage, DatasetMean, mean_colour


def test_mean_colour_counts_each_image_once():
    images = [torch.full((3, 4, 4), 1.0), torch.full((3, 2, 9), 4.0)]
    images[1][0] = 0
    assert mean_colour(images) == (0.5, 2.5, 2.5)
    filled = DatasetMean(mean_colour(images))(torch.zeros(2, 3, 5, 6))
    torch.testing.assert_close(filled, torch.tensor([0.5, 2.5, 2.5])[None, :, None, None].expand(2, 3, 5, 6))
    with pytest.raises(ValueError, match="no image"):
        mean_colour([])
    with pytest.raises(ValueError, match="each of 3 channels"):
        DatasetMean((0.5,))(torch.zeros(1, 3, 2, 2))


def test_another_image_is_never_the_image_itself():
    first, second, third = torch.rand(3, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    other = AnotherImage(("a", "b"), (first, second))
    images = torch.stack([first, second, third])
    assert torch.equal(other(images), torch.stack([second, first, first]))
    assert torch.equal(other(images.flip(0)[:1]), first[None])
    assert other == AnotherImage(("a", "b"), (first.clone(), second)) != AnotherImage(("a", "c"), (first, second))
    assert hash(other) == hash(AnotherImage(("a", "b"), (first.clone(), second)))


def test_another_image_of_another_size_is_stretched():
    flat = torch.full((3, 8, 8), 2.0)
    other = AnotherImage(("a", "b"), (flat, flat + 1))
    torch.testing.assert_close(other(torch.zeros(2, 3, 5, 6)), torch.full((2, 3, 5, 6), 2.0))
    with pytest.raises(ValueError, match="are equal"):
        AnotherImage(("a", "b"), (flat, flat.clone()))
    with pytest.raises(ValueError, match="1 channels"):
        other(torch.zeros(1, 1, 5, 6))
