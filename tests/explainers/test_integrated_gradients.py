"""Integrated gradients: completeness, closed forms, a slow sum of one's own."""

import sys

import pytest
import torch
from small_networks import pictures, tiny_resnet
from torch import nn

from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.gradients import image_gradients
from xaibench.explainers.integrated_gradients import IntegratedGradients
from xaibench.names import UnknownName

TARGETS = torch.tensor([0, 2, 1])


class Power(nn.Module):
    """Score k is Σ w x^(k + 1): its integrals are known."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(3)).double())

    def forward(self, x):
        return torch.stack([(self.weights * x ** (k + 1)).sum(dim=(1, 2, 3)) for k in range(3)], dim=1)


def images():
    return pictures(3, 4, 5, dtype=torch.float64)


@pytest.mark.parametrize("baseline", [0.0, -1.5, (0.5, -1.0, 2.0)])
def test_powers_of_the_pixels_have_known_integrals(baseline):
    model, x = Power(), images()
    found = IntegratedGradients(baseline=baseline, n_steps=3).maps(model, x, TARGETS)[""]
    start = torch.tensor(baseline, dtype=torch.float64).reshape(-1, 1, 1).expand(3, 4, 5)
    weights = model.weights.detach()
    for b, k in enumerate(TARGETS.tolist()):
        # the path of each pixel is its own: w (x − s), w (x² − s²), w (x³ − s³), whose second derivative is linear
        expected = (weights * (x[b] ** (k + 1) - start ** (k + 1))).sum(0)
        torch.testing.assert_close(found[b], expected, rtol=1e-6, atol=1e-6)  # Captum's weights are float32


def test_a_linear_model_is_weight_times_distance_from_the_baseline():
    model, x = Power(), images()
    found = IntegratedGradients(baseline=0.25, channels="sum_abs").maps(model, x, TARGETS * 0)[""]
    expected = (model.weights * (x - 0.25)).abs().sum(1).detach()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("score", ["logit", "log_probability"])
def test_completeness(score):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        network = nn.Sequential(*layers, nn.Linear(6, 3)).double()
    x = pictures(3, 8, 9, dtype=torch.float64)
    total = IntegratedGradients(n_steps=300, score=score).maps(network, x, TARGETS)[""].sum(dim=(1, 2))
    with torch.no_grad():
        logits = torch.cat([network(x), network(torch.zeros_like(x))])
        values = logits if score == "logit" else logits.log_softmax(dim=1)
    expected = values[range(3), TARGETS] - values[range(3, 6), TARGETS]
    assert expected.abs().min() > 1e-3
    torch.testing.assert_close(total, expected, rtol=0.02, atol=0.002)  # kinks of ReLUs are what a sum steps over


def test_the_paper_s_sum():
    network, x = tiny_resnet().double(), pictures(dtype=torch.float64)
    found = IntegratedGradients(n_steps=5, rule="riemann_right", baseline=0.1).relevance(network, x, TARGETS)
    points = [image_gradients(network, 0.1 + k / 5 * (x - 0.1), TARGETS) for k in range(1, 6)]
    torch.testing.assert_close(found, (x - 0.1) * sum(points) / 5, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("n_steps", "batch_size"), [(7, 3), (7, 7), (4, 32)])
def test_batches_are_bounded_counted_and_change_nothing(n_steps, batch_size):
    network, x, seen = tiny_resnet().double(), pictures(3, 32, 32, dtype=torch.float64), []
    explainer = IntegratedGradients(n_steps=n_steps, batch_size=batch_size)
    expected = IntegratedGradients(n_steps=n_steps, batch_size=1).maps(network, x, TARGETS)[""]
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    found = explainer.maps(network, x, TARGETS)[""]
    assert max(seen) <= batch_size
    assert sum(seen) == explainer.forward_passes() * len(x) == n_steps * len(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(explainer.maps(network, x[1:2], TARGETS[1:2])[""], found[1:2])


def test_the_model_is_given_back_and_images_are_left_alone():
    network, x = tiny_resnet().train(), pictures()
    pixels = x.clone()
    with torch.inference_mode():
        IntegratedGradients(n_steps=2).maps(network, x, TARGETS)
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert torch.equal(x, pixels)
    assert not x.requires_grad


def test_all_images_with_infinite_answers_are_named():
    x = pictures(4)
    x[1], x[3] = torch.nan, torch.inf
    with pytest.raises(NonFiniteOutput) as error:
        IntegratedGradients(n_steps=2).maps(tiny_resnet(), x, torch.tensor([0, 1, 2, 3]))
    assert error.value.indices == (1, 3)


def test_settings_are_checked_when_they_are_given():
    with pytest.raises(UnknownName, match="did you mean riemann_left"):
        IntegratedGradients(rule="riemann_lef")
    for key in ("n_steps", "batch_size"):
        with pytest.raises(ValueError, match=f"{key} of integrated gradients must be at least 1; got 0"):
            IntegratedGradients(**{key: 0})
    with pytest.raises(ValueError, match=r"image's 3 channels; got 2 values"):
        IntegratedGradients(baseline=(0.0, 1.0)).maps(tiny_resnet(), pictures(), TARGETS)
    assert hash(IntegratedGradients(baseline=[0.0, 1.0, 2.0])) == hash(IntegratedGradients(baseline=(0.0, 1.0, 2.0)))


def test_without_captum_the_extra_is_named_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"pip install xaibench\[methods\]"):
        IntegratedGradients()
