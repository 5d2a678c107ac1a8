"""Along a cascade, what has been randomized stays as it is: there batch norm can be folded into the convolution.

The network's tensors and modules are not touched. The convolution of a settled pair runs with folded weights, and its
batch norm hands through what it is given. Values move by rounding only. Where somebody looks between the two (a hook,
a captured layer, a gradient of their parameters, training mode), both run as ever.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from xaibench.metrics.folding import foldable


@contextmanager
def folded_when_settled(network: nn.Module) -> Iterator["Folds"]:
    """Let pairs of convolution and batch norm be folded inside a ``with`` block, one after the other.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. One that cannot be traced runs as ever.

    Yields
    ------
    Folds
        To be told what will not change any more within the block.
    """
    folds = Folds(network)
    try:
        yield folds
    finally:
        folds.undo()


class Folds:
    """The pairs that are folded, and those that may be once they are settled."""

    def __init__(self, network: nn.Module) -> None:
        self._waiting = [_Pair(network, *names) for names in foldable(network)]
        self._folded: list[_Pair] = []

    def settle(self, names: Iterable[str]) -> None:
        """Fold the pairs all of whose parameters and buffers are among the dotted `names`."""
        settled = frozenset(names)
        ready = [pair for pair in self._waiting if pair.tensors <= settled]
        for pair in ready:
            pair.fold()
            self._waiting.remove(pair)
            self._folded.append(pair)

    def undo(self) -> None:
        """Let the modules run as they did before."""
        for pair in self._folded:
            pair.undo()


class _Pair:
    """A convolution and the batch norm that alone reads it."""

    def __init__(self, network: nn.Module, *names: str) -> None:
        self.convolution: Any
        self.norm: Any
        self.convolution, self.norm = (network.get_submodule(name) for name in names)
        self.tensors = frozenset(
            f"{name}.{key}" for name in names for key in network.get_submodule(name).state_dict(keep_vars=True)
        )
        self._hooks = [
            hooks
            for module in (self.convolution, self.norm)
            for hooks in (
                module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
            )
        ]  # fmt: skip
        self._parameters = [p for module in (self.convolution, self.norm) for p in module.parameters()]
        self._handed_through = False

    def fold(self) -> None:
        self._before = [module.__dict__.get("forward") for module in (self.convolution, self.norm)]
        self._plain = [module.forward for module in (self.convolution, self.norm)]
        one, other = self.convolution, self.norm
        with torch.no_grad():
            self._weight, self._bias = fuse_conv_bn_weights(
                one.weight, one.bias, other.running_mean, other.running_var, other.eps, other.weight, other.bias
            )
        self._weight.requires_grad_(False)
        self._bias.requires_grad_(False)
        one.forward, other.forward = self._convolve, self._normalize

    def undo(self) -> None:
        for module, before in zip((self.convolution, self.norm), self._before, strict=True):
            if before is None:
                module.__dict__.pop("forward", None)
            else:
                module.forward = before

    def _convolve(self, images: Tensor) -> Tensor:
        self._handed_through = not self._is_watched()
        if not self._handed_through:
            return self._plain[0](images)
        return self.convolution._conv_forward(images, self._weight, self._bias)

    def _normalize(self, images: Tensor) -> Tensor:
        return images if self._handed_through else self._plain[1](images)

    def _is_watched(self) -> bool:
        if any(self._hooks) or self.norm.training:
            return True
        return torch.is_grad_enabled() and any(p.requires_grad for p in self._parameters)
