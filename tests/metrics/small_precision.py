"""A network of three layers whose maps have no zero, and images for it."""

import torch
from torch import nn

LAYERS = ("0", "2")
IMAGES = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 2, 1])


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 6, 3), nn.Softplus()
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()
