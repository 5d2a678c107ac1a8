"""Tiny networks and a slow, independent way to their layers' values and gradients."""

import copy

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet


def tiny_resnet(seed: int = 0, classes: int = 5) -> ResNet:
    """Torchvision's ResNet with few channels; batch norms as if trained, so that each does something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ResNet(Bottleneck, [1, 2, 1, 2], num_classes=classes, width_per_group=8)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias, std=0.2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def pictures(
    count: int = 3, height: int = 40, width: int = 56, seed: int = 1, dtype: torch.dtype = torch.float32
) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_reference(network: nn.Module, images: Tensor, layer: str, targets: Tensor) -> tuple[Tensor, Tensor]:
    """One layer's output and gradient: image by image, full autograd, nothing written over.

    The layer's output is kept aside and a copy goes on, so that operations in place meet the copy.
    """
    network = copy.deepcopy(network).eval()
    activations, gradients = [], []
    for image, target in zip(images, targets, strict=True):
        kept = []

        def keep(module: nn.Module, inputs: object, output: Tensor, kept: list[Tensor] = kept) -> Tensor:
            kept.append(output.clone())
            kept[-1].retain_grad()
            return kept[-1].clone()

        handle = network.get_submodule(layer).register_forward_hook(keep)
        network(image[None])[0, target].backward()
        handle.remove()
        (output,) = kept
        activations.append(output.detach())
        gradients.append(output.grad)
    return torch.cat(activations), torch.cat(gradients)
