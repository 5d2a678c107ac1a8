import struct
import warnings

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from xaibench.data.pictures import read_mask, read_picture
from xaibench.data.samples import UnreadableImage


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def save(image, path, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def test_a_plain_file_comes_back_without_a_note(tmp_path, rgb):
    picture, note = read_picture(save(rgb, tmp_path / "a.png"))
    np.testing.assert_array_equal(picture, rgb)
    assert picture.dtype == np.uint8
    assert note == ""


def test_greyscale_is_repeated(tmp_path, rgb):
    picture, note = read_picture(save(rgb[..., 0], tmp_path / "a.png"))
    np.testing.assert_array_equal(picture, np.repeat(rgb[..., :1], 3, axis=2))
    assert note == "converted from greyscale"


def test_black_and_white_is_0_and_255(tmp_path, rgb):
    picture, note = read_picture(save(Image.fromarray(rgb[..., 0] > 127), tmp_path / "a.png"))
    np.testing.assert_array_equal(picture[..., 1], (rgb[..., 0] > 127) * 255)
    assert note == "converted from black and white"


def test_alpha_is_laid_over_white(tmp_path, rgb):
    alpha = np.zeros((12, 20, 1), np.uint8)
    alpha[:4], alpha[4:8] = 255, 51
    picture, note = read_picture(save(np.concatenate([rgb, alpha], axis=2), tmp_path / "a.png"))
    np.testing.assert_array_equal(picture[:4], rgb[:4])
    np.testing.assert_allclose(picture[4:8], rgb[4:8] * 0.2 + 255 * 0.8, atol=1)
    assert (picture[8:] == 255).all()
    assert note == "transparent, laid over white"


def test_an_opaque_alpha_changes_nothing(tmp_path, rgb):
    opaque = np.concatenate([rgb, np.full((12, 20, 1), 255, np.uint8)], axis=2)
    picture, note = read_picture(save(opaque, tmp_path / "a.png"))
    np.testing.assert_array_equal(picture, rgb)
    assert note == "opaque alpha channel dropped"


def test_palettes_with_and_without_transparency(tmp_path, rgb):
    palette = Image.fromarray(rgb).quantize(16)
    picture, note = read_picture(save(palette, tmp_path / "a.png"))
    np.testing.assert_array_equal(picture, np.asarray(palette.convert("RGB")))
    assert note == "converted from a palette"
    hidden = palette.getpixel((3, 3))
    picture, note = read_picture(save(palette, tmp_path / "b.png", transparency=hidden))
    assert (picture[3, 3] == 255).all()
    assert note == "transparent, laid over white"


def test_cmyk_is_converted(tmp_path):
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    for name in ("a.tif", "a.jpg"):
        picture, note = read_picture(save(cmyk, tmp_path / name))
        np.testing.assert_allclose(picture[8, 8], (255, 0, 0), atol=3)
        assert note == "converted from CMYK"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bit_is_scaled_not_cut(tmp_path, name):
    deep = np.linspace(0, 65535, 160).astype(np.uint16).reshape(10, 16)
    picture, note = read_picture(save(deep, tmp_path / name))
    np.testing.assert_array_equal(picture[..., 2], np.rint(deep / 257))
    assert note == "converted from 16-bit greyscale"


def test_floats_between_0_and_1_are_scaled(tmp_path):
    values = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    picture, note = read_picture(save(values, tmp_path / "a.tif"))
    np.testing.assert_array_equal(picture[..., 0], np.rint(values * 255))
    assert note == "converted from floats"


@pytest.mark.parametrize("values", [np.full((9, 9), 3.0, np.float32), np.full((9, 9), 70000, np.int32)])
def test_values_of_unknown_range_are_refused(tmp_path, values):
    with pytest.raises(UnreadableImage, match=r"a\.tif: values from"):
        read_picture(save(values, tmp_path / "a.tif"))


def test_not_a_number_is_refused(tmp_path):
    values = np.full((9, 9), np.nan, np.float32)
    with pytest.raises(UnreadableImage, match="values from nan"):
        read_picture(save(values, tmp_path / "a.tif"))


def test_exif_orientation_is_applied(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture, note = read_picture(save(rgb, tmp_path / "a.png", exif=exif))
    np.testing.assert_array_equal(picture, np.rot90(rgb, -1))
    assert note == "turned as its EXIF says"


def test_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("RGB", (10, 9), colour) for colour in ("red", "green", "blue")]
    path = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture, note = read_picture(path)
    assert (picture == (255, 0, 0)).all()
    assert "first of 3 frames" in note


def test_a_tiny_image_is_refused(tmp_path, rgb):
    with pytest.raises(UnreadableImage, match=r"a\.png: 7 × 12 pixels; each side must have at least 8"):
        read_picture(save(rgb[:, :7], tmp_path / "a.png"))
    assert read_picture(save(rgb[:8, :8], tmp_path / "b.png"))[0].shape == (8, 8, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp", "a.gif"])
def test_a_truncated_file_is_refused(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(noise, tmp_path / name)
    content = path.read_bytes()
    for share in (0.02, 0.3, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UnreadableImage, match=rf"^{name}: "):
            read_picture(path)


def test_a_truncated_jpeg_is_called_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(noise, tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_picture(path)


@pytest.mark.parametrize(("content", "reason"), [(b"hello", "not an image"), (b"", "empty file")])
def test_a_file_that_is_no_image_is_refused(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=rf"a\.jpg: {reason}"):
        read_picture(tmp_path / "a.jpg")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UnreadableImage, match=r"a\.jpg: no such file"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImage, match="directory"):
        read_picture(tmp_path)


def test_a_decompression_bomb_is_refused(tmp_path):
    path = save(Image.new("1", (8, 8)), tmp_path / "a.bmp")
    content = bytearray(path.read_bytes())
    content[18:26] = struct.pack("<ii", 100_000, 100_000)  # the header promises 10 gigapixels
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=r"a\.bmp: too large"):
        read_picture(path)


def test_a_large_image_is_read_without_a_warning(tmp_path, rgb, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # of 240
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(save(rgb, tmp_path / "a.png"))[0].shape == rgb.shape


def test_odd_metadata_leaks_no_warning(tmp_path, rgb):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = "words"
    path = save(rgb, tmp_path / "a.tif", tiffinfo=info)
    content = path.read_bytes()
    at = content.index(b"words")
    path.write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_picture(path)


def test_a_mask_is_true_where_it_is_not_zero(tmp_path):
    mask = np.zeros((9, 11), bool)
    mask[2:5, 3:9] = True
    palette = Image.fromarray(mask.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0] * 256)  # black both; the index counts
    colour = np.repeat(mask[..., None] * np.uint8(7), 3, axis=2)
    alpha = np.concatenate([colour, np.full((9, 11, 1), 255, np.uint8)], axis=2)
    grey_alpha = Image.fromarray(alpha).convert("LA")
    deep = mask.astype(np.uint16) * 300
    for image in (mask, mask.astype(np.uint8), palette, colour, alpha, grey_alpha, deep):
        np.testing.assert_array_equal(read_mask(save(image, tmp_path / "m.png"), (9, 11)), mask)


def test_a_mask_of_another_size_or_none_is_refused(tmp_path):
    path = save(np.zeros((9, 11), np.uint8), tmp_path / "m.png")
    with pytest.raises(UnreadableImage, match=r"mask m\.png is 9 × 11, its image 11 × 9"):
        read_mask(path, (11, 9))
    path.write_bytes(b"no")
    with pytest.raises(UnreadableImage, match=r"mask m\.png: not an image"):
        read_mask(path, (9, 11))
