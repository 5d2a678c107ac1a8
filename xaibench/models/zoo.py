"""Any image classifier by name: the embedded one, torchvision's, or the user's own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from xaibench.models.classifier import Classifier
from xaibench.models.preprocessing import Preprocessing
from xaibench.models.torchvision_models import build_torchvision, torchvision_names
from xaibench.models.user_models import call_user_function
from xaibench.models.weights import digest, load_weights
from xaibench.names import unknown

SHAPES = "shapes_resnet50"


def model_names() -> list[str]:
    """Names that `load_model` knows, beside the user's own ``module:function``."""
    return [SHAPES, *torchvision_names()]


def load_model(
    name: str,
    *,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    categories: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Classifier:
    """Load a classifier, ready to explain: in evaluation mode, with the preprocessing and categories of its weights.

    Parameters
    ----------
    name : str
        ``shapes_resnet50`` (embedded), a classifier of torchvision's, or ``module:function``, where the function takes
        no arguments and returns a `torch.nn.Module` or a `Classifier`.
    weights : str, path or None
        None: the embedded weights, those that torchvision recommends (``IMAGENET1K_V2`` for resnet50), or what the
        user's function made. A name that torchvision lists, such as ``IMAGENET1K_V1``: with its own preprocessing and
        categories, from torch's checkpoint folder or downloaded. ``random`` (torchvision's only): drawn from `seed`.
        A local ``.pth``, ``.pt`` or ``.safetensors`` file, loaded without running code it may hold: with the
        preprocessing of the recommended weights, or of the listed weights whose file's name it has, and with their
        categories if the number of classes is the same.
    num_classes : int or None
        For torchvision's networks with random weights or a file's; None is 1000, or what the file has.
    categories : sequence of str or None
        Names of the classes, instead of those that come with the weights.
    preprocessing : Preprocessing or None
        Instead of the one that comes with the weights; must be given where the user's function returns a bare module.
    seed : int
        Of random weights. The global generators are left alone.
    device : str or torch.device
        Where the network shall lie.

    Raises
    ------
    UnknownName
        If there is no such model or no such weights, with the nearest names.
    UnusableWeights
        If a file is missing, corrupt, unsafe or made for another network, or cannot be downloaded.
    ValueError, TypeError
        If an argument does not fit the others. The network's output is looked at by
        `xaibench.models.checks.check_classifier`.
    """
    classifier = _load(name, weights, num_classes, preprocessing, seed)
    if categories is not None:
        classifier = replace(classifier, categories=tuple(categories))
    if preprocessing is not None:
        classifier = replace(classifier, preprocessing=preprocessing)
    classifier.network.eval().to(device)
    return classifier


def _load(
    name: str, weights: str | Path | None, num_classes: int | None, preprocessing: Preprocessing | None, seed: int
) -> Classifier:
    """Find out which of the three kinds of model is asked for."""
    if name == SHAPES:
        from xaibench.models.shapes_resnet import load_shapes_resnet50

        return load_shapes_resnet50(None if weights is None else Path(weights))
    if ":" in name:
        return _users(name, weights, preprocessing, seed)
    if name not in torchvision_names():
        raise unknown("model", name, [*model_names(), "module:function"])
    built = build_torchvision(name, weights=weights, num_classes=num_classes, seed=seed)
    network = built.network.eval().to(memory_format=torch.channels_last)  # the fastest for convolutions on CPU and GPU
    return Classifier(name, network, built.preprocessing, built.categories, built.weights, digest(network))


def _users(name: str, weights: str | Path | None, preprocessing: Preprocessing | None, seed: int) -> Classifier:
    """The user's own model, as it is except for weights from a file and evaluation mode."""
    made = call_user_function(name, seed=seed)
    network = made if isinstance(made, nn.Module) else made.network
    if weights is not None:
        load_weights(network, weights)
    label = Path(weights).name if weights is not None else "own"
    network.eval()
    if isinstance(made, Classifier):
        return replace(made, weights=label if weights is not None else made.weights, digest=digest(network))
    if preprocessing is None:
        raise ValueError(
            f"model {name!r} returns a bare module, so how photographs become its images must be said: let the "
            "function return a Classifier, or give preprocessing=Preprocessing(resize=…, crop=…, mean=…, std=…)"
        )
    return Classifier(name, network, preprocessing, (), label, digest(network))
