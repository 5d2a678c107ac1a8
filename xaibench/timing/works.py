"""The pieces of work that are timed: the product's own explanation path, and plain passes to compare it with.

`explanation_path` runs `capture` and the explainer themselves. Where the forward pass ends and the backward begins is
told by a forward hook on the network as a whole, so nothing in the path is changed for being timed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import begin_graph, capture, find_layers
from xaibench.explainers.scores import score_of
from xaibench.explainers.upsample import upsample
from xaibench.timing.laps import Laps, Work
from xaibench.timing.vocabulary import (
    BACKWARD,
    COPY,
    EXPLANATION,
    EXPLANATION_PATH,
    FORWARD,
    FORWARD_WITHOUT_HOOKS,
    FULL_BACKWARD,
    INFERENCE,
    INPUT_BACKWARD,
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
        attributions = [upsample(values, size, mode=explainer.upsampling) for values in maps.values()]
        laps.end(UPSAMPLE)
        _on_host(attributions)
        laps.end(COPY)

    return Work(joint_name(explainer.layers), EXPLANATION_PATH, run)


def explanation(model: nn.Module, images: Tensor, targets: Tensor, explainer: CAM) -> Work:
    """The same path in one go, as a user calls it."""

    def run(laps: Laps) -> None:
        laps.start()
        _on_host(explainer(model, images, targets).values())
        laps.end(EXPLANATION)

    return Work(joint_name(explainer.layers), (EXPLANATION,), run)


def forward_without_hooks(model: nn.Module, images: Tensor, layers: Sequence[str]) -> Work:
    """Forward pass with the graph that the explanation of `layers` needs, made without a hook and without checks."""

    def run(laps: Laps) -> None:
        network = unwrapped(model)
        started = _graph_from(find_layers(network, layers).values())
        with borrowed(network), started, torch.inference_mode(False), torch.enable_grad():
            laps.start()
            logits = network(images)
            laps.end(FORWARD_WITHOUT_HOOKS)
            del logits  # the graph lives until here, as in an explanation

    return Work(joint_name(tuple(layers)), (FORWARD_WITHOUT_HOOKS,), run)


def backward_to_input(model: nn.Module, images: Tensor, targets: Tensor, *, score: str) -> Work:
    """Gradient of the score by the image alone, after a forward pass that is not timed."""

    def run(laps: Laps) -> None:
        network = unwrapped(model)
        with borrowed(network), torch.inference_mode(False), torch.enable_grad():
            followed = images.clone().requires_grad_()
            total = score_of(network(followed), targets, score).sum()
            laps.start()
            torch.autograd.grad(total, followed)
            laps.end(INPUT_BACKWARD)

    return Work("", (INPUT_BACKWARD,), run)


def full_backward(model: nn.Module, images: Tensor, targets: Tensor, *, score: str) -> Work:
    """``score.backward()`` with the gradient of every parameter, after a forward pass that is not timed."""

    def run(laps: Laps) -> None:
        network = unwrapped(model)
        with _all_learning(network), torch.inference_mode(False), torch.enable_grad():
            total = score_of(network(images), targets, score).sum()
            laps.start()
            total.backward()
            laps.end(FULL_BACKWARD)

    return Work("", (FULL_BACKWARD,), run)


def _on_host(attributions: Iterable[Tensor]) -> list[Tensor]:
    """Copy to the host's memory, which waits for the device; on a CPU nothing is copied."""
    return [values.cpu() for values in attributions]


@contextmanager
def _graph_from(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Begin the graph at the output of each module that has none yet, by a `forward` of its own instead of a hook."""
    hidden = [(module.__dict__, module.__dict__.get("forward")) for module in set(modules)]
    try:
        for module in set(modules):
            module.__dict__["forward"] = partial(_beginning_graph, module.forward)
        yield
    finally:
        for attributes, own in hidden:
            del attributes["forward"]
            if own is not None:
                attributes["forward"] = own


def _beginning_graph(forward: Callable[..., Tensor], *inputs: object, **named: object) -> Tensor:
    output = forward(*inputs, **named)
    if output.requires_grad:
        return output
    return begin_graph(output.clone() if output._is_view() else output)


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
