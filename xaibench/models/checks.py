"""See whether a classifier puts out what everything else relies on."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaibench.models.classifier import Classifier

PROBE_SIZE = (224, 224)
"""Height and width tried where the preprocessing leaves images as large as their pictures."""


def check_classifier(classifier: Classifier) -> int:
    """Run two black images forward and see that logits (2, classes) come out.

    Parameters
    ----------
    classifier : Classifier
        Its network is used as it is and not changed.

    Returns
    -------
    int
        The number of classes.

    Raises
    ------
    ValueError
        If the network cannot take such images, or if what it puts out is no tensor (B, classes) of at least two finite
        floats per image, or if there are more or fewer categories than classes.
    """
    height, width = classifier.preprocessing.image_size or PROBE_SIZE
    mean, std = (torch.tensor(v)[:, None, None] for v in (classifier.preprocessing.mean, classifier.preprocessing.std))
    parameter = next(classifier.network.parameters(), torch.zeros(()))
    images = (-mean / std).expand(2, 3, height, width).to(parameter.device, parameter.dtype)
    try:
        with torch.no_grad():
            output = classifier.network(images)
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise ValueError(f"model {classifier.name!r} fails on images (2, 3, {height}, {width}): {error}") from error
    problem = _problem(output)
    if problem:
        raise ValueError(f"model {classifier.name!r} must map images (B, 3, H, W) to logits (B, classes): {problem}")
    classes = int(output.shape[1])
    if classifier.categories and len(classifier.categories) != classes:
        raise ValueError(
            f"model {classifier.name!r} has {classes} classes, but {len(classifier.categories)} categories"
        )
    return classes


def _problem(output: Any) -> str:
    """What is wrong with the output for two images, and how to mend it; "" if nothing."""
    if not isinstance(output, Tensor):
        return _foreign(output)
    if output.dim() != 2 or len(output) != 2:
        return f"it put out shape {tuple(output.shape)} for two images"
    if output.shape[1] < 2:
        return "it puts out one number an image; put out two logits, torch.cat([-x, x], dim=1) / 2, instead"
    if not output.is_floating_point():
        return f"it puts out {output.dtype}, no logits"
    if not output.isfinite().all():
        return "it puts out NaN or infinity for a black image; look for broken weights or too low a precision"
    return ""


def _foreign(output: Any) -> str:
    """What to do about an output that is no tensor."""
    kind = type(output).__name__
    if hasattr(output, "logits"):
        return f"it puts out a {kind}; wrap it in a module whose forward returns .logits"
    if isinstance(output, tuple | list):
        return f"it puts out a {kind} of {len(output)}; wrap it in a module whose forward returns the logits alone"
    if isinstance(output, Mapping):
        return (
            f"it puts out a dict with {', '.join(map(str, output))}; wrap it in a module that returns the logits alone"
        )
    return f"it puts out a {kind}"
