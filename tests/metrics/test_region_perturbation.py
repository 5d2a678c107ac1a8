"""Region perturbation: Quantus's drops on the same patches, and AOPC by hand."""

import pytest
import torch
from linear_models import linear_case
from metric_goldens import Golden
from region_cases import regions_in_order, slow_curve

from xaibench.metrics.baselines import Noise
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric
from xaibench.metrics.region_perturbation import RegionPerturbation
from xaibench.metrics.regions import Patches

GOLDEN = Golden("deletion_presets")


@pytest.mark.parametrize(("case", "first"), [("morf", "most"), ("lerf", "least")])
def test_quantus(case, first):
    settings = GOLDEN.cases[f"quantus_region_perturbation/{case}"]["settings"]
    metric = RegionPerturbation(
        side_px=settings["patch_px"],
        n_regions=settings["regions"],
        baseline="zero",
        score="probability",
        order=Order(ties="raster", first=first),
    )
    maps = GOLDEN["maps_per_channel"].sum(dim=1)  # it sums over channels too
    found = draw_metric(GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"], maps[:, None], metric)
    drops = found.curve_y[:, 0, :1] - found.curve_y[:, 0, 1:]
    expected = GOLDEN[f"quantus_region_perturbation/{case}/drop"]
    torch.testing.assert_close(drops, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.values[:, 0], expected.sum(dim=1) / 13, atol=1e-5, rtol=0)


def test_aopc_of_a_linear_model_over_noise():
    """Image sides that the patch does not divide; three draws, each with its own curve."""
    model, images, targets, exact = linear_case(n_images=2, size=(7, 9))
    metric = RegionPerturbation(side_px=4, n_regions=5, repeats=3)
    found = draw_metric(model, images, targets, exact[:, None], metric)
    labels = Patches(4)(images)
    for b, image in enumerate(images):
        order = regions_in_order(exact[b], labels[b], score="sum")
        weights = model.weights[targets[b]]
        curves = [
            slow_curve(lambda x, w=weights: (w * x).sum(), image, Noise(i)(image[None])[0], labels[b], order, range(6))[
                0
            ]
            for i in range(3)
        ]
        aopc = [sum(curve[0] - score for score in curve) / 6 for curve in curves]
        assert float(found.values[b, 0]) == pytest.approx(sum(aopc) / 3, abs=1e-10)
        assert found.curve_y[b, 0].tolist() == pytest.approx([sum(point) / 3 for point in zip(*curves, strict=True)])
    assert float(found.forward_passes.sum()) == 2 * (1 + 3 * 5)  # six patches: five inner points, the clean one shared
    assert model.n_seen == 2 * (1 + 3 * 5)


def test_a_small_image_has_all_its_patches_replaced():
    model, images, targets, exact = linear_case(n_images=2, size=(7, 9))
    found = draw_metric(model, images, targets, exact[:, None], RegionPerturbation(side_px=5, repeats=1))
    assert found.curve_x.shape == (2, 1, 5)
    assert found.curve_x[:, 0, -1].tolist() == [1.0, 1.0]
    one = linear_case(n_images=1, size=(1, 1))
    alone = draw_metric(one[0], one[1], one[2], one[3][:, None], RegionPerturbation(baseline="zero"))
    assert float(alone.values[0, 0]) == pytest.approx(float(one[3]) / 2)
