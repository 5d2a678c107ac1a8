import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.testing import assert_close

from xaibench.models.preprocessing import IMAGENET, Preprocessing
from xaibench.names import UnknownName


def random_picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "entry",
    [
        torchvision.models.ResNet50_Weights.IMAGENET1K_V1,  # 256, 224
        torchvision.models.ResNet50_Weights.IMAGENET1K_V2,  # 232, 224
        torchvision.models.EfficientNet_B0_Weights.DEFAULT,  # bicubic
        torchvision.models.Inception_V3_Weights.DEFAULT,  # 342, 299
        torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES,  # another mean and std
    ],
    ids=lambda entry: str(entry),
)
@pytest.mark.parametrize("size", [(300, 401), (500, 260), (100, 130), (224, 224)])
def test_numbers_are_those_of_torchvisions_preset_on_a_pillow_image(entry, size):
    picture = random_picture(*size)
    ours = Preprocessing.from_torchvision(entry.transforms())
    assert_close(ours.image(picture), entry.transforms()(Image.fromarray(picture)), rtol=0, atol=1e-6)


def test_a_picture_smaller_than_the_crop_is_padded_as_torchvision_does():
    preset = torchvision.transforms._presets.ImageClassification(crop_size=64, resize_size=40)
    picture = random_picture(80, 50)
    ours = Preprocessing.from_torchvision(preset)
    assert_close(ours.image(picture), preset(Image.fromarray(picture)), rtol=0, atol=1e-6)
    mask = ours.mask(np.ones((1, 80, 50), bool))[0]  # 80 × 50 becomes 64 × 40
    assert mask[:, 12:52].all()
    assert not mask[:, :12].any()
    assert not mask[:, 52:].any()


def test_without_antialiasing_a_picture_is_resized_as_torchvision_resizes_tensors():
    picture = random_picture(90, 70)
    ours = Preprocessing(32, None, (0.5,) * 3, (0.25,) * 3, antialias=False)
    pixels = torch.tensor(picture).permute(2, 0, 1)
    resized = torchvision.transforms.functional.resize(pixels, [32], antialias=False)
    assert_close(ours.image(picture), (resized / 255 - 0.5) / 0.25, rtol=0, atol=1e-6)


@pytest.mark.parametrize("resize", [None, 48, 96, (40, 90), (90, 40)])
@pytest.mark.parametrize("crop", [None, 32, (24, 40), 100])
def test_masks_stay_aligned_with_their_image(resize, crop):
    picture = np.zeros((120, 77, 3), np.uint8)
    masks = np.zeros((2, 120, 77), bool)
    masks[0, 30:70, 20:61] = True  # off centre, in both directions
    masks[1, 65:110, 5:30] = True
    picture[masks[0]] = (255, 0, 0)
    picture[masks[1], 1] = 255
    ours = Preprocessing(resize, crop, (0.0,) * 3, (1.0,) * 3)
    image, moved = ours.image(picture), ours.mask(masks)
    assert moved.shape == (2, *image.shape[1:])
    for channel in (0, 1):
        solid = image[channel] > 0.5
        # antialiased edges are half covered where they fall between pixels: they may differ by one pixel each
        edge = torch.nn.functional.max_pool2d(solid[None].float(), 3, 1, 1) != -torch.nn.functional.max_pool2d(
            -solid[None].float(), 3, 1, 1
        )
        assert solid.any()
        assert (moved[channel] == solid)[~edge[0]].all()


def test_masks_of_no_object_are_no_masks():
    assert IMAGENET.mask(np.zeros((0, 300, 400), bool)).shape == (0, 224, 224)


def test_the_picture_is_what_the_network_saw():
    picture = random_picture(64, 48)
    as_is = Preprocessing(None, None, IMAGENET.mean, IMAGENET.std)
    np.testing.assert_array_equal(as_is.picture(as_is.image(picture)), picture)
    cropped = Preprocessing(None, 32, IMAGENET.mean, IMAGENET.std)
    np.testing.assert_array_equal(cropped.picture(cropped.image(picture)), picture[16:48, 8:40])


def test_the_picture_of_out_of_range_values_is_clipped():
    image = torch.stack([torch.full((2, 2), v) for v in (-100.0, 100.0, 0.0)])
    assert Preprocessing(None, None, (0.5,) * 3, (1.0,) * 3).picture(image)[0, 0].tolist() == [0, 255, 128]


def test_a_read_only_picture_is_fine():
    picture = random_picture(30, 30)
    picture.setflags(write=False)
    Preprocessing(None, None, (0.0,) * 3, (1.0,) * 3, antialias=False).image(picture)


def test_image_size():
    assert IMAGENET.image_size == (224, 224)
    assert Preprocessing((10, 20), None, (0.0,) * 3, (1.0,) * 3).image_size == (10, 20)
    assert Preprocessing(20, None, (0.0,) * 3, (1.0,) * 3).image_size is None


@pytest.mark.parametrize(
    ("change", "message"),
    [({"resize": 0}, "resize"), ({"crop": (10, -1)}, "crop"), ({"std": (1.0, 0.0, 1.0)}, "std")],
)
def test_impossible_settings(change, message):
    settings = {"resize": 10, "crop": 8, "mean": (0.0,) * 3, "std": (1.0,) * 3} | change
    with pytest.raises(ValueError, match=message):
        Preprocessing(**settings)


def test_unknown_interpolation():
    with pytest.raises(UnknownName, match="bilinear"):
        Preprocessing(10, 8, (0.0,) * 3, (1.0,) * 3, interpolation="billinear")


def test_a_foreign_transform_is_refused():
    with pytest.raises(TypeError, match="Normalize"):
        Preprocessing.from_torchvision(torchvision.transforms.Normalize([0.5], [0.5]))
