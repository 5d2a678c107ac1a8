import sys

import numpy as np
import pytest
import torch

from xaibench.metrics.telea import Telea

cv2 = pytest.importorskip("cv2")


def test_opencvs_own_in_painting_of_a_colour_picture():
    """The usual call rounds each pixel to 8 bits before it fills the next one: up to three grey levels at the far end."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 5, generator=generator), size=(30, 38), mode="bicubic")
    pixels = (smooth.clamp(0, 1) * 255).round()
    removed = torch.zeros(2, 1, 30, 38, dtype=torch.bool)
    removed[0, 0, 5:14, 8:20], removed[1, 0, 20:29, 30:38] = True, True
    filled = Telea(3.0).fill(pixels, removed)
    for mask, ours in zip(removed, filled, strict=True):
        bytes_ = np.ascontiguousarray(pixels[0].permute(1, 2, 0).numpy().astype(np.uint8))
        theirs = torch.from_numpy(cv2.inpaint(bytes_, mask[0].numpy().astype(np.uint8), 3, cv2.INPAINT_TELEA))
        difference = (ours.permute(1, 2, 0) - theirs).abs()[mask[0]]
        assert float(difference.max()) < 3
        assert float(difference.mean()) < 1.2
        assert torch.equal(ours[:, ~mask[0]], pixels[0][:, ~mask[0]])
        assert not torch.equal(ours, pixels[0])


def test_everything_removed_is_the_channel_mean():
    image, removed = torch.rand(1, 3, 8, 9), torch.ones(2, 1, 8, 9, dtype=torch.bool)
    removed[1] = False
    filled = Telea().fill(image, removed)
    torch.testing.assert_close(filled[0], image.mean(dim=(2, 3))[0, :, None, None].expand(3, 8, 9))
    assert torch.equal(filled[1], image[0])
    torch.testing.assert_close(Telea()(image)[0], filled[0])


def test_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        Telea().fill(torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="radius_px"):
        Telea(0)
