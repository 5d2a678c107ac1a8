"""A network together with everything that is needed to use it on photographs."""

from dataclasses import dataclass

import torch
from torch import nn

from xaibench.models.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained image classifier, ready to explain.

    Attributes
    ----------
    name : str
        Name under which it was asked for, for instance ``resnet50``.
    network : nn.Module
        In evaluation mode, mapping (B, 3, H, W) to logits (B, classes).
    preprocessing : Preprocessing
        How a photograph becomes one of those images: the weights' own.
    categories : tuple of str
        Class names by index; empty where unknown.
    weights : str
        Which weights: ``IMAGENET1K_V2``, a file's name, ``shapes``, ``random``.
    digest : str
        SHA-256 hex digest of all parameters and buffers.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing
    categories: tuple[str, ...]
    weights: str
    digest: str

    @property
    def device(self) -> torch.device:
        """Where the network's first parameter lies."""
        return next(self.network.parameters()).device
