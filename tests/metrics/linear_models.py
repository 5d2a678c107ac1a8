"""Classifiers and maps for which relevance and score go together exactly."""

import torch
from torch import nn


class LinearModel(nn.Module):
    """Logit k is the sum of weights[k] times the image; `n_seen` counts the images that came."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights
        self.n_seen = 0

    def forward(self, images):
        self.n_seen += len(images)
        return torch.einsum("kchw,bchw->bk", self.weights, images)


def linear_case(n_images=3, size=(8, 9), seed=0):
    """Model, images, targets, and the exact attribution of the target's logit against zero."""
    generator = torch.Generator().manual_seed(seed)
    model = LinearModel(torch.randn(4, 3, *size, generator=generator, dtype=torch.float64))
    images = torch.randn(n_images, 3, *size, generator=generator, dtype=torch.float64)
    targets = torch.arange(n_images) % 4
    exact = (model.weights[targets] * images).sum(dim=1)
    return model, images, targets, exact


class FlatPicture(nn.Module):
    """Shows a network its image (C, H, W) as one channel (1, C·H, W), so that a channel value is a pixel."""

    def __init__(self, network, channels=3):
        super().__init__()
        self.inner, self.channels = network, channels

    def forward(self, images):
        return self.inner(images.unflatten(2, (self.channels, -1))[:, 0])
