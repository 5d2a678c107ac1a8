"""The whole test against stored cascades, closed forms and explainers whose answer is known."""

import copy
import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from metric_goldens import Golden
from torch import nn

from xaibench.explainers.borrowed import unwrapped
from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import Random, Sobel
from xaibench.explainers.upsample import upsample
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.randomization import randomized
from xaibench.metrics.schemes import SCHEMES, draw
from xaibench.metrics.similarity import pearson, spearman
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
    explainers = explainers if isinstance(explainers, dict) else {e.name: e for e in explainers}
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


@pytest.mark.parametrize("pixels", [(16, 20), (12, 12)])
def test_a_linear_model_with_shifted_weights_has_the_similarity_of_algebra(monkeypatch, pixels):
    """Weights 1 … P moved on by one place: ρ = 1 − 6 Σ d² / (P (P² − 1)) with Σ d² = (P − 1) · 1 + (P − 1)²."""
    count = pixels[0] * pixels[1]
    network = nn.Sequential(nn.Flatten(), nn.Linear(count, 2, bias=False)).eval()
    network[1].weight.data = torch.arange(1.0, count + 1).repeat(2, 1) * torch.tensor([[1.0], [-1.0]])

    def shifted(module, name, seed):
        return {"weight": module.weight.detach().roll(1, dims=1)}

    monkeypatch.setitem(SCHEMES, "permutation", shifted)
    images, targets = torch.randn(2, 1, *pixels), torch.tensor([0, 1])
    steps = run(
        network,
        images,
        targets,
        [Gradient()],
        scheme="permutation",
        similarities=("spearman", "pearson", "spearman_abs"),
    )
    expected = torch.full((2,), 1 - 6 / (count + 1), dtype=torch.float64)
    for name in ("spearman", "pearson", "spearman_abs"):  # values are their own ranks, so Pearson is Spearman
        torch.testing.assert_close(steps[1].similarities["gradient", "", name], expected, atol=1e-9, rtol=0)


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


def test_two_explainers_of_one_class_stand_side_by_side():
    explainers = {"early": GradCAM(("2",)), "fine": GradCAM(("2",), upsampling="nearest"), "late": GradCAM(("4",))}
    steps = run(small_network(), IMAGES, TARGETS, explainers, rectify=False, similarities=("spearman",))
    assert set(steps[1].similarities) == {
        ("early", "2", "spearman"),
        ("fine", "2", "spearman"),
        ("late", "4", "spearman"),
    }
    for key, explainer in explainers.items():
        alone = run(small_network(), IMAGES, TARGETS, {key: explainer}, rectify=False, similarities=("spearman",))
        for one, all_of_them in zip(alone, steps, strict=True):
            for name, values in one.similarities.items():
                torch.testing.assert_close(values, all_of_them.similarities[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("reuse", [True, False], ids=["reused", "plain"])
def test_smooth_mprt_compares_means_over_noisy_copies(reuse):
    network, settings = small_network(), {"n_samples": 4, "noise_level": 0.3, "rectify": False}
    steps = run(network, IMAGES, TARGETS, [GradCAM(("2",))], seed=5, similarities=("pearson",), reuse=reuse, **settings)
    (smoothed,) = ParameterRandomization(**settings).smoothed({"grad_cam": GradCAM(("2",))}, seed=5).values()
    assert smoothed.forward_passes() == 4
    units = randomization_units(network, IMAGES)
    trained = smoothed.maps(network, IMAGES, TARGETS)["2"]
    with randomized(network, units, seed=5):
        last = smoothed.maps(network, IMAGES, TARGETS)["2"]
    torch.testing.assert_close(steps[0].maps["grad_cam", "2"], trained)
    torch.testing.assert_close(steps[-1].maps["grad_cam", "2"], last)
    expected = pearson(*(upsample(maps, (24, 32)) for maps in (trained, last)))
    torch.testing.assert_close(steps[-1].similarities["grad_cam", "2", "pearson"], expected, atol=1e-5, rtol=0)
    plain = run(network, IMAGES, TARGETS, [GradCAM(("2",))], seed=5, rectify=False)
    assert not torch.allclose(plain[0].maps["grad_cam", "2"], trained, rtol=1e-2)


def test_smooth_mprt_of_one_sample_or_without_noise_is_mprt():
    def values(**noise):
        return [
            step.similarities
            for step in run(small_network(), IMAGES, TARGETS, [GradCAM(("2",))], rectify=False, **noise)
        ]

    plain = values()
    for noise in ({"n_samples": 1, "noise_level": 0.5}, {"n_samples": 3, "noise_level": 0.0}):
        torch.testing.assert_close(values(**noise), plain, atol=0, rtol=0, equal_nan=True)


def sharing_a_weight(network):
    network[3].weight.requires_grad_(False)
    other = nn.Conv2d(8, 8, 3, padding=1)
    other.weight = network[3].weight
    network.insert(5, other)
    return network


def frozen(network):
    return network.requires_grad_(False)


def not_copyable(network):
    network.lock = (item for item in ())
    with pytest.raises(TypeError):
        copy.deepcopy(network)
    return network


@pytest.mark.parametrize("order", ["top_down", "independent"])
@pytest.mark.parametrize("awkward", [sharing_a_weight, frozen, not_copyable, nn.DataParallel, torch.compile])
def test_awkward_networks_are_randomized_like_any_other(awkward, order):
    """Whatever surrounds the weights, values and restoration are those of the plain network."""
    network = awkward(small_network())
    bare = unwrapped(network)
    plain = sharing_a_weight(small_network()) if awkward is sharing_a_weight else small_network()
    before = {name: tensor.clone() for name, tensor in bare.state_dict().items()}
    flags = [parameter.requires_grad for parameter in network.parameters()]
    choices = {"order": order, "granularity": "module", "rectify": False, "similarities": ("pearson",)}
    found = run(network, IMAGES, TARGETS, [GradCAM(("2",)), Gradient()], **choices)
    expected = run(plain, IMAGES, TARGETS, [GradCAM(("2",)), Gradient()], reuse=False, **choices)
    assert [step.module for step in found] == [step.module for step in expected]
    for step, plain_step in zip(found, expected, strict=True):
        torch.testing.assert_close(step.similarities, plain_step.similarities, atol=1e-6, rtol=0, equal_nan=True)
    assert min(step.similarities["gradient", "", "pearson"].min() for step in found) < 0.9
    assert all(torch.equal(before[name], tensor) for name, tensor in bare.state_dict().items())
    assert [parameter.requires_grad for parameter in network.parameters()] == flags


def parametrized(network):
    nn.utils.parametrizations.weight_norm(network[7])
    return network


def quantized(network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but networks of that kind are around
        return torch.ao.quantization.quantize_dynamic(network, {nn.Linear})


def compiled_in_place(network):
    network[3].compile()
    return network


def traced(network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # likewise
        return torch.jit.trace(network, IMAGES)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (parametrized, ValueError, "'7.*remove_parametrizations first"),
        (quantized, ValueError, "'7'.*its weights are quantized; pass the network from before"),
        (compiled_in_place, TypeError, "compiled in place.*pass a network that was not"),
        (traced, TypeError, "TorchScript.*pass the original nn.Module"),
    ],
)
def test_networks_that_cannot_be_randomized_say_so_before_any_change(make, error, message):
    units = randomization_units(small_network(), IMAGES)  # of the network from before
    network = make(small_network())
    tensors = {name: t.clone() for name, t in network.state_dict().items() if isinstance(t, torch.Tensor)}
    settings, explainers = ParameterRandomization(), {"gradient": Gradient()}
    with pytest.raises(error, match=message):
        next(randomization_similarities(network, IMAGES, TARGETS, explainers, units=units, settings=settings, seed=0))
    assert all(torch.equal(tensors[name], network.state_dict()[name]) for name in tensors)


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
        randomization_similarities(
            network, images, TARGETS, {"grad_cam": GradCAM(("2",))}, units=units, settings=settings, seed=0
        )
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
        network, IMAGES, TARGETS, {"grad_cam": GradCAM(("2",))}, units=units, settings=settings, seed=0
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
        "n_samples": 1,
        "noise_level": 0.1,
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
        ({"n_samples": 0}, "n_samples of the randomization must be at least 1; got 0"),
        ({"n_pairs": 0}, "n_pairs of the randomization must be at least 1; got 0"),
        ({"noise_level": -0.1}, "noise_level must be a fraction of the image's range"),
    ],
)
def test_wrong_settings_are_told_before_work(wrong, message):
    with pytest.raises(ValueError, match=message):
        ParameterRandomization(**wrong)
