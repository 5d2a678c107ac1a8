"""The memory that a piece of work needs, predicted from the shapes of its tensors, to be held against a measurement.

`TensorMeter` is a memory meter that looks at no memory: it adds up the bytes of the tensors that operators make and
takes them off when the last reference goes. `GraphLaps` adds up what autograd saves for the backward pass. Neither sees
what an operator needs inside itself for a moment, such as a convolution's workspace, nor what an allocator rounds up
or keeps: what is measured beyond the prediction is that.
"""

import weakref
from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xaibench.explainers.capture import activations_of
from xaibench.explainers.token_grids import TokenGrid
from xaibench.timing.memory import MIB


class TensorMeter(TorchDispatchMode):
    """Peak of the bytes that tensors made since the last `reset` hold, each storage once; used as a context."""

    method = "bytes of live tensors, from their shapes"
    reserved_mib = nan

    def __init__(self) -> None:
        super().__init__()
        self._alive: dict[int, int] = {}
        self._generation = self._held = self._peak = 0

    def reset(self) -> None:
        """Forget all tensors made so far."""
        self._generation += 1
        self._alive, self._held, self._peak = {}, 0, 0

    def peak_mib(self) -> float:
        """Most MiB that new tensors held since the last call or `reset`."""
        peak, self._peak = self._peak, self._held
        return peak / MIB

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        old = {tensor.untyped_storage()._cdata for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(output):
            storage = tensor.untyped_storage()
            if storage._cdata not in old and storage._cdata not in self._alive:
                self._take(storage)
        return output

    def _take(self, storage: torch.UntypedStorage) -> None:
        self._alive[storage._cdata] = storage.nbytes()
        self._held += storage.nbytes()
        self._peak = max(self._peak, self._held)
        weakref.finalize(storage, self._drop, storage._cdata, self._generation)

    def _drop(self, key: int, generation: int) -> None:
        if generation == self._generation:
            self._held -= self._alive.pop(key)


class GraphLaps:
    """Adds up, wherever a phase begins or ends, what autograd holds for the backward pass; used as a context.

    Parameters
    ----------
    given : iterable of Tensor
        What is held anyway and does not count: parameters, buffers, images.
    """

    def __init__(self, given: Iterable[Tensor]) -> None:
        self._given = {tensor.untyped_storage()._cdata for tensor in given}
        self._saved: weakref.WeakSet[_Saved] = weakref.WeakSet()
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda saved: saved.tensor)
        self._most = 0

    def __enter__(self) -> "GraphLaps":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    def start(self) -> None:
        """Look at what is saved."""
        storages = {saved.tensor.untyped_storage()._cdata: saved.tensor.untyped_storage() for saved in self._saved}
        held = sum(storage.nbytes() for place, storage in storages.items() if place not in self._given)
        self._most = max(self._most, held)

    def end(self, phase: str) -> None:
        """Look at what is saved."""
        self.start()

    def most_mib(self) -> float:
        """Most MiB that were held at any of these moments."""
        return self._most / MIB

    def _pack(self, tensor: Tensor) -> "_Saved":
        saved = _Saved(tensor.detach())  # the tensor itself would hold its own graph, and so for ever
        self._saved.add(saved)
        return saved


def captured_mib(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, token_grid: TokenGrid | None = None
) -> dict[str, float]:
    """MiB of each layer's output and of its gradient, which has the same shape, from one forward pass.

    Where the network saves a layer's output for its own backward pass, these bytes are in what `GraphLaps` finds, too.
    """
    outputs = activations_of(model, images, layers, token_grid=token_grid)
    return {layer: 2 * output.numel() * output.element_size() / MIB for layer, output in outputs.items()}


class _Saved:
    """A tensor that autograd saved; gone when the graph is."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]
