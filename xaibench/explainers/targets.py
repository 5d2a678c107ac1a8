"""Which class is explained: predicted, labelled, runner-up, least likely, or a fixed one."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from xaibench.names import unknown

TARGET_RULES = ("predicted", "label", "runner_up", "least_likely")
"""Rules by name; an int is the fifth: the same class for every image."""


def choose_targets(
    logits: Float[Tensor, "B classes"], rule: str | int = "predicted", labels: Tensor | None = None
) -> Int64[Tensor, " B"]:
    """Choose the class to explain for each image.

    Parameters
    ----------
    logits : Tensor, shape (B, classes)
    rule : {"predicted", "label", "runner_up", "least_likely"} or int
        ``predicted`` is the highest logit, ``runner_up`` the second, ``least_likely`` the lowest; a tie goes to the
        lower class index. An int is that class for every image.
    labels : Tensor of int, shape (B,), optional
        Needed by ``label`` only.

    Raises
    ------
    ValueError
        If labels are needed and missing, there is no second class, or a class is out of range.
    """
    if isinstance(rule, int):
        return check_targets(torch.full((len(logits),), rule, device=logits.device), logits)
    if rule not in TARGET_RULES:
        raise unknown("target rule", rule, TARGET_RULES)
    if rule == "label":
        if labels is None:
            raise ValueError("targets are to be the labels but there are none; give labels, or choose 'predicted'")
        return check_targets(labels, logits)
    if rule == "runner_up" and logits.shape[1] < 2:
        raise ValueError("there is no runner-up: the model knows one class only")
    # stable, so that a tie goes to the lower index whatever the device
    order = logits.argsort(dim=1, descending=rule != "least_likely", stable=True)
    return order[:, 1 if rule == "runner_up" else 0].contiguous()


def check_targets(targets: Tensor, logits: Float[Tensor, "B classes"]) -> Int64[Tensor, " B"]:
    """Return `targets` as int64 beside `logits`, or say what is wrong with them."""
    count, classes = logits.shape
    if targets.dtype.is_floating_point or targets.dtype.is_complex or targets.dtype == torch.bool:
        raise ValueError(f"targets must be class indices of an integer type; got {targets.dtype}")
    if targets.shape != (count,):
        raise ValueError(f"targets must be one class for each of {count} images; got shape {tuple(targets.shape)}")
    targets = targets.to(logits.device, torch.int64)
    outside = (targets < 0) | (targets >= classes)
    if outside.any():
        raise ValueError(
            f"class {int(targets[outside][0])} of image {int(outside.nonzero()[0])} is out of range: "
            f"the model knows {classes} classes, 0 to {classes - 1}"
        )
    return targets
