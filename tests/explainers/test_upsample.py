import pytest
import torch

from xaibench.explainers.upsample import upsample
from xaibench.names import UnknownName


def test_nearest_makes_blocks():
    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    expected = torch.tensor([[[1.0, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]])
    assert torch.equal(upsample(maps, (2, 6), mode="nearest"), expected)


def test_bilinear_samples_at_half_pixel_centres_and_repeats_the_border():
    maps = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    centres = (torch.arange(8, dtype=torch.float64) + 0.5) / 4 - 0.5
    expected = centres.clamp(0, 1).expand(1, 3, 8)
    torch.testing.assert_close(upsample(maps, (3, 8)), expected)


def test_bicubic_uses_keys_kernel_and_may_overshoot():
    maps = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]], dtype=torch.float64)

    def kernel(t, a=-0.75):
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    expected = []
    for i in range(8):
        x = (i + 0.5) / 2 - 0.5
        values = [(kernel(x - k), float(maps[0, 0, min(max(k, 0), 3)])) for k in range(-2, 7)]
        expected.append(sum(weight * value for weight, value in values))
    ours = upsample(maps, (1, 8), mode="bicubic")
    torch.testing.assert_close(ours[0, 0], torch.tensor(expected, dtype=torch.float64))
    assert ours.min() < 0


def test_same_size_is_the_same_map_and_a_constant_stays_one():
    maps = torch.rand(2, 5, 7)
    for mode in ("nearest", "bilinear", "bicubic"):
        assert torch.equal(upsample(maps, (5, 7), mode=mode), maps)
        torch.testing.assert_close(
            upsample(torch.full((1, 3, 2), 4.0), (11, 9), mode=mode), torch.full((1, 11, 9), 4.0)
        )


def test_unknown_modes():
    with pytest.raises(UnknownName, match="did you mean bilinear"):
        upsample(torch.rand(1, 2, 2), (4, 4), mode="linear")
