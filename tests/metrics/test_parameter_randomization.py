"""The whole test against stored cascades, closed forms and explainers whose answer is known."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from metric_goldens import Golden
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import Random, Sobel
from xaibench.explainers.upsample import upsample
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.schemes import SCHEMES, draw
from xaibench.metrics.similarity import spearman
from xaibench.metrics.units import randomization_units

GOLDEN = Golden("mprt_cascade")


@dataclass(frozen=True)
class Gradient(Explainer):
    """Gradient of the logit, summed over channels."""

    name: ClassVar[str] = "gradient"

    def maps(self, model, images, targets, *, generator=None):
        images = images.clone().requires_grad_()
        scores = model(images).gather(1, targets[:, None]).sum()
        return {"": torch.autograd.grad(scores, images)[0].sum(dim=1)}


def run(network, images, targets, explainers, *, seed=0, **settings):
    settings = ParameterRandomization(**settings)
    units = randomization_units(network, images, granularity=settings.granularity)
    return list(
        randomization_similarities(network, images, targets, explainers, units=units, settings=settings, seed=seed)
    )


@pytest.fixture
def stored_weights(monkeypatch):
    """The other program's new weights in the place of our draws."""

    def stored(module, name, seed):
        return {key: GOLDEN[f"randomised.{name}.{key}"] for key in module._parameters}

    monkeypatch.setitem(SCHEMES, "initialization", stored)


def explainer_of(case):
    return GradCAM(("relu2",)) if case.endswith("grad_cam") else Gradient()


@pytest.mark.usefixtures("stored_weights")
@pytest.mark.parametrize("case", GOLDEN.cases)
@pytest.mark.parametrize("reuse", [True, False], ids=["reused", "plain"])
def test_stored_cascades(case, reuse):
    repredicted = "repredicted" in case
    order = case.split("/")[0].removesuffix("_repredicted")
    explainer = explainer_of(case)
    steps = run(
        GOLDEN.network(),
        GOLDEN["images"],
        GOLDEN["targets"],
        [explainer],
        order=order,
        granularity="module",
        similarities=("spearman_abs", "spearman", "pearson"),
        target="repredicted" if repredicted else "fixed",
        rectify=False,
        reuse=reuse,
    )
    tolerance = GOLDEN.cases[case]["tolerance"]
    names = GOLDEN.cases[case]["settings"]["layers"]
    assert sorted(step.module or "original" for step in steps) == sorted(names)
    if order != "independent":  # there, the order says nothing
        assert [step.module or "original" for step in steps] == names
    layer = explainer.layers[0]
    for step in steps:
        i = names.index(step.module or "original")
        maps = upsample(step.maps[explainer.name, layer], (20, 28))
        torch.testing.assert_close(maps, GOLDEN[f"{case}/maps"][i], atol=tolerance["maps_abs"], rtol=0)
        if repredicted:
            assert torch.equal(step.targets, GOLDEN[f"{case}/step_targets"][i])
        for similarity, output in (("spearman_abs",) * 2, ("spearman", "spearman_signed"), ("pearson",) * 2):
            if f"{case}/{output}" in GOLDEN.arrays:
                found, expected = step.similarities[explainer.name, layer, similarity], GOLDEN[f"{case}/{output}"][i]
                torch.testing.assert_close(found, expected, atol=tolerance["similarity_abs"], rtol=0, equal_nan=True)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 16 * 20, 4)

    def forward(self, images):
        return self.fc(images.flatten(1))


def test_a_linear_model_has_the_similarity_of_its_weights():
    torch.manual_seed(0)
    network, images, targets = Linear().eval(), torch.randn(2, 3, 16, 20), torch.tensor([1, 3])
    new = draw(SCHEMES["permutation"], network.fc, "fc", 7)["weight"]

    def as_maps(weight):
        return weight[targets].reshape(2, 3, 16, 20).sum(dim=1).detach()

    expected = spearman(as_maps(network.fc.weight), as_maps(new))
    steps = run(network, images, targets, [Gradient()], seed=7, scheme="permutation", similarities=("spearman",))
    torch.testing.assert_close(steps[1].similarities["gradient", "", "spearman"], expected)
    assert expected.abs().max() < 4 / math.sqrt(16 * 20 - 1)  # a permutation keeps nothing of the order


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()


IMAGES = torch.randn(6, 3, 24, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(6) % 5


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
def test_a_map_that_ignores_the_model_stays_and_a_random_one_goes(order):
    names = ("spearman", "spearman_abs", "ssim", "pearson")
    trained, *steps = run(small_network(), IMAGES, TARGETS, [Sobel(), Random()], order=order, similarities=names)
    assert len(steps) == 3
    for name in names:
        for explainer in ("sobel", "random"):
            torch.testing.assert_close(
                trained.similarities[explainer, "", name], torch.ones(6, dtype=torch.float64), msg=name
            )
        assert all(step.similarities["sobel", "", name].allclose(torch.ones(6, dtype=torch.float64)) for step in steps)
    values = torch.stack([step.similarities["random", "", "spearman"] for step in steps])
    standard_error = 1 / math.sqrt(24 * 32 - 1)
    assert values.abs().max() < 4 * standard_error
    assert values.unique().numel() == values.numel()  # each step and image draws its own


@pytest.mark.parametrize("rectify", [True, False])
def test_rectified_maps_can_die_and_say_whose_fault_it_is(monkeypatch, rectify):
    network = small_network()
    network[7].weight.data = torch.tensor([-1.0, 1, 1, 1, 1])[:, None] * (
        1 + torch.rand(5, 8)
    )  # class 0: all against it

    def turned(module, name, seed):
        return {key: -value.detach() for key, value in module._parameters.items()}

    monkeypatch.setitem(SCHEMES, "initialization", turned)
    _, last_layer, *_ = run(network, IMAGES, TARGETS, [GradCAM(("4",))], rectify=rectify, similarities=("spearman",))
    values, reasons = (found["grad_cam", "4", "spearman"] for found in (last_layer.similarities, last_layer.reasons))
    if not rectify:
        torch.testing.assert_close(values, -torch.ones(6, dtype=torch.float64))
        return
    assert values.isnan().all()
    assert reasons == [
        f"constant map ({'trained' if target == 0 else 'randomized'} model)" for target in TARGETS.tolist()
    ]
    assert (last_layer.maps["grad_cam", "4"] >= 0).all()


def test_images_at_which_the_randomized_network_overflows_are_undefined(monkeypatch):
    def huge(module, name, seed):
        return {"weight": torch.full((5, 8), 1e33), "bias": torch.zeros(5)}

    monkeypatch.setitem(SCHEMES, "initialization", huge)
    network, images = small_network(), IMAGES.clone()
    images[2] *= 1e8
    settings = ParameterRandomization(granularity="module", rectify=False)
    units = [unit for unit in randomization_units(network, images, granularity="module") if unit.name == "7"]
    steps = list(
        randomization_similarities(network, images, TARGETS, [GradCAM(("2",))], units=units, settings=settings, seed=0)
    )
    assert steps[0].similarities["grad_cam", "2", "spearman"].isfinite().all()
    values = steps[1].similarities["grad_cam", "2", "spearman"]
    assert values.isnan().tolist() == [False, False, True, False, False, False]
    assert steps[1].reasons["grad_cam", "2", "spearman"][2] == "map holds NaN or infinity (randomized model)"


def test_one_image_alone_has_the_same_values():
    network = small_network()
    together = run(network, IMAGES, TARGETS, [GradCAM(("2",))], rectify=False)
    alone = run(network, IMAGES[3:4], TARGETS[3:4], [GradCAM(("2",))], rectify=False)
    for one, all_of_them in zip(alone, together, strict=True):
        for key, values in one.similarities.items():
            torch.testing.assert_close(values, all_of_them.similarities[key][3:4], atol=1e-4, rtol=0, equal_nan=True)


def test_the_model_is_as_before_also_when_the_loop_is_left():
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    settings = ParameterRandomization()
    units = randomization_units(network, IMAGES)
    steps = randomization_similarities(
        network, IMAGES, TARGETS, [GradCAM(("2",))], units=units, settings=settings, seed=0
    )
    next(steps)
    next(steps)
    assert any(not torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    steps.close()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any("forward" in module.__dict__ for module in network.modules())


def test_settings_are_told_apart_and_checked():
    settings = ParameterRandomization(seeds=[3, 4], similarities=["ssim"])
    assert settings.seeds == (3, 4)
    assert settings.defining() == {
        "name": "parameter_randomization",
        "order": "top_down",
        "granularity": "block",
        "scheme": "initialization",
        "batch_norm": "keep",
        "target": "fixed",
        "rectify": True,
    }


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": "topdown"}, "unknown order 'topdown'; did you mean top_down"),
        ({"granularity": "blocks"}, "did you mean block"),
        ({"scheme": "normal"}, "unknown randomization scheme"),
        ({"batch_norm": "kept"}, "did you mean keep"),
        ({"similarities": ("spearmen",)}, "did you mean spearman"),
        ({"target": "fix"}, "did you mean fixed"),
        ({"seeds": ()}, "at least one seed"),
    ],
)
def test_wrong_settings_are_told_before_work(wrong, message):
    with pytest.raises(ValueError, match=message):
        ParameterRandomization(**wrong)
