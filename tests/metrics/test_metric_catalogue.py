"""What holds for all metrics, by one table of them: each family is called as the shards call it."""

import dataclasses
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from linear_models import linear_case
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.cards import CARDS
from xaibench.metrics.catalogue import (
    CORRELATION,
    CURVES,
    EXPLAINER,
    INFORMATION,
    LOCALIZATION,
    MAP,
    MASKING,
    METRICS,
    MODEL,
    ROBUSTNESS,
)
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.map_scores import MapScores, map_alone
from xaibench.metrics.masking import masked_scores
from xaibench.metrics.perturbation import draw_metric

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Case:
    """How a metric is tested: settings where the defaults are meant for larger images, and what a constant map gives."""

    settings: dict = dataclasses.field(default_factory=dict)
    constant: str = "undefined"  # or "defined"
    relative: float = 0.0  # of rounding, for quotients of small differences


STEPS = {"step_px": 72}
ORDERED = Case(STEPS, "defined")
SEGMENTS = {"n_segments": 9, "compactness": 1000.0, "n_points": 4}  # compact, as noise has no edges
SUBSETS = {"subset_size": 40, "n_subsets": 12}
SMALL_DROPS = 5e-5  # a correlation of drops of 1e-3 with the seven digits of float32
# an explainer run again rounds otherwise in another batch, and these divide its differences by small numbers
DRAWS = {"settings": {"n_draws": 4}, "constant": "defined", "relative": 2e-4}
INFORMATION_SETTINGS = {"mean": MEAN, "std": STD, "thresholds": (0.1, 0.3, 0.6), "least_score": 0.2}
TABLE = {
    "deletion": ORDERED,
    "insertion": ORDERED,
    "morf": ORDERED,
    "lerf": ORDERED,
    "area_between_curves": ORDERED,
    "aopc": ORDERED,
    "flip_fraction": ORDERED,
    "road": Case({"fractions": (0.2, 0.6)}, "defined"),
    "road_morf": Case({"fractions": (0.2, 0.6)}, "defined"),
    "road_lerf": Case({"fractions": (0.2, 0.6)}, "defined"),
    "region_perturbation": Case({"side_px": 4, "repeats": 2}, "defined"),
    "irof": Case({"n_segments": 9, "compactness": 1000.0}, "defined"),
    "srg": Case(SEGMENTS, "defined"),
    "mrg": Case(SEGMENTS, "defined"),
    "lrg": Case(SEGMENTS, "defined"),
    "incremental_deletion": Case({"n_steps": 4}, "defined"),
    "average_drop": Case(),
    "increase_in_confidence": Case(),
    "average_gain": Case(),
    "drop_in_deletion": Case(),
    "pointing_game": Case({"tolerance_px": 1}),
    "energy_in_mask": Case({}, "defined"),
    "best_iou": Case(),
    "pixel_flipping": Case({"features_in_step": 216}, "defined"),
    "single_deletion": Case(),
    "road_percentile": Case({"percentiles": (30, 70)}),
    "faithfulness_correlation": Case(SUBSETS, relative=SMALL_DROPS),
    "sensitivity_n": Case({"n_sizes": 3, "n_subsets": 12}, relative=SMALL_DROPS),
    "mu_fidelity": Case({"grid": 4, "n_samples": 12}),
    "infidelity": Case({"n_samples": 12}, "defined"),
    "faithfulness_estimate": Case(STEPS),
    "monotonicity": Case(STEPS),
    "sic": Case(INFORMATION_SETTINGS),
    "aic": Case(INFORMATION_SETTINGS),
    "gini_sparseness": Case({}, "defined"),
    "map_entropy": Case({}, "defined"),
    "effective_complexity": Case({}, "defined"),
    "complexity_adcc": Case(),
    "coherency": Case(),
    "adcc": Case(),
    "arcc": Case({"percentiles": (30, 70)}),
    "max_sensitivity": Case(**DRAWS),
    "avg_sensitivity": Case(**DRAWS),
    "local_lipschitz": Case(**DRAWS),
    "relative_input_stability": Case(**DRAWS),
    "relative_output_stability": Case(**DRAWS),
}
ALL = pytest.mark.parametrize("name", TABLE)


def tiny_network():
    """Class k sees fine detail in channel k; what is blurred or grey is of the last. Norm and dropout show the mode."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3, padding=1, padding_mode="replicate", bias=False),
            norm=nn.BatchNorm2d(4),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(4, 4, 3, padding=1, bias=False),
            relu2=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            dropout=nn.Dropout(0.5),
            fc=nn.Linear(4, 4),
        )
    )
    kernel = torch.randn(4, 3, 3, 3, generator=generator) * (torch.eye(4)[:, :3] + 0.1)[:, :, None, None]
    network.conv1.weight.data = kernel - kernel.mean(dim=(2, 3), keepdim=True)
    mixing = torch.rand(4, 4, 3, 3, generator=generator) * (torch.eye(4) + 0.1)[:, :, None, None]
    network.conv2.weight.data = mixing / 4
    network.fc.weight.data = 5 * torch.eye(4) - 1.5
    network.fc.weight.data[3] = 0
    network.fc.bias.data = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return network.eval().requires_grad_(False)


NETWORK = tiny_network()
GENERATOR = torch.Generator().manual_seed(0)
CONTRASTS = torch.tensor([[110, 20, 20], [20, 110, 20], [20, 20, 110], [90, 30, 20]])[:, :, None, None]
PICTURES = (128 + CONTRASTS * (2 * torch.rand(4, 3, 16, 18, generator=GENERATOR) - 1)).round()
IMAGES = (PICTURES / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
TARGETS = NETWORK(IMAGES).argmax(dim=1)
MASKS = torch.rand(4, 16, 18, generator=GENERATOR) > 0.6
LAYERS = ("relu1", "relu2")
CAM = GradCAM(layers=LAYERS)
MAPS = torch.stack(list(CAM(NETWORK, IMAGES, TARGETS).values()), dim=1)  # (4, 2, 16, 18)


def metric_of(name, **changes):
    return METRICS[name](**TABLE[name].settings | changes)


def scored(
    metric, images=IMAGES, targets=TARGETS, maps=MAPS, masks=MASKS, *, network=NETWORK, explainer=CAM, **choices
):
    """Score all maps (B, M, H, W) of all images with a metric of any family."""
    name = next(name for name, kind in METRICS.items() if kind is type(metric))
    if name in LOCALIZATION:
        flat, of_each = maps.flatten(0, 1), masks.repeat_interleave(maps.shape[1], dim=0)
        return map_alone(metric(flat, of_each), metric.why_undefined(flat, of_each), n_maps=maps.shape[1])
    if name in MASKING:
        found = masked_scores(network, images, targets, maps, mask=metric.mask, score=metric.score, **choices)
        values = metric(found.clean[:, None].expand_as(found.masked), found.masked)
        return MapScores(values.double(), found.forward_passes, found.reasons)
    if name in MAP:
        return metric.map_scores(maps)
    if name in CURVES:
        return draw_metric(network, images, targets, maps, metric, **choices)
    if name in {**MODEL, **CORRELATION, **INFORMATION}:
        return metric.scores(network, images, targets, maps, **choices)
    chosen = explainer.layers[: maps.shape[1]]
    explainer = dataclasses.replace(explainer, layers=chosen)
    given = dict(zip(chosen, maps.unbind(dim=1), strict=True))
    parts = list(metric.explainer_scores(network, images, targets, explainer, given, **choices).values())
    return MapScores(
        torch.cat([part.values for part in parts], dim=1),
        torch.cat([part.forward_passes for part in parts], dim=1),
        tuple(tuple(row[0] for row in rows) for rows in zip(*(part.reasons for part in parts), strict=True)),
    )


def global_randomness():
    """State of the generators that nobody may touch; Python's own is drawn from by the run-time checks of types."""
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002


def undefined(scores):
    return torch.tensor([[reason != "" for reason in row] for row in scores.reasons])


@pytest.fixture(scope="module")
def expected():
    """The scores of all metrics, computed once."""
    return {name: scored(metric_of(name)) for name in TABLE}


def test_the_table_names_every_metric_of_every_family_once():
    families = (CURVES, MASKING, LOCALIZATION, MODEL, CORRELATION, INFORMATION, MAP, EXPLAINER, ROBUSTNESS)
    counted = Counter(name for family in families for name in family)
    assert set(counted) == set(TABLE) == set(METRICS)
    assert max(counted.values()) == 1


@ALL
def test_every_map_has_a_value(name, expected):
    values = expected[name].values
    assert values.shape == (4, 2)
    assert values.isfinite().all(), expected[name].reasons
    assert not undefined(expected[name]).any()


@ALL
def test_images_batches_and_further_maps_change_no_value(name, expected):
    metric, values, tolerance = metric_of(name), expected[name].values, {"atol": 1e-6, "rtol": TABLE[name].relative}
    small = scored(metric, batch_size=3)
    torch.testing.assert_close(small.values, values, **tolerance)
    assert float(small.forward_passes.sum()) == pytest.approx(float(expected[name].forward_passes.sum()))
    turned = torch.tensor([2, 0, 3, 1])
    other_order = scored(metric, IMAGES[turned], TARGETS[turned], MAPS[turned], MASKS[turned])
    torch.testing.assert_close(other_order.values, values[turned], **tolerance)
    one = slice(1, 2)
    alone = scored(metric, IMAGES[one], TARGETS[one], MAPS[one, :1], MASKS[one], batch_size=1)
    torch.testing.assert_close(alone.values, values[one, :1], **tolerance)


@ALL
def test_inputs_model_mode_and_global_randomness_are_left_alone(name, expected):
    network = tiny_network().train()
    inputs = [tensor.clone() for tensor in (IMAGES, TARGETS, MAPS, MASKS)]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    draws = global_randomness()
    again = scored(metric_of(name), *inputs, network=network)
    torch.testing.assert_close(
        again.values, expected[name].values, atol=0, rtol=0
    )  # in evaluation mode, and repeatable
    assert all(torch.equal(kept, now) for kept, now in zip((IMAGES, TARGETS, MAPS, MASKS), inputs, strict=True))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert draws == global_randomness()


WITH_SEED = [name for name in TABLE if "seed" in {field.name for field in dataclasses.fields(METRICS[name])}]


@pytest.mark.parametrize("name", WITH_SEED)
def test_the_seed_decides_what_is_drawn(name, expected):
    other = scored(metric_of(name, seed=1)).values
    assert not torch.equal(other, expected[name].values)


@ALL
def test_the_cost_is_what_a_counting_model_counts(name):
    network, seen = tiny_network(), []
    maps = MAPS.clone()
    maps[0, 0, 0, 0], maps[1, 1] = torch.nan, 0.0
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    scores = scored(metric_of(name), maps=maps, network=network, batch_size=7)
    assert float(scores.forward_passes.sum()) == pytest.approx(sum(seen), abs=1e-9)
    free = CARDS[name].cost == "none"
    assert (sum(seen) == 0) is free
    assert (scores.forward_passes[2:] > 0).all() or free


@ALL
def test_a_value_is_nan_exactly_where_there_is_a_reason(name, expected):
    """A map that is not finite has no value, a constant one has none where the table says so; neighbours keep theirs."""
    maps = MAPS.clone()
    maps[0, 0, 3, 4], maps[1, 0, 2, 2], maps[2, 0], maps[3, 0] = torch.nan, torch.inf, 0.75, -torch.inf
    scores = scored(metric_of(name), maps=maps)
    assert torch.equal(scores.values.isnan(), undefined(scores))
    has_value = TABLE[name].constant == "defined"
    assert undefined(scores)[:, 0].tolist() == [True, True, not has_value, True]
    assert not undefined(scores)[:, 1].any()
    tolerance = {"atol": 1e-6, "rtol": TABLE[name].relative}
    torch.testing.assert_close(scores.values[:, 1], expected[name].values[:, 1], **tolerance)
    if scores.curve_y is not None:
        assert scores.curve_y[:, 1].isfinite().any(dim=1).all()


REFUSE_ONE_PIXEL = {
    **dict.fromkeys([*EXPLAINER, *ROBUSTNESS], "map of a single cell"),
    "monotonicity": "two steps or more",
}


@ALL
def test_one_pixel_has_a_value_or_a_reason_or_is_refused(name):
    pixel = (..., slice(6, 7), slice(6, 7))
    small = {"images": IMAGES[pixel], "maps": MAPS[pixel], "masks": MASKS[pixel]}
    if name in REFUSE_ONE_PIXEL:
        with pytest.raises(ValueError, match=REFUSE_ONE_PIXEL[name]):
            scored(metric_of(name), **small)
    else:
        scores = scored(metric_of(name), **small)
        assert torch.equal(scores.values.isnan(), undefined(scores))


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize("name", [name for name in TABLE if name not in MAP])
def test_maps_of_another_shape_or_device_are_named(name):
    metric = metric_of(name)
    with pytest.raises(ValueError, match=r"attributions.* have shape .*(expected|attributions)|masks have shape"):
        scored(metric, maps=MAPS[..., :4, :5])
    with pytest.raises(ValueError, match=r"attributions.* on meta, (images|masks) on cpu; move one of them"):
        scored(metric, maps=MAPS.to("meta"))


@ALL
def test_settings_are_frozen_and_equal_by_value(name):
    metric = metric_of(name)
    assert metric == metric_of(name)
    assert hash(metric) == hash(metric_of(name))
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.higher_is_better = None
    assert isinstance(metric, CurveMetric) is (name in CURVES)


# ── direction: what must be better is better as the card says ────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Ramp(Explainer):
    """The same map for every image."""

    layers: tuple[str, ...] = ("",)
    name = "ramp"

    def maps(self, model, images, targets, *, generator=None):
        ramp = torch.linspace(0.1, 1, images[0, 0].numel(), dtype=images.dtype).view(images[0, 0].shape)
        return {"": ramp.expand(len(images), -1, -1)}


def steady_and_shaken(name):
    """Scores of an explainer that ignores the image, and of one that does not."""
    return [
        scored(
            metric_of(name),
            maps=torch.stack(list(explainer(NETWORK, IMAGES, TARGETS).values()), 1),
            explainer=explainer,
        )
        for explainer in (Ramp(), GradCAM(layers=("relu1",)))
    ]


def one_pixel_and_all(name):
    point, even = torch.zeros(2, 1, 1, 8, 9)
    even[...], even[..., 0, 0], even[..., 4, 4], point[..., 4, 4] = 0.9, 0, 1, 1
    return [scored(metric_of(name), maps=maps) for maps in (point, even)]


def inside_and_outside(name):
    inside = MASKS.float()[:, None]
    return [scored(metric_of(name), maps=maps) for maps in (inside, 1 - inside)]


def exact_and_random(name):
    """Scores of the contributions to a linear model's logit, and of noise."""
    model, images, targets, exact = linear_case(size=(16, 18))
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(1), dtype=exact.dtype)
    metric = metric_of(name, score="logit") if name not in MASKING else metric_of(name)
    return [scored(metric, images, targets, maps[:, None], network=model) for maps in (exact, noise)]


def helping_and_harming(name):
    """Scores of the same map, for pixels that raise the logit and for pixels that lower it."""
    model, images, targets, exact = linear_case(size=(16, 18))
    helping = images * exact.sign()[:, None]
    metric, maps = metric_of(name, score="logit"), exact.abs()[:, None]
    return [scored(metric, sign * helping, targets, maps, network=model) for sign in (1, -1)]


def order_and_reverse(name):
    """Scores of the tiny network's evidence, and of the same numbers turned round."""
    return [scored(metric_of(name), maps=maps) for maps in (MAPS, -MAPS)]


BETTER_AND_WORSE = {
    **dict.fromkeys(ROBUSTNESS, steady_and_shaken),
    **dict.fromkeys(MAP, one_pixel_and_all),
    **dict.fromkeys(LOCALIZATION, inside_and_outside),
    **dict.fromkeys([*MASKING, *CORRELATION, "single_deletion"], exact_and_random),
    "monotonicity": helping_and_harming,
}


@ALL
def test_the_direction_is_the_cards(name):
    scores = BETTER_AND_WORSE.get(name, order_and_reverse)(name)
    better, worse = (float(each.values.nanmean()) for each in scores)
    assert better != worse
    assert CARDS[name].higher_is_better is METRICS[name].higher_is_better is (better > worse)
