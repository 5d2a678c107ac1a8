"""Channel values flipped one by one, by a loop; against Quantus' own numbers in test_presets."""

import pytest
import torch
from torch import nn

from xaibench.metrics.ordering import Order
from xaibench.metrics.pixel_flipping import PixelFlipping

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(2, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)
PER_CHANNEL = torch.randn(2, 1, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)
MAPS = torch.randn(2, 2, 4, 5, generator=GENERATOR, dtype=torch.float64)
TARGETS = torch.tensor([1, 0])


def model():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)).double()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=GENERATOR, dtype=torch.float64)
    return network


MODEL = model()


def by_a_loop(image, values, target, step, filling):
    flipped, curve = image.clone(), []
    order = (-values.flatten()).argsort(stable=True)
    for start in range(0, len(order), step):
        flipped.view(-1)[order[start : start + step]] = filling
        curve.append(float(MODEL(flipped[None]).softmax(dim=1)[0, target].detach()))
    return torch.tensor(curve, dtype=torch.float64)


@pytest.mark.parametrize("step", [7, 12])
def test_by_a_loop(step):
    drawn = PixelFlipping(features_in_step=step).flip_channel_values(MODEL, IMAGES, TARGETS, PER_CHANNEL, batch_size=4)
    for b in range(2):
        expected = by_a_loop(IMAGES[b], PER_CHANNEL[b, 0], TARGETS[b], step, IMAGES[b].min())
        torch.testing.assert_close(drawn.curve_y[b, 0], expected, atol=1e-12, rtol=0)
        torch.testing.assert_close(drawn.values[b, 0], torch.trapezoid(expected), atol=1e-12, rtol=0)


def test_one_value_per_pixel_flips_the_first_channel_first():
    drawn = PixelFlipping(features_in_step=4, baseline="zero").scores(MODEL, IMAGES, TARGETS, MAPS)
    for b in range(2):
        for m in range(2):
            values = MAPS[b, m].expand(3, 4, 5)
            expected = by_a_loop(IMAGES[b], values, TARGETS[b], 4, 0.0)
            torch.testing.assert_close(drawn.curve_y[b, m], expected, atol=1e-12, rtol=0)


def test_a_baseline_is_made_from_the_whole_image():
    """The channels' own means, though the engine sees one tall channel."""
    drawn = PixelFlipping(features_in_step=60, baseline="mean").scores(MODEL, IMAGES, TARGETS, MAPS)
    means = IMAGES.mean(dim=(2, 3), keepdim=True).expand_as(IMAGES)
    expected = MODEL(means).softmax(dim=1).gather(1, TARGETS[:, None]).detach()
    torch.testing.assert_close(drawn.curve_y[:, :, 0], expected.expand(2, 2), atol=1e-12, rtol=0)


def test_modes_come_back_and_passes_are_counted():
    network = model().train()
    drawn = PixelFlipping(features_in_step=7).scores(network, IMAGES, TARGETS, MAPS)
    assert all(module.training for module in network.modules())
    assert float(drawn.forward_passes.sum()) == pytest.approx(2 * (1 + 2 * 8))  # nine points, the last one shared


def test_the_order_can_be_another():
    least = PixelFlipping(features_in_step=7, order=Order(ties="raster", first="least"))
    turned = least.scores(MODEL, IMAGES, TARGETS, -MAPS).curve_y
    torch.testing.assert_close(turned, PixelFlipping(features_in_step=7).scores(MODEL, IMAGES, TARGETS, MAPS).curve_y)


@pytest.mark.usefixtures("as_in_production")
def test_maps_of_another_size():
    with pytest.raises(ValueError, match=r"shape \(2, 1, 2, 2\), expected \(B, M, 4, 5\).*upsample"):
        PixelFlipping().scores(MODEL, IMAGES, TARGETS, torch.zeros(2, 1, 2, 2))
