"""Grad-CAM of captum, torch-cam and pytorch-grad-cam on a real ResNet-50, and where theirs is at fault."""

import copy
import warnings

import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from small_networks import slow_reference
from torch import nn
from torchcam.methods import GradCAM as TorchCAM
from torchvision.models import resnet50

from xaibench.explainers.cam import grad_cam
from xaibench.explainers.capture import capture

COINCIDE = [
    "maxpool", "layer1.0.conv1", "layer1.2", "layer2.3", "layer3.0", "layer3.5.conv3", "layer3.5", "layer4.2",
]  # fmt: skip
# Batch norms that feed an in-place ReLU, or a += before one; and who reads the overwritten tensor.
OVERWRITTEN = {"bn1": "maxpool", "layer3.5.bn2": "layer3.5.conv3", "layer3.5.bn3": "layer4"}
TARGETS = torch.tensor([3, 7])


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet50(num_classes=10).double().eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def ours(network, images, layers):
    captured = capture(network, images, layers, targets=TARGETS)
    return {layer: grad_cam(captured.activations[layer], captured.gradients[layer]) for layer in layers}


def _reference_captum(network, images, layer):
    maps = LayerGradCam(network, network.get_submodule(layer)).attribute(images, target=TARGETS)
    return maps[:, 0].detach()


def _reference_torchcam(network, images, layers):
    """Rectified, not scaled."""
    with TorchCAM(network, list(layers)) as extractor:
        maps = extractor(TARGETS.tolist(), network(images), normalized=False)
        return dict(zip(layers, maps, strict=True))


def _reference_pytorch_grad_cam(network, images, layer):
    """Signed and unscaled: the weighted sum before the program's own ReLU."""
    with PytorchGradCAM(network, [network.get_submodule(layer)]) as cam:
        cam(images, [ClassifierOutputTarget(int(target)) for target in TARGETS])
        activations = cam.activations_and_grads.activations[0].numpy()
        gradients = cam.activations_and_grads.gradients[0].numpy()
        raw = cam.get_cam_image(images, cam.target_layers[0], None, activations, gradients)
    return torch.from_numpy(raw)


def close(mine, theirs):
    return (mine - theirs).abs().amax() <= 1e-9 * theirs.abs().amax()


@pytest.fixture(autouse=True)
def _quiet():
    # captum warns of the backward hooks that it sets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_where_definitions_coincide_all_agree(network, images):
    maps = ours(network, images, COINCIDE)
    torchcam = _reference_torchcam(network, images, COINCIDE)
    for layer in COINCIDE:
        assert close(maps[layer], _reference_captum(network, images, layer)), layer
        assert close(maps[layer].relu(), torchcam[layer]), layer
        assert close(maps[layer], _reference_pytorch_grad_cam(network, images, layer)), layer


@pytest.mark.parametrize("layer", OVERWRITTEN)
def test_where_a_layer_is_overwritten_ours_is_the_layer_s_own(network, images, layer):
    mine = ours(network, images, [layer])[layer]
    assert close(mine, grad_cam(*slow_reference(network, images, layer, TARGETS)))
    assert close(mine, _reference_captum(network, images, layer))  # captum copies, and is right

    # what the tensor holds once the ReLU was applied, and the gradient by that
    written, gradient = _as_read_by(network, images, OVERWRITTEN[layer])
    own = capture(network, images, [layer], targets=TARGETS)
    assert written.min() == 0 > own.activations[layer].min()
    # torch-cam explains the ReLU's output instead of the layer's
    assert close(grad_cam(written, gradient).relu(), _reference_torchcam(network, images, [layer])[layer])
    # pytorch-grad-cam mixes the ReLU's output with the gradient by the layer's
    assert close(grad_cam(written, own.gradients[layer]), _reference_pytorch_grad_cam(network, images, layer))
    assert not close(mine, grad_cam(written, own.gradients[layer]))
    assert not close(mine.relu(), grad_cam(written, gradient).relu())


def test_without_writing_in_place_all_agree_at_batch_norms_too(network, images):
    tame = copy.deepcopy(network)
    for module in tame.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    layers = ["bn1", "layer3.5.bn2"]  # the block's own += cannot be switched off
    maps = ours(network, images, layers)
    torchcam = _reference_torchcam(tame, images, layers)
    for layer in layers:
        assert close(maps[layer].relu(), torchcam[layer])
        assert close(maps[layer], _reference_pytorch_grad_cam(tame, images, layer))


def _as_read_by(network, images, reader):
    kept = []

    def keep(module, inputs):
        kept.append(inputs[0])
        inputs[0].retain_grad()

    network = copy.deepcopy(network)
    network.get_submodule(reader).register_forward_pre_hook(keep)
    network(images).gather(1, TARGETS[:, None]).sum().backward()
    return kept[0].detach(), kept[0].grad
