"""SRG, MRG, LRG: the authors' program, the exact error of random orders, and what the value is made of."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_models import linear_case
from metric_goldens import Golden
from region_cases import StoredRegions

from xaibench.metrics.baselines import Mean, Noise
from xaibench.metrics.curve import Curve
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import draw_metric, perturbation_curves
from xaibench.metrics.regions import Grid
from xaibench.metrics.relevance_gain import LRG, MRG, SRG
from xaibench.metrics.steps import SingleSteps

GOLDEN = Golden("srg")
IMAGES, LABELS = GOLDEN["images"], GOLDEN["labels"]
SEGMENTS = StoredRegions(IMAGES, GOLDEN["segments"].long() - 1)  # the program numbers from 1
SETTINGS = {"log": {"n_points": 15, "spacing": "log"}, "linear": {"n_points": 9, "spacing": "linear"}}


def drawn_as_stored(metric, heatmaps):
    curves = [replace(curve, regions=SEGMENTS) for curve in metric.curves()]
    drawn = perturbation_curves(GOLDEN.network(), IMAGES, LABELS, heatmaps[:, None], curves)
    return [drawn[curve.name] for curve in curves]


@pytest.fixture(scope="module", params=list(SETTINGS))
def case(request):
    metric = SRG(baseline=Mean(), **SETTINGS[request.param])
    found = {}
    for suffix, heatmaps in (("", "heatmaps"), ("_random", "heatmaps_random")):
        lif, mif = drawn_as_stored(metric, GOLDEN[heatmaps])
        found |= {f"lif{suffix}": lif, f"mif{suffix}": mif}
    return request.param, metric, found


def test_numbers_of_segments(case):
    name, metric, _ = case
    assert metric.curves()[0].counts(25) == tuple(GOLDEN[f"{name}/counts"].tolist())


def test_curves_of_the_authors_program(case):
    name, _, found = case
    for curve, drawn in found.items():
        torch.testing.assert_close(drawn.fractions[:, 0], GOLDEN[f"{name}/{curve}_fraction"], atol=1e-9, rtol=0)
        torch.testing.assert_close(drawn.scores[:, 0], GOLDEN[f"{name}/{curve}_score"], atol=1e-9, rtol=0)


def test_areas_of_the_authors_program_are_those_of_mean_curves(case):
    """It averages fractions and scores over images, subtracts index by index, and integrates once."""
    name, _, found = case
    x = {curve: drawn.fractions[:, 0].mean(dim=0) for curve, drawn in found.items()}
    y = {curve: drawn.scores[:, 0].mean(dim=0) for curve, drawn in found.items()}
    random = (y["mif_random"] + y["lif_random"]) / 2
    areas = [
        torch.trapezoid(y["mif"], x["mif"]),
        torch.trapezoid(y["lif"], x["lif"]),
        torch.trapezoid(y["lif"] - y["mif"], x["mif"]),
        torch.trapezoid(random - y["mif"], x["mif"]),
        torch.trapezoid(y["lif"] - random, x["lif"]),
    ]
    torch.testing.assert_close(torch.stack(areas), GOLDEN[f"{name}/areas"], atol=1e-5, rtol=0)


def test_the_program_mixes_fractions_and_so_differs_from_the_mean_of_the_areas(case):
    """Its SRG is not even the difference of its own two areas, as the two orders occlude different shares.

    Ours subtracts areas image by image, each over its own fractions, as the paper defines the gain.
    """
    name, metric, found = case
    mif, lif, srg, *_ = GOLDEN[f"{name}/areas"].tolist()
    assert srg - (lif - mif) == pytest.approx({"log": -0.0061, "linear": -0.0040}[name], abs=2e-4)
    slow = {
        order: [
            np.trapezoid(y, x)
            for x, y in zip(GOLDEN[f"{name}/{order}_fraction"], GOLDEN[f"{name}/{order}_score"], strict=True)
        ]
        for order in ("lif", "mif")
    }
    gain = metric.value([found["lif"], found["mif"]])
    np.testing.assert_allclose(gain.values[:, 0], np.subtract(slow["lif"], slow["mif"]), atol=1e-9)
    assert float(gain.values.mean()) - srg == pytest.approx({"log": 0.0484, "linear": 0.0469}[name], abs=1e-4)


def test_the_curve_kept_has_the_value_as_its_area(case):
    _, metric, found = case
    gain = metric.value([found["lif"], found["mif"]])
    torch.testing.assert_close(torch.trapezoid(gain.curve_y, gain.curve_x), gain.values, atol=1e-12, rtol=0)
    assert (gain.curve_x.diff(dim=2) >= 0).all()
    lif, mif = found["lif"], found["mif"]
    for b in range(len(IMAGES)):
        x = gain.curve_x[b, 0].numpy()
        expected = np.interp(x, lif.fractions[b, 0], lif.scores[b, 0]) - np.interp(
            x, mif.fractions[b, 0], mif.scores[b, 0]
        )
        np.testing.assert_allclose(gain.curve_y[b, 0].numpy(), expected, atol=1e-12)


def test_negating_the_map_negates_srg_and_exchanges_the_other_two():
    network, maps = GOLDEN.network(), GOLDEN["heatmaps"][:, None]
    plain, turned = (
        {kind: draw_metric(network, IMAGES, LABELS, sign * maps, kind()).values for kind in (SRG, MRG, LRG)}
        for sign in (1, -1)
    )
    torch.testing.assert_close(turned[SRG], -plain[SRG], atol=1e-12, rtol=0)
    torch.testing.assert_close(turned[MRG], -plain[LRG], atol=1e-12, rtol=0)
    torch.testing.assert_close(plain[SRG], plain[MRG] + plain[LRG], atol=1e-12, rtol=0)
    assert plain[SRG].abs().min() > 1e-3


# ── random orders: additive scores over equal cells have an exact distribution ───────────────────────────────────

MODEL, PICTURES, TARGETS, EXACT = linear_case(n_images=1, size=(12, 12))
CELLS = Grid(4, 4)


def linear_curve(name, order):
    return Curve(name, "deletion", steps=SingleSteps(), order=order, score="logit", area="trapezoid", regions=CELLS)


def effects():
    """What each cell's removal costs; the logit is their sum."""
    labels = CELLS(PICTURES)[0]
    return torch.stack([EXACT[0][labels == s].sum() for s in range(16)])


def error_of(weights):
    """Standard deviation of sum_j weights_j · effect of the j-th cell of a random order."""
    drops = effects()
    return math.sqrt(float(drops.var(correction=0) * 16 / 15 * weights.var(correction=0) * 16))


def test_random_order_srg_is_zero_within_its_derived_error():
    n = 150
    maps = torch.rand(1, n, 12, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    curves = [linear_curve("least", Order(first="least")), linear_curve("most", Order())]
    drawn = perturbation_curves(MODEL, PICTURES, TARGETS, maps, curves, batch_size=500)
    gains = SRG(repeats=1).value([drawn["least"], drawn["most"]]).values[0]
    left = (16 - torch.arange(1, 17, dtype=torch.float64) + 0.5) / 16  # share of the curve that the j-th removal lowers
    error = error_of(left - left.flip(0))
    assert abs(float(gains.mean())) < 3.5 * error / math.sqrt(n)
    assert float(gains.std()) == pytest.approx(error, rel=0.25)
    assert error > 0.1


def test_a_random_reference_has_the_mean_and_error_of_random_orders():
    n = 150
    curves = [linear_curve(str(seed), Order(first="random", seed=seed)) for seed in range(n)]
    drawn = perturbation_curves(MODEL, PICTURES, TARGETS, EXACT[:, None], curves, batch_size=500)
    areas = torch.stack([one.areas[0, 0] for one in drawn.values()])
    left = (16 - torch.arange(1, 17, dtype=torch.float64) + 0.5) / 16
    error = error_of(left)
    assert abs(float(areas.mean()) - float(effects().sum()) / 2) < 3.5 * error / math.sqrt(n)
    assert float(areas.std()) == pytest.approx(error, rel=0.25)


def test_the_exact_map_gains_what_sorting_the_effects_gains():
    drawn = perturbation_curves(
        MODEL, PICTURES, TARGETS, EXACT[:, None],
        [linear_curve("least", Order(first="least")), linear_curve("most", Order())],
    )  # fmt: skip
    gain = SRG(repeats=1).value([drawn["least"], drawn["most"]]).values[0, 0]
    left = (16 - torch.arange(1, 17, dtype=torch.float64) + 0.5) / 16
    drops = (
        effects().sort(descending=True).values
    )  # MIF loses the large ones first: it loses them over most of the curve
    assert float(gain) == pytest.approx(float((drops * (left - left.flip(0))).sum()), abs=1e-10)
    assert gain > 0


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_draws_of_the_baseline_are_averaged_and_a_fixed_one_is_not_repeated():
    assert len(SRG(baseline="zero", repeats=5).curves()) == 2
    assert len(SRG(baseline="noise", repeats=5).curves()) == 10
    assert len(MRG(baseline="noise", repeats=2, n_random=3).curves()) == 2 * 3 + 2
    network, maps = GOLDEN.network(), GOLDEN["heatmaps"][:, None]
    both = draw_metric(network, IMAGES, LABELS, maps, SRG(baseline="noise", repeats=2)).values
    each = [draw_metric(network, IMAGES, LABELS, maps, SRG(baseline=Noise(seed), repeats=1)).values for seed in (0, 1)]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2, atol=1e-12, rtol=0)
    assert (each[0] - each[1]).abs().max() > 1e-4


def test_all_three_share_their_points():
    seen = []
    network = GOLDEN.network()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    metrics = {"srg": SRG(), "mrg": MRG(), "lrg": LRG()}
    curves = [curve for key, metric in metrics.items() for curve in metric.curves(key)]
    drawn = perturbation_curves(network, IMAGES, LABELS, GOLDEN["heatmaps"][:, None], curves)
    values = {k: metric.value([drawn[c.name] for c in metric.curves(k)]) for k, metric in metrics.items()}
    assert sum(float(value.forward_passes.sum()) for value in values.values()) == pytest.approx(sum(seen))
    points = int((~drawn["srg/most/0/0"].fractions[:, 0].isnan()).sum())
    assert sum(seen) == 4 * (points - 2 * len(IMAGES)) + 2 * len(IMAGES)  # two orders of the map, two random ones
    torch.testing.assert_close(
        values["srg"].values, draw_metric(network, IMAGES, LABELS, GOLDEN["heatmaps"][:, None], SRG()).values
    )


def test_undefined_maps_are_told():
    maps = GOLDEN["heatmaps"].clone()[:, None]
    maps[2, 0, 1, 1] = torch.nan
    gain = draw_metric(GOLDEN.network(), IMAGES, LABELS, maps, MRG())
    assert gain.values.isnan().flatten().tolist() == [False, False, True, False, False]
    assert [bool(reason) for (reason,) in gain.reasons] == [False, False, True, False, False]


@pytest.mark.usefixtures("as_in_production")
def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="n_random must be at least 1"):
        MRG(n_random=0)
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        SRG(repeats=0).curves()
    with pytest.raises(ValueError, match="did you mean log"):
        SRG(spacing="lg").curves()
