"""The packaged ResNet-50 for `xaibench.data.shapes`: torchvision's own network with narrower blocks."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.data.outlines import CLASSES
from xaibench.models.classifier import Classifier
from xaibench.models.preprocessing import Preprocessing
from xaibench.models.weights import UnusableWeights, digest, fit_weights, read_state_dict

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and spread of a channel of an image in [0, 1]: ImageNet's, so that this network and torchvision's share one
input format."""
IMAGE_SIZE_PX = 128
WEIGHTS = Path(str(files("xaibench.models"))) / "pretrained" / "shapes_resnet50.safetensors"
"""The packaged weights; their card lies beside them, as Markdown to read and as JSON for `card`."""


def shapes_resnet50(width_per_group: int = 16, num_classes: int = len(CLASSES)) -> ResNet:
    """An untrained ResNet-50: the same 50 layers and module names as torchvision's ``resnet50``.

    The initial weights come from torch's global generator, as torchvision's do.

    Parameters
    ----------
    width_per_group : int
        Width of the blocks' inner convolutions in the first stage; 64 is the full ResNet-50, 16 has 5.9 M parameters.
    num_classes : int
        Length of the output.

    Returns
    -------
    ResNet
        In training mode. Each residual branch begins at zero, so that a block passes on what it is given.

    Raises
    ------
    ValueError
        If an argument is below one.
    """
    if width_per_group < 1 or num_classes < 1:
        raise ValueError(f"width_per_group and num_classes must be at least 1, not {width_per_group} and {num_classes}")
    return ResNet(
        Bottleneck, [3, 4, 6, 3], num_classes=num_classes, width_per_group=width_per_group, zero_init_residual=True
    )


def load_shapes_resnet50(weights: str | Path | None = None) -> Classifier:
    """The packaged network, or one that `xaibench experiment=train_shapes` made, ready to explain.

    Parameters
    ----------
    weights : path or None
        None: the packaged weights, compared with the digest on their card first. Otherwise a file of weights of a
        `shapes_resnet50` of any width and number of classes; the file's shapes tell which.

    Returns
    -------
    Classifier
        Float32, in evaluation mode, channels last. Pictures become 128 × 128 pixels.

    Raises
    ------
    UnusableWeights
        If the file is missing, damaged, or made for another network.
    """
    path = WEIGHTS if weights is None else Path(weights)
    state = read_state_dict(path)
    if weights is None and _sha256(path) != card()["sha256"]:
        raise UnusableWeights(f"{path.name} is not the file that its card describes; install xaibench again")
    network = shapes_resnet50(*_widths(state, path.name))
    fit_weights(network, state, path.name)
    network.eval().to(memory_format=torch.channels_last)
    preprocessing = Preprocessing(resize=IMAGE_SIZE_PX, crop=IMAGE_SIZE_PX, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    categories = tuple(CLASSES) if network.fc.out_features == len(CLASSES) else ()
    label = "shapes" if weights is None else path.name
    return Classifier("shapes_resnet50", network, preprocessing, categories, label, digest(network))


def card() -> dict[str, Any]:
    """What is known of the packaged network.

    Returns
    -------
    dict
        Recipe, seed, data, training curve, held-out accuracy, ``sha256`` of the file, normalization, categories and
        image size.
    """
    contents: dict[str, Any] = json.loads(WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
    return contents


def export_half(model: nn.Module, path: str | Path) -> str:
    """Write a model's weights in half precision; integer buffers keep their type.

    The file appears whole or not at all.

    Parameters
    ----------
    model : Module
        Left as it is.
    path : path
        A ``.safetensors`` file; overwritten.

    Returns
    -------
    str
        SHA-256 hex digest of the file.

    Raises
    ------
    ValueError
        If a weight is not finite in half precision, whose largest number is 65504.
    """
    path = Path(path)
    halves = {name: half(tensor).cpu().contiguous() for name, tensor in model.state_dict().items()}
    overflown = [name for name, tensor in halves.items() if not torch.isfinite(tensor).all()]
    if overflown:
        raise ValueError(f"not finite in half precision: {', '.join(overflown)}")
    beside = path.with_name(path.name + ".part")
    save_file(halves, beside)
    beside.replace(path)
    return _sha256(path)


def half(tensor: Tensor) -> Tensor:
    """A floating-point tensor in half precision, any other as it is."""
    return tensor.half() if tensor.is_floating_point() else tensor


def _widths(state: dict[str, Tensor], source: str) -> tuple[int, int]:
    """Width per group and number of classes of the network that a state dict belongs to."""
    try:
        return len(state["layer1.0.conv1.weight"]), len(state["fc.weight"])
    except KeyError as error:
        raise UnusableWeights(f"{source} does not fit shapes_resnet50: it has no {error}") from error


def _sha256(path: Path) -> str:
    """SHA-256 hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
