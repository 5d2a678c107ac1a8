"""The presets that gather metrics, each object as it is, against the stored numbers of its program.

What a stored number needs to be reached is said in the preset's notes and changed here by name: the noise of an
imputation (none was stored for curves), segments that were handed in, smaller images. Curves over pixels are in
test_presets and test_rise_goldens.
"""

from dataclasses import replace

import pytest
import torch
from metric_goldens import Golden
from region_cases import StoredRegions

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.catalogue import EXPLAINER, MAP, MASKING, METRICS
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.map_scores import ExplainerMetric, MapMetric, ModelMetric
from xaibench.metrics.masking import MaskingSettings, masked_scores
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric, perturbation_curves
from xaibench.metrics.presets import PRESETS, preset_settings
from xaibench.metrics.road import authors_relevance
from xaibench.shards.scores import settings_of

DROPS = Golden("drop_and_adcc")
DEAD, ALIVE = 3, torch.tensor([0, 1, 2, 4, 5])  # the map of image 3 is zero everywhere: a number there, undefined here
RECTIFIED = {"layers": ("relu3",), "rectify": True}


def close(actual, expected, tolerance):
    torch.testing.assert_close(actual.double(), expected.double(), atol=tolerance, rtol=0)


def normalized(images):
    mean, std = images.new_tensor([0.485, 0.456, 0.406]), images.new_tensor([0.229, 0.224, 0.225])
    return (images - mean[:, None, None]) / std[:, None, None]


def masked(metric, golden, maps):
    found = masked_scores(
        golden.network(),
        golden["images"],
        golden["predicted"].long(),
        maps[:, None],
        mask=metric.mask,
        score=metric.score,
    )
    return metric(found.clean, found.masked[:, 0])


def explained(metric, maps, explainer):
    inputs = DROPS.network(), DROPS["images"], DROPS["predicted"]
    return metric.explainer_scores(*inputs, explainer, {"relu3": maps})["relu3"].values[:, 0]


@pytest.mark.parametrize("maps", ["maps", "maps_tied"])
@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_road(order, maps):
    """Accuracy of the labels at seven fractions; without the noise, which was not part of the stored curves."""
    golden = Golden("road")
    images = normalized(golden["images_raw"])
    relevance = authors_relevance(golden[maps].sum(dim=3), golden["jitter"])[:, None]
    metric = preset_settings("road", f"road_{order}", baseline=NoisyLinear(noise=0))
    found = draw_metric(golden.network(), images, golden["labels"], relevance, metric)
    close(found.curve_y[:, 0].mean(dim=0), golden[f"protocol/{maps}/{order}/accuracy"], 1e-12)
    probability = replace(metric, score="probability")
    found = draw_metric(golden.network(), images, golden["predictions"], relevance, probability)
    close(found.curve_y[:, 0].mean(dim=0), golden[f"protocol/{maps}/{order}/mean_probability"], 5e-6)


def test_the_stored_curves_of_road_combine():
    """No program has this number for them: half the difference of the two curves is by definition."""
    golden, choices = Golden("road"), {"baseline": NoisyLinear(noise=0)}
    images = normalized(golden["images_raw"])
    relevance = authors_relevance(golden["maps"].sum(dim=3), golden["jitter"])[:, None]
    found = draw_metric(
        golden.network(), images, golden["labels"], relevance, preset_settings("road", "road", **choices)
    )
    lerf, morf = (golden[f"protocol/maps/{order}/accuracy"] for order in ("lerf", "morf"))
    close(found.values.mean(), (lerf - morf).mean() / 2, 1e-12)


@pytest.mark.parametrize(
    ("name", "stored", "tolerance"),
    [("average_drop", "average_drop", 1e-9), ("complexity_adcc", "complexity", 1e-9)],
)
def test_adcc_of_stored_maps(name, stored, tolerance):
    metric = preset_settings("adcc", name)
    maps = DROPS["maps"]
    values = masked(metric, DROPS, maps) if name in MASKING else metric.map_scores(maps[:, None]).values[:, 0]
    close(values[ALIVE], DROPS[f"adcc/predicted/{stored}"][ALIVE], tolerance)
    assert values[DEAD].isnan()


@pytest.mark.parametrize("name", ["coherency", "adcc"])
def test_adcc_explains_again(name):
    values = explained(preset_settings("adcc", name), DROPS["maps"], GradCAM(**RECTIFIED))
    torch.testing.assert_close(values, DROPS[f"adcc/predicted/{name}"], atol=1e-9, rtol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("average_drop", "average_drop"),
        ("increase_in_confidence", "increase"),
        ("drop_in_deletion", "drop_in_deletion"),
        ("coherency", "coherency"),
        ("complexity_adcc", "complexity"),
    ],
)
def test_shapleycam(name, stored):
    metric, maps = preset_settings("shapleycam", name), DROPS["dataset_level/maps"]
    if name in MASKING:
        values = masked(metric, DROPS, maps)
    elif name in MAP:
        values = metric.map_scores(maps[:, None]).values[:, 0]
    else:
        values = explained(metric, maps, GradCAM(**RECTIFIED))
    close(values[ALIVE], DROPS[f"dataset_level/softmax/{stored}"][ALIVE], 1e-4)
    assert values[DEAD].isnan()


@pytest.mark.parametrize("name", ["average_drop", "increase_in_confidence"])
def test_pytorch_grad_cam_masks(name):
    values = masked(preset_settings("pytorch_grad_cam", name), DROPS, DROPS["maps"])
    stored = {"average_drop": "drop", "increase_in_confidence": "increase"}[name]
    close(values[ALIVE], DROPS[f"pytorch_grad_cam/logit/{stored}"][ALIVE], 1e-5)
    assert values[DEAD].isnan()


def test_pytorch_grad_cam_road():
    golden = Golden("road_percentile_variant")
    maps = torch.from_numpy(golden.arrays["cams_distinct"])[:, None]
    metric = preset_settings("pytorch_grad_cam", "road_percentile", noise=0.0)
    scores = metric.scores(golden.network(), golden["images"], golden["classes"], maps)
    close(scores.values[:, 0], golden["distinct/logit/combined"], 5e-5)


def test_pytorch_grad_cam_arcc():
    """Its explainer differentiates what it scores, the probability."""
    metric = preset_settings("pytorch_grad_cam", "arcc", noise=0.0)
    values = explained(metric, DROPS["arcc/softmax/maps"], GradCAM(**RECTIFIED, score="probability"))
    close(values[ALIVE], DROPS["arcc/softmax/arcc"][ALIVE], 2e-4)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("average_drop", "average_drop"),
        ("increase_in_confidence", "average_increase"),
        ("average_gain", "average_gain"),
    ],
)
def test_xplique_masks(name, stored, score):
    golden = Golden("xplique")
    metric = preset_settings("xplique", name)
    assert metric.score == "logit"
    values = masked(replace(metric, score=score), golden, golden["maps"])
    close(values, golden[f"{stored}_{'logit' if score == 'logit' else 'softmax'}/per_image"], 2e-4)


@pytest.mark.parametrize(("case", "first"), [("morf", "most"), ("lerf", "least")])
def test_quantus_regions(case, first):
    """Patches and their number are smaller for the small image, and filled with zeros."""
    golden = Golden("deletion_presets")
    changes = {"side_px": 4, "n_regions": 12, "baseline": "zero", "order": Order(ties="raster", first=first)}
    metric = preset_settings("quantus", "region_perturbation", **changes)
    maps = golden["maps_per_channel"].sum(dim=1)[:, None]
    found = draw_metric(golden.network(), golden["images"], golden["predicted"], maps, metric)
    drops = found.curve_y[:, 0, :1] - found.curve_y[:, 0, 1:]
    close(drops, golden[f"quantus_region_perturbation/{case}/drop"], 1e-5)


def test_quantus_black_is_the_smallest_value():
    """The program's default is called black, and is the array's minimum; both metrics take it."""
    for name in PRESETS["quantus"].metrics:
        assert preset_settings("quantus", name).baseline == "minimum"


def test_srg():
    """The stored segments and mean colours stand in for SLIC's and zero; levels and everything else are the preset's."""
    golden = Golden("srg")
    segments = StoredRegions(golden["images"], golden["segments"].long() - 1)
    metric = preset_settings("srg", "srg", baseline="mean")
    curves = [replace(curve, regions=segments) for curve in metric.curves("srg")]
    inputs = golden.network(), golden["images"], golden["labels"], golden["heatmaps"][:, None]
    drawn = perturbation_curves(*inputs, curves)
    for curve, name in zip(curves, ("lif", "mif"), strict=True):
        close(drawn[curve.name].fractions[:, 0], golden[f"log/{name}_fraction"], 1e-9)
        close(drawn[curve.name].scores[:, 0], golden[f"log/{name}_score"], 1e-9)
    assert {preset_settings("srg", name).n_points for name in ("srg", "mrg", "lrg")} == {15}


# ── every metric of every preset ─────────────────────────────────────────────────────────────────────────────────

EVERY = [(preset, name) for preset, each in PRESETS.items() for name in each.metrics]


@pytest.mark.parametrize(("preset", "name"), EVERY)
def test_every_metric_of_a_preset_can_run_and_be_recorded(preset, name):
    metric = preset_settings(preset, name)
    assert type(metric) is METRICS[name]
    if isinstance(metric, CurveMetric):
        curves = metric.curves(name)
        assert all(curve.counts(400) if curve.regions is None else curve.expected_points(40, 60) for curve in curves)
        assert all(curve.name.startswith(name) for curve in curves)
    else:
        assert isinstance(metric, ModelMetric | MapMetric | ExplainerMetric | MaskingSettings)
    assert f'"name":"{name}"' in settings_of(metric, resize="none").replace('": "', '":"')
    assert (name in EXPLAINER) is isinstance(metric, ExplainerMetric)
