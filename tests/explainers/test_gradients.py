"""Gradient and input × gradient against closed forms, finite differences and Captum; the model is given back as it was."""

import pytest
import torch
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import Saliency
from small_networks import pictures, tiny_resnet
from torch import nn

from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.gradients import Gradient, InputXGradient, image_gradients
from xaibench.names import UnknownName

TARGETS = torch.tensor([0, 3, 2])


class Linear(nn.Module):
    """logits = weights · image + bias."""

    def __init__(self, classes=4, shape=(3, 5, 6), dtype=torch.float64):
        super().__init__()
        draw = torch.Generator().manual_seed(3)
        self.weights = nn.Parameter(torch.randn(classes, *shape, generator=draw, dtype=dtype))
        self.bias = nn.Parameter(torch.randn(classes, generator=draw, dtype=dtype))

    def forward(self, x):
        return torch.einsum("bchw,kchw->bk", x, self.weights) + self.bias


def images(dtype=torch.float64):
    return pictures(3, 5, 6, dtype=dtype)


@pytest.mark.parametrize(
    ("channels", "reduce"),
    [
        ("sum", lambda v: v[:, 0] + v[:, 1] + v[:, 2]),
        ("sum_abs", lambda v: v[:, 0].abs() + v[:, 1].abs() + v[:, 2].abs()),
        ("max_abs", lambda v: torch.maximum(torch.maximum(v[:, 0].abs(), v[:, 1].abs()), v[:, 2].abs())),
    ],
)
def test_a_linear_model_is_its_own_explanation(channels, reduce):
    model, x = Linear(), images()
    weights = model.weights.detach()[TARGETS]
    found = Gradient(channels=channels).maps(model, x, TARGETS)
    assert list(found) == [""]
    torch.testing.assert_close(found[""], reduce(weights), rtol=0, atol=1e-12)
    found = InputXGradient(channels=channels).maps(model, x, TARGETS)[""]
    torch.testing.assert_close(found, reduce(weights * x), rtol=0, atol=1e-12)


def test_input_times_gradient_adds_up_to_the_score_of_a_linear_model():
    model, x = Linear(), images()
    total = InputXGradient()(model, x, TARGETS)[""].sum(dim=(1, 2))
    torch.testing.assert_close(total, (model(x) - model.bias)[range(3), TARGETS], rtol=0, atol=1e-12)


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability", "margin"])
def test_every_score_is_differentiated_as_finite_differences_say(score):
    model, x = Linear(), images()[:1] / 10

    def value(image):
        logits = model(image)[0]
        others = torch.cat([logits[:3], logits[4:]])
        return {
            "logit": logits[3],
            "probability": logits.softmax(0)[3],
            "log_probability": logits.log_softmax(0)[3],
            "margin": logits[3] - others.max(),
        }[score].item()

    gradient = image_gradients(model, x, torch.tensor([3]), score=score)
    for place in [(0, 0, 0, 0), (0, 1, 3, 4), (0, 2, 4, 5)]:
        step = torch.zeros_like(x)
        step[place] = 1e-5
        assert gradient[place].item() == pytest.approx((value(x + step) - value(x - step)) / 2e-5, abs=1e-7)


def test_captum_s_gradients_on_a_resnet():
    model, x = tiny_resnet().double(), pictures(dtype=torch.float64)
    gradient = Saliency(model).attribute(x.requires_grad_(), TARGETS, abs=False)
    torch.testing.assert_close(image_gradients(model, x, TARGETS), gradient, rtol=0, atol=1e-12)
    product = CaptumInputXGradient(model).attribute(x, TARGETS).sum(1)
    torch.testing.assert_close(InputXGradient().maps(model, x, TARGETS)[""], product.detach(), rtol=0, atol=1e-12)
    paper = Saliency(model).attribute(x, TARGETS, abs=True).amax(1)
    torch.testing.assert_close(Gradient(channels="max_abs").maps(model, x, TARGETS)[""], paper, rtol=0, atol=1e-12)


@pytest.mark.parametrize("explainer", [Gradient(), InputXGradient()])
def test_everything_is_as_before_and_one_pass_was_made(explainer):
    model, x = tiny_resnet(), pictures()
    model.train()
    model.layer1.eval()
    model.fc.weight.requires_grad_(False)
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    pixels, state = x.clone(), torch.get_rng_state()
    buffers = {name: values.clone() for name, values in model.named_buffers()}
    explainer.maps(model, x, TARGETS)
    assert sum(seen) == explainer.forward_passes() * len(x)
    assert modes == [module.training for module in model.modules()]
    assert flags == [parameter.requires_grad for parameter in model.parameters()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(values, buffers[name]) for name, values in model.named_buffers())
    assert torch.equal(x, pixels)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_wrappers_inference_mode_and_in_place_first_layers_do_not_matter():
    model, x = nn.Sequential(nn.ReLU(inplace=True), Linear()), images()
    expected = Gradient().maps(model, x, TARGETS)[""]
    torch.testing.assert_close(expected, ((x > 0) * model[1].weights[TARGETS]).sum(1).detach())
    assert torch.equal(Gradient().maps(nn.DataParallel(model), x, TARGETS)[""], expected)
    with torch.inference_mode():
        inside = images()
        assert torch.equal(Gradient().maps(model, inside, TARGETS)[""], expected)
    with torch.no_grad():
        assert torch.equal(Gradient().maps(model, x, TARGETS)[""], expected)


def test_half_precision_images_give_float32_maps():
    model = Linear(dtype=torch.bfloat16)
    found = Gradient().maps(model, images().bfloat16(), TARGETS)[""]
    assert found.dtype == torch.float32
    assert torch.equal(found, model.weights[TARGETS].detach().float().sum(1))


class Odd(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x.mean(dim=(2, 3)))


def test_what_is_wrong_is_named():
    with pytest.raises(UnknownName, match="did you mean logit"):
        Gradient(score="logits")
    with pytest.raises(UnknownName, match="did you mean max_abs"):
        InputXGradient(channels="maxabs")
    x = images()
    with pytest.raises(ValueError, match="class 4 of image 0 is out of range"):
        Gradient().maps(Linear(), x, TARGETS + 4)
    with pytest.raises(ValueError, match="Odd's score cannot be differentiated by the image: something"):
        Gradient().maps(Odd(torch.Tensor.detach), x, TARGETS % 3)
    with pytest.raises(ValueError, match="must put out a tensor of logits"):
        Gradient().maps(Odd(lambda means: [means]), x, TARGETS % 3)
    x[1] = torch.nan
    with pytest.raises(NonFiniteOutput) as error:
        Gradient().maps(Linear(), x, TARGETS)
    assert error.value.indices == (1,)
