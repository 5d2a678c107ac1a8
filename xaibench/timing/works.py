"""The pieces of work that are timed: the product's own explanation path, and plain passes to compare it with.

`explanation_path` runs `capture` and the explainer themselves. Where the forward pass ends and the backward begins is
told by a forward hook on the network as a whole, so nothing in the path is changed for being timed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import capture
from xaibench.explainers.scores import score_of
from xaibench.explainers.upsample import upsample
from xaibench.timing.laps import Laps, Work
from xaibench.timing.vocabulary import (
    BACKWARD,
    EXPLANATION,
    EXPLANATION_PATH,
    FORWARD,
    FULL_BACKWARD,
    INFERENCE,
    REDUCE,
    UPSAMPLE,
    joint_name,
)


def inference(model: nn.Module, images: Tensor) -> Work:
    """Plain forward pass in evaluation and inference mode."""

    def run(laps: Laps) -> None:
        with borrowed(unwrapped(model)), torch.inference_mode():
            laps.start()
            model(images)
            laps.end(INFERENCE)

    return Work("", (INFERENCE,), run)


def explanation_path(model: nn.Module, images: Tensor, targets: Tensor, explainer: CAM) -> Work:
    """The explainer's path, split where one phase hands over to the next."""
    size = (images.shape[2], images.shape[3])

    def run(laps: Laps) -> None:
        laps.start()
        with _at_end_of_forward(unwrapped(model), lambda: laps.end(FORWARD)):
            captured = capture(
                model,
                images,
                explainer.layers,
                targets=targets,
                score=explainer.score,
                token_grid=explainer.token_grid,
            )
        laps.end(BACKWARD)
        maps = explainer.maps_of(captured)
        laps.end(REDUCE)
        for values in maps.values():
            upsample(values, size, mode=explainer.upsampling)
        laps.end(UPSAMPLE)

    return Work(joint_name(explainer.layers), EXPLANATION_PATH, run)


def explanation(model: nn.Module, images: Tensor, targets: Tensor, explainer: CAM) -> Work:
    """The same path in one go, as a user calls it."""

    def run(laps: Laps) -> None:
        laps.start()
        explainer(model, images, targets)
        laps.end(EXPLANATION)

    return Work(joint_name(explainer.layers), (EXPLANATION,), run)


def full_backward(model: nn.Module, images: Tensor, targets: Tensor, *, score: str) -> Work:
    """``score.backward()`` with the gradient of every parameter, after a forward pass that is not timed."""

    def run(laps: Laps) -> None:
        with _all_learning(unwrapped(model)), torch.inference_mode(False), torch.enable_grad():
            total = score_of(model(images), targets, score).sum()
            laps.start()
            total.backward()
            laps.end(FULL_BACKWARD)

    return Work("", (FULL_BACKWARD,), run)


@contextmanager
def _at_end_of_forward(network: nn.Module, tell: Callable[[], None]) -> Iterator[None]:
    handle = network.register_forward_hook(lambda *_: tell())
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _all_learning(network: nn.Module) -> Iterator[None]:
    """Let every parameter gather a fresh gradient in evaluation mode; flags and gradients are put back afterwards."""
    with borrowed(network):
        before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
        try:
            for parameter, _, _ in before:
                parameter.grad = None
                if parameter.is_floating_point():
                    parameter.requires_grad_(True)
            yield
        finally:
            for parameter, learning, gradient in before:
                parameter.requires_grad_(learning)
                parameter.grad = gradient
