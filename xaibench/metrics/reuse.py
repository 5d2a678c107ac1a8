"""Run what did not change only once: modules answer from memory while their weights and inputs stay the same.

Along a cascade from the output to the input, all that lies before the shallowest randomized unit puts out what it put
out before. Inside `outputs_reused` a module whose parameters and buffers are untouched, and whose inputs are equal bit
for bit to those of its first call, returns the output of that call. Where a gradient is to flow through it, the graph
of that call is kept and only run backwards. The numbers are the same by construction: the same operations made them.

The decision is local, so no order of execution is assumed and branches, hooks and several calls with other inputs are
safe. A module runs as ever if a hook sits on a module below it (the modules below decide for themselves then), if it
is in training or inference mode, would give parameter gradients, writes into its input, or takes or gives anything but
tensors and plain values. Not supported: modules that draw random numbers in evaluation mode or keep state outside their buffers,
and second derivatives. Memory: one input and output (with a graph: its activations) for the outermost reused modules.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from xaibench.explainers.guided import is_guided

Outputs = tuple[Tensor | None, ...]


@contextmanager
def outputs_reused(network: nn.Module) -> Iterator["Reuse"]:
    """Let the modules of a network remember their outputs inside a ``with`` block.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, and bare (no `nn.DataParallel`, not compiled). Its modules' ``forward`` is wrapped for the
        time of the block.

    Yields
    ------
    Reuse
        To be told whenever parameters or buffers are changed.
    """
    reuse = Reuse(network)
    try:
        for memory in reuse.memories:
            memory.install()
        yield reuse
    finally:
        for memory in reuse.memories:
            memory.remove()


class Reuse:
    """What is remembered of a network, and what must not be.

    Attributes
    ----------
    recalled : int
        How many module calls were answered from memory.
    """

    def __init__(self, network: nn.Module) -> None:
        self._tensors = {
            name: id(t) for name, t in (*_all_named(network, "parameters"), *_all_named(network, "buffers"))
        }
        self.touched: frozenset[int] = frozenset()
        self.inside = False  # a module that is being remembered, or known to differ: those below it just run
        self.recalled = 0
        modules = [m for m in network.modules() if m is not network and any(True for _ in m.parameters())]
        self.memories = [_Memory(self, module) for module in modules]

    def touch(self, names: Iterable[str], *, forget: bool = False) -> None:
        """Say which parameters and buffers differ now from what they were when the block began.

        Parameters
        ----------
        names : iterable of str
            Dotted names of all that differ; those of an earlier call are dropped.
        forget : bool, default False
            Whether they will stay so: the memory of what depends on them is freed.
        """
        self.touched = frozenset(self._tensors[name] for name in names)
        if forget:
            for memory in self.memories:
                if not self.touched.isdisjoint(memory.tensors):
                    memory.calls.clear()


def _all_named(network: nn.Module, kind: str) -> list[tuple[str, Tensor]]:
    return list(getattr(network, f"named_{kind}")(remove_duplicate=False))


@dataclass(eq=False)
class _Call:
    """One remembered call: its inputs, its outputs, and the graph between them where a gradient is wanted.

    Nothing is copied: version counters tell whether somebody wrote into a tensor after the call.
    """

    inputs: tuple[Tensor, ...]
    outputs: Outputs
    single: bool
    graph_inputs: tuple[Tensor, ...] = ()
    graph_outputs: Outputs = ()
    copied: bool = False  # whether a copy is to be given, as whoever gets the outputs writes into them

    def __post_init__(self) -> None:
        self._versions = [t._version for t in self.inputs], [t._version for t in self._tensors()]

    def _tensors(self) -> list[Tensor]:
        return [t for t in self.outputs if t is not None]

    def intact(self) -> bool:
        """Whether the outputs are what they were."""
        return all(t._version == then for t, then in zip(self._tensors(), self._versions[1], strict=True))

    def matches(self, inputs: tuple[Tensor, ...]) -> bool:
        return all(
            kept._version == then and _same(kept, new)
            for kept, new, then in zip(self.inputs, inputs, self._versions[0], strict=True)
        )

    def recalled(self, inputs: tuple[Tensor, ...]) -> Any:
        if self.graph_inputs:
            found = _Recalled.apply(self, *inputs)
            fresh = iter(found if isinstance(found, tuple) else (found,))
        else:
            fresh = iter([t.clone() if self.copied else t.detach() for t in self._tensors()])
        outputs = tuple(None if t is None else next(fresh) for t in self.outputs)
        return outputs[0] if self.single else outputs


def _same(kept: Tensor, new: Tensor) -> bool:
    """Whether two tensors hold the same bits; the same memory does, as `kept` was not written into."""
    if kept.dtype != new.dtype or kept.device != new.device or kept.shape != new.shape:
        return False
    return (kept.data_ptr() == new.data_ptr() and kept.stride() == new.stride()) or torch.equal(kept, new)


class _Recalled(torch.autograd.Function):
    """Forward: the remembered outputs. Backward: through the remembered graph."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: Tensor) -> Any:
        ctx.call = call
        outputs = tuple(t.clone() for t in call.outputs if t is not None)
        return outputs if len(outputs) > 1 else outputs[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outputs = [t for t in ctx.call.graph_outputs if t is not None]
        pairs = [(t, g) for t, g in zip(outputs, gradients, strict=True) if t.requires_grad]
        wanted = [t for t in ctx.call.graph_inputs if t.requires_grad]
        tensors, flowing = [t for t, _ in pairs], [g for _, g in pairs]
        found = iter(torch.autograd.grad(tensors, wanted, flowing, retain_graph=True, allow_unused=True))
        return (None, *(next(found) if t.requires_grad else None for t in ctx.call.graph_inputs))


class _Memory:
    """Stands in for a module's ``forward``."""

    def __init__(self, reuse: Reuse, module: nn.Module) -> None:
        self.reuse, self.module, self.forward = reuse, module, module.forward
        self.before = module.__dict__.get("forward")
        self.parameters = list(module.parameters())
        self.tensors = frozenset(map(id, (*self.parameters, *module.buffers())))
        self.within = list(module.modules())
        self.hooks_below = [hooks for m in self.within if m is not module for hooks in _hooks(m)]
        self.calls: dict[object, _Call | None] = {}
        self.overwritten: set[object] = set()  # calls whose outputs the next operation writes into

    def install(self) -> None:
        self.module.forward = self

    def remove(self) -> None:
        if self.before is None:
            self.module.__dict__.pop("forward", None)
        else:
            self.module.forward = self.before
        self.calls.clear()

    def __deepcopy__(self, copies: dict[int, Any]) -> Any:
        """Give a copied network its plain ``forward``: it has weights of its own."""
        return MethodType(type(self.module).forward, copies[id(self.module)])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = (*args, *kwargs.values())
        if self.reuse.inside or not self._may_answer(values):
            return self.forward(*args, **kwargs)
        inputs = tuple(value for value in values if isinstance(value, Tensor))
        key = _key(args, kwargs, inputs)
        self.reuse.inside = True
        try:
            call = self.calls.get(key)
            if call is not None and not call.intact():
                self.overwritten.add(key)
                del self.calls[key]
            if key not in self.calls:
                return self._remember(key, args, kwargs, inputs)
            if call is None or not call.matches(inputs):
                return self.forward(*args, **kwargs)
            self.reuse.recalled += 1
            return call.recalled(inputs)
        finally:
            self.reuse.inside = False

    def _may_answer(self, values: tuple[object, ...]) -> bool:
        if not self.reuse.touched.isdisjoint(self.tensors) or torch.is_inference_mode_enabled():
            return False  # tensors made in inference mode do not tell whether they were written into
        plain = all(v is None or isinstance(v, (Tensor, bool, int, float, str)) for v in values)
        if not plain or any(m.training for m in self.within) or any(self.hooks_below):
            return False
        return not (torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters))

    def _remember(self, key: object, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: tuple[Tensor, ...]) -> Any:
        """Run the module and keep what came of it, if it can be given again."""
        if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
            return self._remember_graph(key, args, kwargs, inputs)
        before = [t._version for t in inputs]
        result = self.forward(*args, **kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        if [t._version for t in inputs] != before or not _given_again(outputs):
            self.calls[key] = None
            return result
        copied = key in self.overwritten
        values = tuple(None if t is None else t.clone() if copied else t.detach() for t in outputs)
        kept = tuple(t.detach() for t in inputs)
        self.calls[key] = _Call(kept, values, not isinstance(result, tuple), copied=copied)
        return result

    def _remember_graph(
        self, key: object, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: tuple[Tensor, ...]
    ) -> Any:
        """The same with a graph of its own, which starts at copies of the inputs."""
        leaves = tuple(t.detach().clone().requires_grad_(t.requires_grad) for t in inputs)
        lent = tuple(t.clone() for t in leaves)  # a leaf could not be written into
        before = [t._version for t in lent]
        lent_args, lent_kwargs = _with(args, kwargs, iter(lent))
        result = self.forward(*lent_args, **lent_kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        if [t._version for t in lent] != before or not _given_again(outputs):
            self.calls[key] = None
            return self.forward(*args, **kwargs)
        values = tuple(None if t is None else t.detach() for t in outputs)
        kept = tuple(t.detach() for t in leaves)
        call = _Call(kept, values, not isinstance(result, tuple), leaves, outputs)
        self.calls[key] = call
        return call.recalled(inputs)


def _given_again(outputs: tuple[object, ...]) -> bool:
    return all(t is None or isinstance(t, Tensor) for t in outputs) and any(t is not None for t in outputs)


def _with(
    args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Iterator[Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put other tensors in the places of a call's tensors."""
    new = tuple(next(tensors) if isinstance(value, Tensor) else value for value in args)
    return new, {key: next(tensors) if isinstance(value, Tensor) else value for key, value in kwargs.items()}


def _key(args: tuple[Any, ...], kwargs: dict[str, Any], inputs: tuple[Tensor, ...]) -> object:
    """Everything but the tensors' values on which a call's result depends."""
    plain = tuple("tensor" if isinstance(v, Tensor) else (type(v).__name__, v) for v in (*args, *kwargs.values()))
    device = inputs[0].device.type if inputs else "cpu"
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    tracked = torch.is_grad_enabled() and tuple(t.requires_grad for t in inputs)
    return plain, tuple(kwargs), tracked, torch.is_inference_mode_enabled(), autocast, is_guided()


def _hooks(module: nn.Module) -> tuple[dict[int, Any], ...]:
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
