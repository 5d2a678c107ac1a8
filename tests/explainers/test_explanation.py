import subprocess
import sys
from dataclasses import dataclass, fields

import pytest
import torch
from small_networks import pictures, tiny_resnet

from xaibench.explainers import EXPLAINERS, REFERENCES, explain
from xaibench.explainers.cam import CAMS
from xaibench.explainers.cams import CAM_CLASSES, GradCAM, LayerCAM
from xaibench.explainers.capture import capture
from xaibench.explainers.catalogue import GRADIENTS
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.upsample import upsample
from xaibench.names import UnknownName

LAYERS = ("layer4.1", "layer2.1")


@pytest.fixture(scope="module")
def network():
    return tiny_resnet()


def _build(kind):
    few = {"layers": LAYERS, "n_steps": 3, "n_samples": 3}
    return kind(**{field.name: few[field.name] for field in fields(kind) if field.name in few})


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_keeps_the_contract(network, name):
    kind, images, targets = EXPLAINERS[name], pictures(), torch.tensor([0, 1, 2])
    assert issubclass(kind, Explainer)
    assert kind.name == name
    explainer = _build(kind)
    assert explainer == _build(kind)
    assert hash(explainer) == hash(_build(kind))
    maps, attributions = explainer.maps(network, images, targets), explainer(network, images, targets)
    assert tuple(maps) == tuple(attributions) == explainer.layers
    for layer, values in maps.items():
        assert values.dtype == attributions[layer].dtype == torch.float32
        assert torch.equal(attributions[layer], upsample(values, (40, 56)))
        alone = explainer.maps(network, images[1:2], targets[1:2])[layer]
        torch.testing.assert_close(values[1:2], alone, rtol=1e-4, atol=1e-6)


def test_the_catalogue_is_complete():
    gradients = {"gradient", "input_x_gradient", "guided_backprop", "guided_grad_cam", "integrated_gradients"}
    assert set(GRADIENTS) == gradients | {"smooth_grad"}
    assert set(EXPLAINERS) == {*CAMS, *GRADIENTS, *REFERENCES}
    assert set(REFERENCES) == {"random", "center", "sobel", "raw_image"}


@pytest.mark.parametrize("method", CAMS)
def test_several_methods_share_one_pass(network, method):
    images, targets = pictures(), torch.tensor([0, 1, 2])
    captured = capture(network, images, LAYERS, targets=targets)
    shared = CAM_CLASSES[method](LAYERS).maps_of(captured)
    for layer, own in CAM_CLASSES[method](LAYERS).maps(network, images, targets).items():
        assert torch.equal(shared[layer], own)
        assert torch.equal(own, CAMS[method](captured.activations[layer], captured.gradients[layer]))


def test_rectification_comes_before_upsampling(network):
    images, targets = pictures(), torch.tensor([3, 3, 3])
    signed = GradCAM(LAYERS).maps(network, images, targets)
    rectified = GradCAM(LAYERS, rectify=True)(network, images, targets)
    for layer in LAYERS:
        assert signed[layer].min() < 0
        torch.testing.assert_close(rectified[layer], upsample(signed[layer].relu(), (40, 56)))


def test_half_precision_is_summed_in_float32(network):
    half = tiny_resnet().bfloat16()
    maps = GradCAM(("layer4",)).maps(half, pictures().bfloat16(), torch.tensor([0, 1, 2]))["layer4"]
    exact = GradCAM(("layer4",)).maps(network, pictures(), torch.tensor([0, 1, 2]))["layer4"]
    assert maps.dtype == torch.float32
    assert (maps - exact).norm() < 0.1 * exact.norm()


def test_settings_are_checked_when_they_are_given():
    for wrong, message in [({"score": "logits"}, "did you mean logit"), ({"upsampling": "cubic"}, "bicubic")]:
        with pytest.raises(UnknownName, match=message):
            GradCAM(LAYERS, **wrong)
    with pytest.raises(ValueError, match="one or more module names"):
        LayerCAM(())
    assert GradCAM(LAYERS).layers == LAYERS


# ---- the notebook's entry


def test_explain_is_the_explainer_in_one_call(network):
    images = pictures()
    predicted = network(images).argmax(1)
    for method, kind in CAM_CLASSES.items():
        ours = explain(network, images, list(LAYERS), method=method, upsampling="nearest", score="margin")
        expected = kind(LAYERS, upsampling="nearest", score="margin")(network, images, predicted)
        assert list(ours) == list(LAYERS)
        for layer in LAYERS:
            assert torch.equal(ours[layer], expected[layer])


def test_explain_takes_what_carries_a_network_and_any_targets(network):
    @dataclass
    class Carrier:
        network: torch.nn.Module

    images, labels = pictures(), torch.tensor([4, 0, 1])
    by_label = explain(Carrier(network), images, ["layer4"], targets="label", labels=labels)
    assert torch.equal(by_label["layer4"], explain(network, images, ["layer4"], targets=labels)["layer4"])


def test_explain_names_what_is_wrong(network):
    with pytest.raises(ValueError, match=r"pass image\[None\]"):
        explain(network, pictures()[0], ["layer4"])
    with pytest.raises(UnknownName, match="did you mean grad_cam"):
        explain(network, pictures(), ["layer4"], method="gradcam")
    with pytest.raises(UnknownName, match="unknown layer 'layer5'"):
        explain(network, pictures(), ["layer5"])


def test_the_package_does_not_load_torch():
    code = "import sys, xaibench.explainers; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
