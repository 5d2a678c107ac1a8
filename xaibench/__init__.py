"""Evaluates visual explanations of image classifiers: how good, how certain, how dependent on the model, at what cost.

In a notebook, without any configuration::

    classifier, images = xaibench.load_model("shapes_resnet50"), xaibench.Shapes(n=4, seed=1)
    batch = xaibench.prepare(classifier, images)
    attributions = xaibench.explain(classifier, batch, ["layer3.5", "layer4.2"])
    curve = xaibench.deletion_curve(classifier, batch, attributions["layer4.2"])
    xaibench.figure(classifier, batch, attributions)

Names are looked up, and torch loaded, on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xaibench.data.folder import ImageFolder
    from xaibench.data.imagenet import ImageNet
    from xaibench.data.shapes import Shapes
    from xaibench.explainers.explanation import explain
    from xaibench.metrics.deletion import deletion_curve
    from xaibench.metrics.insertion import insertion_curve
    from xaibench.models.layers import layer_names, resolve_layers
    from xaibench.models.zoo import load_model
    from xaibench.notebook import figure, prepare

__all__ = [
    "ImageFolder",
    "ImageNet",
    "Shapes",
    "deletion_curve",
    "explain",
    "figure",
    "insertion_curve",
    "layer_names",
    "load_model",
    "prepare",
    "resolve_layers",
]

_HOME = {
    "ImageFolder": "data.folder",
    "ImageNet": "data.imagenet",
    "Shapes": "data.shapes",
    "deletion_curve": "metrics.deletion",
    "explain": "explainers.explanation",
    "figure": "notebook",
    "insertion_curve": "metrics.insertion",
    "layer_names": "models.layers",
    "load_model": "models.zoo",
    "prepare": "notebook",
    "resolve_layers": "models.layers",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
