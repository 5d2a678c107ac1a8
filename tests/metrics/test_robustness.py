"""Sensitivity, Lipschitz estimate and relative stability: the three ways to hold maps of neighbours against each other."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import captum.metrics
import pytest
import torch
from linear_models import LinearModel, linear_case
from metric_goldens import Golden
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.lipschitz import LocalLipschitz, slopes
from xaibench.metrics.map_scores import ExplainerMetric
from xaibench.metrics.nearby import Neighbourhood
from xaibench.metrics.relative_stability import (
    RelativeInputStability,
    RelativeOutputStability,
    relative_stabilities,
)
from xaibench.metrics.sensitivity import AvgSensitivity, MaxSensitivity, relative_changes
from xaibench.names import UnknownName

GOLDEN = Golden("robustness")
ALL = (MaxSensitivity, AvgSensitivity, LocalLipschitz, RelativeInputStability, RelativeOutputStability)


@dataclass(frozen=True)
class Fixed(Explainer):
    """Ignores the image."""

    name: ClassVar[str] = "fixed"

    def maps(self, model, images, targets, *, generator=None):
        return {"": torch.linspace(-1, 1, images[0, 0].numel()).view(images.shape[2:]).expand(len(images), -1, -1)}


@dataclass(frozen=True)
class Channels(Explainer):
    """The first channel, and twice the sum of all channels plus one: two layers, both linear in the image."""

    name: ClassVar[str] = "channels"
    layers: tuple[str, ...] = ("first", "sum")

    def maps(self, model, images, targets, *, generator=None):
        return {"first": images[:, 0].clone(), "sum": 2 * images.sum(dim=1) + 1}


@dataclass(frozen=True)
class Counting(Explainer):
    """Counts the images that are explained."""

    inner: Any = None
    seen: Any = None
    layers: tuple[str, ...] = ("first", "sum")
    name: ClassVar[str] = "counting"

    def maps(self, model, images, targets, *, generator=None):
        self.seen.append(len(images))
        return self.inner.maps(model, images, targets)


def gradient(model, images, targets):
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        picked = model(images).gather(1, targets[:, None]).sum()
        return torch.autograd.grad(picked, images)[0]


def scores_of(metric, explainer, model, images, targets, **options):
    return metric.explainer_scores(model, images, targets, explainer, explainer(model, images, targets), **options)


def by_channel(explain):
    """A map of three channels as three maps below each other."""
    return lambda images, targets: {"": explain(images, targets).flatten(1, 2)}


def test_agrees_with_captums_stored_sensitivities():
    network, images, targets = GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"]
    drawn = GOLDEN["sensitivity_max/perturbations"]
    explain = by_channel(partial(gradient, network))
    changes = relative_changes(explain, images, targets, explain(images, targets), differences=drawn, batch_size=7)
    torch.testing.assert_close(changes[""].amax(dim=1), GOLDEN["sensitivity_max/gradient"], rtol=1e-7, atol=0)

    cam = partial(GradCAM(layers=("relu2",)).maps, network)
    changes = relative_changes(cam, images, targets, cam(images, targets), differences=drawn)
    torch.testing.assert_close(
        changes["relu2"].amax(dim=1), GOLDEN["sensitivity_max/grad_cam_relu2"], rtol=1e-7, atol=0
    )


def test_agrees_with_the_authors_max_sensitivity():
    prefix = "square_infidelity/"
    layers = [(name, getattr(nn, kind)(**arguments)) for name, kind, arguments in GOLDEN.meta["net1_layers"]]
    network = nn.Sequential(OrderedDict(layers)).double()
    network.load_state_dict(
        {key.split("net1.")[1]: GOLDEN[key] for key in GOLDEN.arrays if key.startswith(f"{prefix}net1.")}
    )
    image, target = GOLDEN[f"{prefix}image"], torch.tensor([4])
    drawn = GOLDEN[f"{prefix}perturbations"].squeeze(1)[None]
    explain = by_channel(lambda images, targets: gradient(network, images, targets) * images)
    changes = relative_changes(explain, image, target, explain(image, target), differences=drawn)
    expected = GOLDEN[f"{prefix}max_sensitivity"].item()
    assert changes[""].max().item() == pytest.approx(expected, rel=1e-5)


def test_agrees_with_captum_on_our_draws():
    network = GOLDEN.network()
    images, targets = GOLDEN["images"], GOLDEN["predicted"]
    around = Neighbourhood(n_draws=4)
    drawn = torch.stack([torch.stack(list(around.differences(image))) for image in images])
    assert drawn.abs().max() <= 0.02

    def first(inputs):
        return inputs[0] if isinstance(inputs, tuple) else inputs

    def perturb(inputs, *_):  # captum repeats each image for all its draws
        return (first(inputs) + drawn.flatten(0, 1),)

    explain = partial(gradient, network)
    expected = captum.metrics.sensitivity_max(
        lambda inputs, target: (explain(first(inputs), target),),
        images,
        perturb_func=perturb,
        n_perturb_samples=4,
        target=targets,
    )
    wide = by_channel(explain)
    changes = relative_changes(wide, images, targets, wide(images, targets), n_draws=4)
    torch.testing.assert_close(changes[""].amax(dim=1), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ALL)
def test_an_explainer_that_ignores_the_image_has_0(kind):
    model, images, targets, _ = linear_case()
    found = scores_of(kind(n_draws=5, radius=1e-3), Fixed(), model, images, targets)
    assert found[""].values.tolist() == [[0.0]] * 3
    assert isinstance(kind(), ExplainerMetric)


def test_a_linear_explainer_has_the_exact_ratios():
    model, images, targets, _ = linear_case(2)
    drawn = torch.randn(2, 6, 3, 8, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 100
    explain = partial(Channels().maps, model)
    own = explain(images, targets)
    options = {"differences": drawn, "batch_size": 5}
    lengths = drawn.flatten(2).norm(dim=2)
    moved = {"first": drawn[:, :, 0].flatten(2), "sum": 2 * drawn.sum(dim=2).flatten(2)}
    for layer, movement in moved.items():
        base = own[layer].flatten(1)
        changes = relative_changes(explain, images, targets, own, **options)[layer]
        torch.testing.assert_close(changes, movement.norm(dim=2) / base.norm(dim=1)[:, None])
        steep = slopes(explain, images, targets, own, **options)[layer]
        torch.testing.assert_close(steep, movement.norm(dim=2) / lengths)
        relative = (movement / base[:, None]).norm(dim=2)
        against_image = relative_stabilities(model, explain, images, targets, own, against="input", **options)[layer]
        expected = relative / (drawn / images[:, None]).flatten(2).norm(dim=2)
        torch.testing.assert_close(against_image, expected)
        logits = torch.einsum("kchw,bnchw->bnk", model.weights, drawn)
        against_output = relative_stabilities(model, explain, images, targets, own, against="output", **options)[layer]
        torch.testing.assert_close(against_output, relative / logits.norm(dim=2))


@pytest.mark.parametrize("against", ["input", "output"])
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_relative_stability_with_epsilon_is_quantus_objective(against):
    import quantus

    model, images, targets, _ = linear_case(1)
    images[0, 0, :2] = 0  # zeros in map and image
    drawn = torch.randn(1, 2, 3, 8, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 100
    explain = partial(Channels().maps, model)
    own = explain(images, targets)
    found = relative_stabilities(
        model, explain, images, targets, own, against=against, eps_min=1e-6, differences=drawn
    )["first"]
    for i in range(2):
        changed = images + drawn[:, i]
        maps = own["first"][:, None].numpy(), changed[:, :1].numpy()
        if against == "input":
            objective = quantus.RelativeInputStability(nr_samples=1).relative_input_stability_objective
            expected = objective(images.numpy(), changed.numpy(), *maps)
        else:
            objective = quantus.RelativeOutputStability(nr_samples=1).relative_output_stability_objective
            expected = objective(model(images).numpy(), model(changed).numpy(), *maps)
        assert found[0, i].item() == pytest.approx(expected.item(), rel=1e-9)
    without = relative_stabilities(model, explain, images, targets, own, against=against, differences=drawn)["first"]
    assert (found / without > 100).all() if against == "output" else (found != without).all()


def test_neighbours_of_another_class_do_not_count():
    weights = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    weights[0, 0], weights[1, 1] = 1.0, 1.0
    model = LinearModel(weights)
    images = torch.full((2, 3, 4, 4), 1.0, dtype=torch.float64)
    images[0, 0] += 0.001  # a little more of class 0
    images[1, 0] += 5
    drawn = torch.zeros(2, 2, 3, 4, 4, dtype=torch.float64)
    drawn[:, 0, 1], drawn[:, 1, 0] = 0.1, 0.1  # more of class 1, more of class 0
    explain = partial(Channels().maps, model)
    targets = torch.zeros(2, dtype=torch.int64)
    found = relative_stabilities(
        model, explain, images, targets, explain(images, targets), against="input", differences=drawn
    )["first"]
    assert found.isinf().tolist() == [[True, False], [False, False]]
    assert found[0, 0] == -torch.inf
    swap = RelativeInputStability(n_draws=3, radius=1e-6)
    alike = images.clone()
    alike[:, :2] = 1.0  # both classes equal: about half of the draws change the class
    unsure = LinearModel(torch.stack([weights[0], -weights[0]]) * 0)
    reasons = scores_of(RelativeOutputStability(n_draws=3), Channels(), unsure, alike, targets)["sum"].reasons
    assert reasons == (("every neighbour has another predicted class, or nothing to compare with",),) * 2
    assert scores_of(swap, Channels(), unsure, alike, targets)["sum"].values.isfinite().all()


def test_max_is_the_largest_and_avg_the_mean_of_the_same_draws():
    model, images, targets, _ = linear_case()
    explainer = Channels()
    changes = relative_changes(partial(explainer, model), images, targets, explainer(model, images, targets), n_draws=7)
    largest = scores_of(MaxSensitivity(n_draws=7), explainer, model, images, targets)
    average = scores_of(AvgSensitivity(n_draws=7), explainer, model, images, targets)
    for layer in explainer.layers:
        torch.testing.assert_close(largest[layer].values[:, 0], changes[layer].amax(dim=1))
        torch.testing.assert_close(average[layer].values[:, 0], changes[layer].mean(dim=1))


@pytest.mark.parametrize("kind", ALL)
def test_layers_share_the_passes_and_they_are_counted(kind):
    model, images, targets, _ = linear_case()
    explainer = Counting(inner=Channels(), seen=[])
    own = Channels()(model, images, targets)
    model.n_seen = 0
    found = kind(n_draws=5).explainer_scores(model, images, targets, explainer, own, batch_size=4)
    assert explainer.seen == [4, 4, 4, 3]
    total = sum(scores.forward_passes.sum().item() for scores in found.values())
    assert total == pytest.approx(15 + model.n_seen)  # Counting itself does not ask the model
    assert found["sum"].values.shape == (3, 1)


@pytest.mark.parametrize("kind", ALL)
def test_undefined_is_nan_with_its_reason(kind):
    model, images, targets, _ = linear_case(4)
    explainer = Channels()
    own = dict(explainer(model, images, targets))
    own["first"] = own["first"].clone()
    own["first"][1] = 0.0
    own["first"][2, 3, 3] = torch.nan
    found = kind(n_draws=3).explainer_scores(model, images, targets, explainer, own)["first"]
    zero = "" if kind is LocalLipschitz else "map of zeros"
    assert [row[0] for row in found.reasons] == ["", zero, "map holds NaN or infinity", ""]
    assert found.values[:, 0].isnan().tolist() == [False, bool(zero), True, False]


def test_a_broken_map_of_a_neighbour_is_told():
    @dataclass(frozen=True)
    class Breaks(Explainer):
        name: ClassVar[str] = "breaks"

        def maps(self, model, images, targets, *, generator=None) -> Mapping[str, torch.Tensor]:
            return {"": torch.where(images[:, 0] == images[:, 0].round(), images[:, 0], torch.nan)}

    model, images, targets, _ = linear_case()
    images = images.round()
    found = scores_of(MaxSensitivity(n_draws=2), Breaks(), model, images, targets)[""]
    assert found.reasons == (("map of a changed image holds NaN or infinity",),) * 3


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("distribution", ["uniform", "gaussian"])
def test_neighbours_in_the_batch_change_nothing(kind, distribution):
    network, images, targets = GOLDEN.network(), GOLDEN["images"], GOLDEN["predicted"]
    metric, cam = kind(n_draws=3, distribution=distribution), GradCAM(layers=("relu2", "relu3"))
    together = scores_of(metric, cam, network, images, targets)
    for b in range(3):
        alone = scores_of(metric, cam, network, images[b : b + 1], targets[b : b + 1], batch_size=2)
        for layer in cam.layers:
            torch.testing.assert_close(alone[layer].values[0], together[layer].values[b], rtol=1e-4, atol=1e-6)


def test_draws_have_their_distribution():
    image = torch.zeros(3, 40, 40)
    drawn = torch.stack(list(Neighbourhood(0.2, 10).differences(image)))
    assert drawn.abs().max() <= 0.2
    assert drawn.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.01)
    drawn = torch.stack(list(Neighbourhood(0.2, 10, "gaussian").differences(image)))
    assert drawn.std().item() == pytest.approx(0.2, rel=0.01)
    assert drawn.abs().max() > 0.6


def test_settings_are_checked():
    with pytest.raises(ValueError, match="radius must be above 0"):
        MaxSensitivity(radius=0)
    with pytest.raises(UnknownName, match="gaussian"):
        LocalLipschitz(distribution="normal")
    with pytest.raises(ValueError, match="eps_min must be above 0"):
        RelativeInputStability(eps_min=0.0)
