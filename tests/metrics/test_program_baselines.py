"""Other programs' baselines, against loops over pixels; against their numbers in test_presets."""

import pytest
import torch
from torchvision.transforms.v2.functional import gaussian_blur

from xaibench.metrics.baselines import named_baseline
from xaibench.metrics.program_baselines import BoxBlur, CutBlur, Minimum

IMAGES = torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def mirrored(index, size):
    """Mirror about the edge pixel, which is not repeated."""
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


@pytest.mark.parametrize("share", [0.4, 0.5, 0.05])
def test_box_of_even_and_odd_side(share):
    side = max(1, int(share * 10))
    expected = torch.zeros_like(IMAGES)
    for row in range(8):
        for column in range(10):
            for i in range(row - side // 2, row - side // 2 + side):
                for j in range(column - side // 2, column - side // 2 + side):
                    expected[:, :, row, column] += IMAGES[:, :, mirrored(i, 8), mirrored(j, 10)] / side**2
    torch.testing.assert_close(BoxBlur(share)(IMAGES), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("kernel_px", "sigma_px"), [(9, 5.0), (3, 0.7), (1, 2.0)])
def test_cut_blur_is_torchvisions(kernel_px, sigma_px):
    expected = gaussian_blur(IMAGES, [kernel_px, kernel_px], [sigma_px, sigma_px])
    torch.testing.assert_close(CutBlur(kernel_px, sigma_px)(IMAGES), expected, atol=1e-12, rtol=0)


def test_minimum_is_taken_over_all_channels():
    assert Minimum()(IMAGES)[1].unique().tolist() == [IMAGES[1].min()]


@pytest.mark.usefixtures("as_in_production")
def test_errors():
    with pytest.raises(ValueError, match="reaches 7 px, too far to mirror an image of 8 × 7"):
        CutBlur(15)(IMAGES[..., :7])
    with pytest.raises(ValueError, match=r"odd kernel_px and a sigma_px above 0, got 4 and 5.0"):
        CutBlur(4)
    with pytest.raises(ValueError, match=r"share_of_width must lie in \(0, 1\], got 0"):
        BoxBlur(0.0)


def test_known_by_name():
    assert (named_baseline("minimum"), named_baseline("cut_blur"), named_baseline("box_blur")) == (
        Minimum(), CutBlur(15, 5.0), BoxBlur(0.5)
    )  # fmt: skip
