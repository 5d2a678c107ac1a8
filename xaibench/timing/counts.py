"""How many operations a piece of work does and how many bytes its operators touch, counted by shapes, without a clock.

Operations are what `torch.utils.flop_counter` counts: those of matrix products, convolutions and attention, a
multiply-add as two. A convolution counts as the plain sum of products, however the library computes it.

Bytes are those of every operator's tensors, read and written once each, views apart. That is what a program moves that
fuses nothing and keeps nothing in a cache, an upper bound of what has to come from memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Counts:
    """Work done.

    Attributes
    ----------
    operations : int
        Multiplications and additions of matrix products, convolutions and attention.
    bytes_moved : int
        Bytes of the tensors that operators read and write.
    """

    operations: int = 0
    bytes_moved: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.operations + other.operations, self.bytes_moved + other.bytes_moved)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.operations - other.operations, self.bytes_moved - other.bytes_moved)


OVERWRITING = ("aten::copy_", "aten::fill_", "aten::zero_")
"""Operators that write to their first input and do not read it."""


class Counter(TorchDispatchMode):
    """Adds up, while it is entered, the counts of every operator that runs.

    Attributes
    ----------
    total : Counts
        Of all operators so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = Counts()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket not in flop_registry:  # in inference mode, composed operators arrive in one piece
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        output = func(*args, **kwargs)
        self.total += Counts(_operations(func, args, kwargs, output), _bytes_moved(func, (args, kwargs), output))
        return output


class CountingLaps:
    """Notes a counter's count where a phase ends; a phase reported twice is added up."""

    def __init__(self, counter: Counter) -> None:
        self.counts: dict[str, Counts] = {}
        self._counter = counter
        self._before = Counts()

    def start(self) -> None:
        """Take what was counted so far as nothing."""
        self._before = self._counter.total

    def end(self, phase: str) -> None:
        """Take what was counted since as the phase's."""
        self.counts[phase] = self.counts.get(phase, Counts()) + self._counter.total - self._before
        self._before = self._counter.total


def _operations(func: Any, args: Any, kwargs: Any, output: object) -> int:
    count = flop_registry.get(func._overloadpacket)
    return int(count(*args, **kwargs, out_val=output)) if count else 0


def _bytes_moved(func: Any, inputs: Any, output: object) -> int:
    """Bytes of all inputs and outputs; none for a view, and for new memory that nothing was written to.

    What `copy_`, `fill_` and `zero_` write to is an output alone: none of its old values is read.
    """
    if func._schema.name.startswith(("aten::empty", "aten::new_empty")):
        return 0
    if func._schema.name in OVERWRITING:
        inputs = (inputs[0][1:], inputs[1])
    read = {_place(tensor) for tensor in _tensors(inputs)}
    if not func._schema.is_mutable and any(_place(tensor) in read for tensor in _tensors(output)):
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors((inputs, output)))


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensors(values: object) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, torch.Tensor))
