import numpy as np
import pytest

from xaibench.data.textures import noise_fields, random_texture


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.5])
def test_the_amplitude_spectrum_falls_with_the_given_exponent(exponent):
    rng = np.random.default_rng(0)
    fields = [field for _ in range(30) for field in noise_fields(rng, 64, exponent)]
    power = np.mean([np.abs(np.fft.fft2(field)) ** 2 for field in fields], axis=0)
    frequencies = np.fft.fftfreq(64, 1 / 64)
    radius = np.hypot(frequencies[:, None], frequencies)
    kept = (radius >= 1) & (radius <= 30)
    slope, _ = np.polyfit(np.log(radius[kept]), np.log(power[kept]), 1)
    assert slope == pytest.approx(-2 * exponent, abs=0.05)


def test_the_two_fields_have_mean_zero_variance_one_and_no_correlation():
    rng = np.random.default_rng(1)
    pairs = [noise_fields(rng, 64, 1.0) for _ in range(100)]
    for first, second in pairs:
        assert first.dtype == second.dtype == np.float32
        assert [first.mean(), second.mean()] == pytest.approx([0, 0], abs=1e-4)
        assert [first.std(), second.std()] == pytest.approx([1, 1], abs=1e-4)
    correlations = [float((first * second).mean()) for first, second in pairs]
    assert abs(np.mean(correlations)) < 4 * np.std(correlations) / 10


def test_colours_stay_within_grey_levels_and_a_crop_is_a_part_of_the_whole():
    rng = np.random.default_rng(2)
    for _ in range(20):
        texture = random_texture(rng, 48)
        whole = texture.crop(slice(None), slice(None))
        assert whole.shape == (3, 48, 48)
        assert 0 <= whole.min() < whole.max() <= 255
        np.testing.assert_array_equal(texture.crop(slice(5, 20), slice(7, 9)), whole[:, 5:20, 7:9])
