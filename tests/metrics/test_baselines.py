import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from xaibench.metrics.baselines import BASELINES, Black, Blur, Mean, Noise, RiseBlur, Zero, named_baseline
from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.program_baselines import BoxBlur, CutBlur, Minimum
from xaibench.metrics.run_baselines import AnotherImage, DatasetMean
from xaibench.metrics.telea import Telea

IMAGES = torch.randn(3, 3, 9, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ALL = [Zero(), Black((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), Mean(), Blur(2.0), RiseBlur(), Noise(1)]
ALL += [DatasetMean((0.1, 0.2, 0.3)), AnotherImage(("a", "b"), (IMAGES[0], IMAGES[1])), NoisyLinear(), Telea()]
ALL += [Minimum(), CutBlur(), BoxBlur()]


def test_all_baselines_are_tested():
    assert {type(baseline) for baseline in ALL} == set(BASELINES.values())


@pytest.mark.parametrize("baseline", ALL, ids=str)
def test_a_baseline_depends_on_its_own_image_and_settings_only(baseline):
    images = IMAGES.clone()
    together = baseline(images)
    alone = torch.cat([baseline(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-14, rtol=0)
    torch.testing.assert_close(images, IMAGES)
    assert baseline == type(baseline)(**vars(baseline))
    assert hash(baseline) == hash(type(baseline)(**vars(baseline)))


def test_values():
    assert (Zero()(IMAGES) == 0).all()
    torch.testing.assert_close(
        Black((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))(IMAGES)[1, :, 4, 5],
        torch.tensor([-2, -5 / 3, -1.5], dtype=torch.float64),
    )
    torch.testing.assert_close(Mean()(IMAGES)[2, 1, 3, 3], IMAGES[2, 1].mean())


@pytest.mark.parametrize("sigma_px", [0.7, 2.0, 6.0])
def test_blur_is_scipys_gaussian(sigma_px):
    expected = gaussian_filter(
        IMAGES.numpy(), (0, 0, sigma_px, sigma_px), mode="nearest", radius=(0, 0, *[max(1, round(3 * sigma_px))] * 2)
    )
    np.testing.assert_allclose(Blur(sigma_px)(IMAGES).numpy(), expected, atol=1e-12)


def test_noise_stays_in_the_images_range_and_repeats():
    noise = Noise(1)(IMAGES)
    assert torch.equal(noise, Noise(1)(IMAGES))
    assert not torch.equal(noise, Noise(2)(IMAGES))
    low, high = IMAGES.amin(dim=(2, 3), keepdim=True), IMAGES.amax(dim=(2, 3), keepdim=True)
    assert ((noise >= low) & (noise <= high)).all()


def test_names():
    assert named_baseline("rise_blur") == RiseBlur()
    assert named_baseline(Mean()) == Mean()
    with pytest.raises(ValueError, match="did you mean zero"):
        named_baseline("zeros")
    assert named_baseline("noisy_linear") == NoisyLinear()
    for name, needed in (("black", "preprocessing"), ("dataset_mean", "mean_colour"), ("another_image", "donors")):
        with pytest.raises(ValueError, match=needed):
            named_baseline(name)
    with pytest.raises(ValueError, match="each of 3 channels"):
        Black((0.5,), (0.5,))(IMAGES)
    with pytest.raises(ValueError, match="odd kernel_px"):
        RiseBlur(kernel_px=10)
    with pytest.raises(ValueError, match="sigma_px"):
        Blur(0.0)
