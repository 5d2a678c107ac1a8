"""Activations and gradients of any number of layers from one forward and one backward pass.

The backward pass ends at the shallowest layer asked for, and no parameter gradient is computed. What is captured is
what the layer put out, even where the next operation overwrites it: a batch norm before ``+=`` or before an in-place
ReLU yields its own value and the gradient with respect to that value.

How: parameters are frozen, so nothing is recorded until a layer asked for puts out its tensor. There the graph starts.
Each layer's place in the graph (its gradient edge) is noted at once, before a later operation can write over the
tensor, and the gradients are asked for at these places. Values are kept without a copy; where the tensor's version
counter shows that somebody wrote into it, the forward pass is done once more with a copy for that layer, which is
remembered for the network.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from xaibench.explainers.borrowed import borrowed, random_state_restored, unwrapped
from xaibench.explainers.errors import LayerError, NonFiniteOutput
from xaibench.explainers.scores import SCORES, score_of
from xaibench.explainers.targets import TARGET_RULES, check_targets, choose_targets
from xaibench.explainers.token_grids import TokenGrid, automatic_grid
from xaibench.names import pick, unknown


@dataclass(frozen=True, eq=False)
class Captured:
    """What one pass over a batch yields. Tensors may share memory: read them, do not write.

    Attributes
    ----------
    logits : Tensor, shape (B, classes)
    targets : Tensor of int64, shape (B,)
        Classes explained.
    scores : Tensor, shape (B,)
        What was differentiated.
    activations, gradients : dict of str to Tensor, shape (B, K, h, w)
        By layer, in the order asked for: its output, and the derivative of each image's own score by it.
    """

    logits: Float[Tensor, "B classes"]
    targets: Int64[Tensor, " B"]
    scores: Float[Tensor, " B"]
    activations: dict[str, Float[Tensor, "B _ _ _"]]
    gradients: dict[str, Float[Tensor, "B _ _ _"]]


def capture(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    layers: Sequence[str],
    *,
    targets: Tensor | str | int = "predicted",
    labels: Tensor | None = None,
    score: str = "logit",
    token_grid: TokenGrid | None = None,
) -> Captured:
    """Run one forward and one backward pass and keep what the layers saw.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes). It is evaluated in evaluation mode; modes, flags, hooks and torch's
        global random state are as before afterwards, also after an exception. Wrappers such as ``DataParallel`` and
        ``torch.compile`` are taken off and the network inside is run.
    images : Tensor, shape (B, C, H, W)
        Normalized as the model wants, on its device.
    layers : sequence of str
        Dotted module names, as in ``model.named_modules()``.
    targets : Tensor of int, shape (B,), or rule
        Classes to explain; or a rule of `choose_targets`: a name such as ``predicted``, or one class for all.
    labels : Tensor of int, shape (B,), optional
        For the rule ``label``.
    score : {"logit", "probability", "log_probability", "margin"}
        What is differentiated; the paper's is the logit.
    token_grid : function, optional
        Rearranges every layer's output into (B, K, h, w). By default convolutional maps, tokens of ViT (with or
        without a class token) and Swin's channels-last blocks are recognized.

    Raises
    ------
    UnknownName
        If a layer, score or target rule does not exist.
    LayerError
        If a layer is never called or called more than once, puts out no map or one of a single cell (upsampled it
        would be constant), or has no influence on the score.
    NonFiniteOutput
        If logits hold NaN or infinity; `indices` tells for which images.
    ValueError
        If targets or the model's output do not fit.
    """
    pick("score", score, SCORES)
    if isinstance(targets, str) and targets not in TARGET_RULES:
        raise unknown("target rule", targets, TARGET_RULES)
    with _prepared(model, images, layers) as (network, images, names), torch.enable_grad():
        logits, recorder = _forward(network, images, names, token_grid, track=True)
        check_logits(logits, len(images))
        if isinstance(targets, Tensor):
            targets = check_targets(targets, logits)
        else:
            targets = choose_targets(logits.detach(), targets, labels)
        scores = score_of(logits, targets, score)
        gradients = recorder.gradients(scores)
        return Captured(logits.detach(), targets, scores.detach(), recorder.activations(), gradients)


def activations_of(
    model: nn.Module, images: Float[Tensor, "B C H W"], layers: Sequence[str], *, token_grid: TokenGrid | None = None
) -> dict[str, Float[Tensor, "B _ _ _"]]:
    """Run a forward pass alone and return each layer's output, (B, K, h, w).

    The same arguments, care and errors as in `capture`; with one image it checks layers before a long run.
    """
    with _prepared(model, images, layers) as (network, images, names), torch.no_grad():
        logits, recorder = _forward(network, images, names, token_grid, track=False)
        check_logits(logits, len(images))
        return recorder.activations()


def find_layers(network: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Look up modules by their dotted names, each once, or raise `UnknownName` with the nearest."""
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers must be a list of one or more module names; got {layers!r}")
    modules = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    return {name: pick("layer", name, modules) for name in layers}


@contextmanager
def _prepared(
    model: nn.Module, images: Tensor, layers: Sequence[str]
) -> Iterator[tuple[nn.Module, Tensor, dict[str, nn.Module]]]:
    network = unwrapped(model)
    modules = find_layers(network, layers)
    with torch.inference_mode(False), borrowed(network):
        # autograd refuses tensors that were made in inference mode
        yield network, images.clone() if images.is_inference() else images.detach(), modules


def check_logits(logits: object, count: int) -> None:
    """Raise unless a network put out finite logits (B, classes) for so many images; see `capture` for the errors."""
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"the model must put out a tensor of logits (B, classes); got {type(logits).__name__}: wrap the model in "
            "a module that returns its logits"
        )
    if logits.ndim != 2 or len(logits) != count or not logits.is_floating_point():
        raise ValueError(
            f"the model must put out floating-point logits (B, classes) for {count} images; "
            f"got {logits.dtype} of shape {tuple(logits.shape)}"
        )
    finite = logits.detach().isfinite()
    if not finite.all():
        raise NonFiniteOutput(tuple((~finite).any(dim=1).nonzero()[:, 0].tolist()))


# Layers that somebody writes over, by network: found in a first pass, copied in all later ones.
_overwritten: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


def _forward(
    network: nn.Module, images: Tensor, modules: dict[str, nn.Module], token_grid: TokenGrid | None, *, track: bool
) -> tuple[Tensor, "_Recorder"]:
    while True:
        copied = _overwritten.setdefault(network, set())
        recorder = _Recorder(network, images, copied, token_grid, track)
        with random_state_restored(images.device), recorder.listening(modules):
            logits = network(images)
        for name in modules:
            if name not in recorder.outputs:
                raise LayerError(f"layer {name!r} is never called in the model's forward pass; choose another one")
        changed = recorder.overwritten()
        if not changed:
            return logits, recorder
        copied |= changed


class _GraphStart(torch.autograd.Function):
    """Makes a tensor without history part of the graph, in place: writing into it later stays legal."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor) -> Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


def begin_graph(output: Tensor) -> Tensor:
    """Give a tensor without history a place in the graph; call it with gradients enabled."""
    started: Tensor = _GraphStart.apply(output, torch.zeros((), device=output.device, requires_grad=True))
    return started


# The recorder whose forward pass this is. Other threads and captures inside a capture see their own or none, so hooks
# that belong to somebody else stay silent.
_current: ContextVar["_Recorder | None"] = ContextVar("recorder", default=None)


class _Recorder:
    """Takes down what the layers put out during one forward pass."""

    def __init__(
        self, network: nn.Module, images: Tensor, copied: set[str], token_grid: TokenGrid | None, track: bool
    ) -> None:
        self.network, self.token_grid, self.copied, self.track = network, token_grid, copied, track
        self.count, self.image_size = len(images), (images.shape[2], images.shape[3])
        self.outputs: dict[str, Tensor] = {}
        self.versions: dict[str, int] = {}
        self.edges: dict[str, GradientEdge] = {}
        self.grids: dict[str, TokenGrid] = {}
        self.names: list[str] = []
        self.entering: dict[str, list[tuple[Tensor, int]]] = {}

    @contextmanager
    def listening(self, modules: dict[str, nn.Module]) -> Iterator[None]:
        self.names = list(modules)
        handles = []
        token = _current.set(self)
        try:
            for name, module in modules.items():
                handles.append(module.register_forward_pre_hook(partial(self._before, name)))
                handles.append(module.register_forward_hook(partial(self._after, name)))
            yield
        finally:
            _current.reset(token)
            for handle in handles:
                handle.remove()

    def _before(self, name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if _current.get() is self:
            self.entering[name] = [(value, value._version) for value in inputs if isinstance(value, Tensor)]

    def _after(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: object) -> Tensor | None:
        if _current.get() is not self:
            return None
        tensor = self._checked(name, output)
        unchanged = [value for value, version in self.entering.pop(name, []) if value._version == version]
        if tensor._is_view() or any(tensor is value for value in unchanged):
            # The tensor is also somebody else's: an Identity's input, a view's base. A copy is the layer's own, and
            # has a place in the graph that only the layer's output passes through.
            tensor = tensor.clone()
        if self.track:
            with torch.enable_grad():
                if not tensor.requires_grad:
                    tensor = begin_graph(tensor)
                self.edges[name] = get_gradient_edge(tensor)
        kept = tensor.detach()
        self.outputs[name] = kept.clone() if name in self.copied else kept
        self.versions[name] = self.outputs[name]._version
        return tensor

    def _checked(self, name: str, output: object) -> Tensor:
        if name in self.outputs:
            raise LayerError(
                f"layer {name!r} is called more than once in a forward pass, so its output is not one map; choose a "
                "module that runs once, such as the block around it or the layer before it"
            )
        if not isinstance(output, Tensor):
            raise LayerError(f"layer {name!r} puts out no tensor but {type(output).__name__}; choose another one")
        shape = tuple(output.shape)
        if not output.is_floating_point() or shape[:1] != (self.count,):
            raise LayerError(
                f"layer {name!r} puts out no map for each of {self.count} images but {output.dtype} of shape {shape}"
            )
        self.grids[name] = self.token_grid or automatic_grid(self.network, name, output, self.image_size)
        grid = tuple(self.grids[name](output.detach()).shape)
        if len(grid) != 4 or grid[0] != self.count:
            raise LayerError(f"token_grid makes {grid} of layer {name!r}'s output {shape}; expected (B, K, h, w)")
        if grid[2] * grid[3] < 2:
            raise LayerError(
                f"layer {name!r} puts out a map of a single cell, {grid}, which says nothing about where; "
                "choose a layer before the pooling, or larger images"
            )
        return output

    def overwritten(self) -> set[str]:
        """Layers into whose output somebody wrote after they put it out."""
        return {name for name, output in self.outputs.items() if output._version != self.versions[name]}

    def activations(self) -> dict[str, Tensor]:
        return {name: self.grids[name](self.outputs[name]) for name in self.names}

    def gradients(self, scores: Tensor) -> dict[str, Tensor]:
        """Differentiate each image's score by the layers' outputs, as they were when put out."""
        found: Sequence[Tensor | None] = [None] * len(self.names)
        if scores.requires_grad:
            edges = [self.edges[name] for name in self.names]
            found = torch.autograd.grad(scores.sum(), edges, allow_unused=True)
        gradients = {}
        for name, gradient in zip(self.names, found, strict=True):
            if gradient is None:
                raise LayerError(
                    f"layer {name!r} has no differentiable influence on the score (unused, detached or under no_grad)"
                )
            gradients[name] = self.grids[name](gradient)
        return gradients
