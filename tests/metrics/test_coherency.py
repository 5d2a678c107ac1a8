from dataclasses import dataclass

import pytest
import torch
from metric_goldens import Golden

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.coherency import OF_MASKED, Coherency, map_coherency
from xaibench.metrics.undefined import CONSTANT, NO_POSITIVE_EVIDENCE

GOLDEN = Golden("drop_and_adcc")
DEAD = 3
CAM = GradCAM(layers=("relu3",), rectify=True)


def of_golden(explainer=CAM, maps=None, **choices):
    network, images, targets = GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"]
    maps = maps or explainer(network, images, targets)
    return Coherency().explainer_scores(network, images, targets, explainer, maps, **choices)


def test_golden():
    """With the stored maps, which the program rounded to float32; our own differ by that much."""
    scores = of_golden(maps={"relu3": GOLDEN["maps"]})["relu3"]
    expected = GOLDEN["adcc/predicted/coherency"]
    torch.testing.assert_close(scores.values[:, 0], expected, atol=1e-9, rtol=0, equal_nan=True)
    torch.testing.assert_close(of_golden()["relu3"].values, scores.values, atol=1e-7, rtol=0, equal_nan=True)
    assert expected[DEAD].isnan()
    assert scores.reasons[DEAD] == (NO_POSITIVE_EVIDENCE,)
    assert scores.forward_passes.flatten().tolist() == [1, 1, 1, 0, 1, 1]


def test_golden_pairs_of_maps():
    """Both maps are stored."""
    values = map_coherency(GOLDEN["maps"], GOLDEN["adcc/predicted/maps_of_masked_images"])
    torch.testing.assert_close(values, GOLDEN["adcc/predicted/coherency"], atol=1e-9, rtol=0, equal_nan=True)


def test_each_layer_masks_by_its_own_map_and_batches_change_nothing():
    both = of_golden(GradCAM(layers=("relu2", "relu3"), rectify=True), batch_size=2)
    for layer in ("relu2", "relu3"):
        alone = of_golden(GradCAM(layers=(layer,), rectify=True), batch_size=32)[layer]
        torch.testing.assert_close(both[layer].values, alone.values, atol=1e-6, rtol=0, equal_nan=True)
        assert both[layer].reasons == alone.reasons
        assert torch.equal(both[layer].forward_passes, alone.forward_passes)


@dataclass(frozen=True)
class FirstChannel(Explainer):
    """The image itself, so that the second map is the first one times the image."""

    name = "first_channel"

    def maps(self, model, images, targets, *, generator=None):
        return {"": images[:, 0]}


def test_closed_form():
    """The image [1, 2, 4] is multiplied with [0, 1/3, 1], and so is explained by [0, 2/3, 4]."""
    images = torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [0.0, 0.0, 7.0], [2.0, 0.5, -1.0]])[:, None, None, :]
    targets = torch.zeros(4, dtype=torch.int64)
    maps = {"": images[:, 0].clone()}
    maps[""][3] = torch.tensor([0.0, 0.0, 1.0])  # leaves only the pixel that is explained by a negative value
    model = torch.nn.Identity()
    scores = Coherency().explainer_scores(model, images, targets, FirstChannel(), maps, batch_size=3)[""]
    pair = torch.tensor([[1.0, 2.0, 4.0], [0.0, 2 / 3, 4.0]], dtype=torch.float64)
    expected = (torch.corrcoef(pair)[0, 1] + 1) / 2
    torch.testing.assert_close(scores.values[[0, 2], 0], torch.stack([expected, torch.ones_like(expected)]))
    assert scores.reasons == (("",), (CONSTANT,), ("",), (NO_POSITIVE_EVIDENCE + OF_MASKED,))
    assert scores.values[[1, 3]].isnan().all()
    assert scores.forward_passes.flatten().tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("factor", [0.1, 30.0])
def test_scale_does_not_matter(factor):
    first, second = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(map_coherency(first, factor * second), map_coherency(first, second))
    torch.testing.assert_close(map_coherency(first, factor * first), torch.ones(3, dtype=torch.float64))


class BreaksOnBlack(torch.nn.Module):
    """Output is NaN for an image whose first pixel was masked."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        logits = self.conv(images).relu().mean(dim=(2, 3))
        return logits.masked_fill((images[:, :, 0, 0] == 0).all(dim=1)[:, None], torch.nan)


def test_a_masked_image_at_which_the_model_breaks_spoils_no_other():
    images = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(1)) + 0.1
    maps = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(2)) + 0.1
    maps[1, 0, 0] = 0  # the least relevant pixel, so masked
    maps[[0, 2], 3, 3] = 0
    scores = Coherency().explainer_scores(
        BreaksOnBlack(), images, torch.tensor([0, 1, 2]), GradCAM(layers=("conv",)), {"conv": maps}
    )["conv"]
    assert scores.reasons[1] == ("model output holds NaN or infinity",)
    assert scores.values[:, 0].isnan().tolist() == [False, True, False]
