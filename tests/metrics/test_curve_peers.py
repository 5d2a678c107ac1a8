"""Installed peers on identical inputs: equal where theirs is right, and where it is not, by how much and why."""

import warnings

import numpy as np
import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.deletion import Deletion
from xaibench.metrics.ordering import Order
from xaibench.metrics.pixel_flipping import PixelFlipping
from xaibench.metrics.presets import preset_settings
from xaibench.metrics.steps import ChunkSteps

GOLDEN = Golden("deletion_presets")
NETWORK, IMAGES, MAPS, TIED, TARGETS = (
    GOLDEN.network(), GOLDEN["images"], GOLDEN["maps"], GOLDEN["maps_tied"], GOLDEN["predicted"]
)  # fmt: skip


# ── torch-cam ────────────────────────────────────────────────────────────────────────────────────────────────────


def _torchcam_areas(maps, steps=20, logits_fn=None):
    """Mean deletion and insertion areas by torch-cam, its extractor replaced by stored maps."""
    metrics = pytest.importorskip("torchcam.metrics")
    from torchcam.methods import GradCAM

    with GradCAM(NETWORK, "relu3") as extractor:
        metric = metrics.DeletionInsertionMetric(extractor, logits_fn, steps=steps)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(metrics, "_get_cam", lambda *_: (maps, TARGETS))
            metric.update(IMAGES)
    summary = metric.summary()
    return summary["deletion_auc"], summary["insertion_auc"]


@pytest.mark.parametrize("steps", [20, 9])
@pytest.mark.parametrize("maps", [MAPS, TIED], ids=["distinct", "tied"])
def test_torchcam_is_its_preset(maps, steps):
    expected = _torchcam_areas(maps, steps=steps)
    for name, area in zip(("deletion", "insertion"), expected, strict=True):
        metric = preset_settings("torchcam", name, steps=ChunkSteps(steps))
        assert metric(NETWORK, IMAGES, maps, TARGETS).areas.mean().item() == pytest.approx(area, abs=1e-6)


def test_torchcam_differs_from_rise_by_the_order_of_equal_pixels_and_the_score():
    theirs, _ = _torchcam_areas(TIED)
    first, later = (
        preset_settings("torchcam", "deletion", order=Order(ties=ties))(NETWORK, IMAGES, TIED, TARGETS).areas.mean()
        for ties in ("raster", "reverse_raster")
    )
    assert first.item() == pytest.approx(theirs, abs=1e-6)
    assert abs(later - first) > 1e-4
    probability, _ = _torchcam_areas(TIED, logits_fn=lambda logits: logits.softmax(dim=1))
    assert abs(probability - theirs) > 0.1


# ── Quantus ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _quantus_curves(maps, features_in_step, images=IMAGES):
    """Return the curve of every image by Quantus, (B, T); its own area needs numpy.trapz, which is gone."""
    quantus = pytest.importorskip("quantus")
    metric = quantus.PixelFlipping(features_in_step=features_in_step, normalise=False, disable_warnings=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curves = metric(
            GOLDEN.network(torch.float32), images.float().numpy(), TARGETS.numpy(), a_batch=maps.numpy(), softmax=True,
            device="cpu", channel_first=True,
        )  # fmt: skip
    return torch.tensor(np.array(curves), dtype=torch.float64)


def test_quantus_flips_channel_values_and_leaves_out_the_clean_image():
    """With a value for every channel the flips are well defined, and ours are theirs."""
    maps = GOLDEN["maps_per_channel"]
    theirs = _quantus_curves(maps, 56)
    ours = PixelFlipping(features_in_step=56).flip_channel_values(NETWORK, IMAGES, TARGETS, maps[:, None])
    torch.testing.assert_close(ours.curve_y[:, 0], theirs, atol=1e-5, rtol=0)
    assert theirs.shape[1] == 30  # one for every step; the clean image would be the 31st


def test_quantus_on_one_value_per_pixel():
    """The three channels of a pixel are equal in rank: a step of a multiple of three values flips whole pixels.

    The curve is then that of deletion to the minimum, without its first point; otherwise a step cuts pixels apart, and
    which channel goes first is left to an unstable sort.
    """
    images, maps = IMAGES[..., :27], MAPS[..., :27]  # 540 pixels, which three divides
    theirs = _quantus_curves(maps[:, None], 60, images)
    pixels = Deletion(step_px=20, baseline="minimum", endpoints="end", order=Order(ties="raster"))
    torch.testing.assert_close(pixels(NETWORK, images, maps, TARGETS).scores, theirs, atol=1e-5, rtol=0)
    ours = PixelFlipping(features_in_step=60).scores(NETWORK, images, TARGETS, maps[:, None]).curve_y[:, 0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)

    cut = _quantus_curves(
        maps[:, None], 20, images
    )  # after 20 values six pixels and two channels of the next are flipped
    assert (cut[:, 2::3] - theirs).abs().max() < 1e-5
    assert (cut[:, 0] - theirs[:, 0]).abs().max() > 1e-4


def test_quantus_takes_no_partial_step():
    with pytest.raises(AssertionError, match="modulo remainder"):
        _quantus_curves(MAPS[:, None], 57)
    assert PixelFlipping(features_in_step=57).scores(NETWORK, IMAGES, TARGETS, MAPS[:, None]).curve_y.shape[2] == 30
