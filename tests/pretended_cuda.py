"""A CUDA device that is not there: tensors stay on the CPU, and mixing them with those "on the device" fails.

Tensors moved to ``cuda`` are marked by their storage; every operator passes the mark on and refuses what CUDA refuses.
So whole pieces of work run, backward passes, `item` and `tolist` too, and nothing but the rounding of a GPU is missing.
"""

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
aten = torch.ops.aten
CROSSING = (aten.copy_.default, aten._to_copy.default)
"""Operators that may read from another device; the first input says where the result lies."""
INDEXING = (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default, aten.index_put.default)
"""Operators whose indices may lie on the CPU."""
NO_SCALARS = (aten.cat.default, aten.stack.default, aten.gather.default)
"""Operators that take no scalar from the CPU either."""


class MixedDevices(RuntimeError):
    """What CUDA would refuse."""


_marked: set[int] = set()


def on_device(tensor: Tensor) -> bool:
    """Whether a tensor lies on the pretended device."""
    return tensor.untyped_storage()._cdata in _marked


def _mark(value: Any, device: bool) -> Any:
    for tensor in (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)):
        storage = tensor.untyped_storage()
        if device and storage._cdata not in _marked:
            _marked.add(storage._cdata)
            weakref.finalize(storage, _marked.discard, storage._cdata)
        elif not device:
            _marked.discard(storage._cdata)
    return value


class _Operators(TorchDispatchMode):
    """Passes marks on from inputs to outputs, and refuses to mix."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        marks = [on_device(tensor) for tensor in given]
        device = bool(marks) and (marks[0] if func in CROSSING else any(marks))
        if func not in CROSSING and device and not all(marks):
            self._check(func, given, marks)
        storages = {tensor.untyped_storage()._cdata for tensor in given}
        output = func(*args, **(kwargs or {}))
        if "set_" not in str(func):
            made = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
            _mark([tensor for tensor in made if tensor.untyped_storage()._cdata not in storages], device)
        return output

    @staticmethod
    def _check(func: Any, given: list[Tensor], marks: list[bool]) -> None:
        elsewhere = [tensor for tensor, mark in zip(given, marks, strict=True) if not mark]
        if func in INDEXING:
            values = [] if func is aten.index.Tensor else [tensor for tensor in elsewhere if tensor is given[-1]]
            refused = not marks[0] or any(value.dim() for value in values)
        else:
            into_cpu = func._schema.is_mutable and not marks[0]
            refused = into_cpu or func in NO_SCALARS or any(tensor.dim() for tensor in elsewhere)
        if refused:
            where = [(tuple(t.shape), "cuda" if mark else "cpu") for t, mark in zip(given, marks, strict=True)]
            raise MixedDevices(f"{func} got tensors on different devices: {where}")


def _is_cuda(device: Any) -> bool:
    return torch.device(device).type == "cuda"


class _Calls(TorchFunctionMode):
    """Takes the device out of calls, keeps it as a mark, and gives it back when asked for."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "__get__":
            return self._attribute(func, args)
        if func in (Tensor.numpy, Tensor.__array__) and on_device(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func is Tensor.cuda:
            return self._moved(args[0], CUDA)
        if func is Tensor.cpu:
            return self._moved(args[0], CPU)
        if func in (Tensor.to, Tensor.type_as):
            return self._moved(*args, **kwargs)
        if func in (Tensor.__deepcopy__, Tensor.new_tensor) and kwargs.get("device") is None:
            device = on_device(args[0])
            return _mark(func(*args, **kwargs), device)
        if func is torch.tensor and kwargs.get("device") is None:
            return _mark(func(*args, **kwargs), False)
        if kwargs.get("device") is not None:
            device, generator = _is_cuda(kwargs["device"]), kwargs.get("generator")
            if device and generator is not None:
                raise MixedDevices(f"{func} draws on cuda with a generator of the CPU")
            return _mark(func(*args, **(kwargs | {"device": CPU})), device)
        return func(*args, **kwargs)

    @staticmethod
    def _attribute(func: Any, args: Any) -> Any:
        owner = getattr(func, "__self__", None)
        if owner is Tensor.device:
            return CUDA if on_device(args[0]) else CPU
        if owner in (Tensor.is_cuda, Tensor.is_cpu):
            return on_device(args[0]) == (owner is Tensor.is_cuda)
        return func(*args)

    @staticmethod
    def _moved(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        before = device = on_device(tensor)
        plain: list[Any] = []
        for value in args:
            if isinstance(value, Tensor):
                device = on_device(value)
            if isinstance(value, torch.device | str):
                device, value = _is_cuda(value), CPU
            plain.append(value)
        if kwargs.get("device") is not None:
            device, kwargs = _is_cuda(kwargs["device"]), kwargs | {"device": CPU}
        if device == before:
            return tensor.to(*plain, **kwargs)
        return _mark(tensor.to(*plain, **(kwargs | {"copy": True})), device)


@contextmanager
def pretended_cuda() -> Iterator[torch.device]:
    """Let ``cuda`` be a device within a ``with`` block; make everything that is used there inside it."""
    from_numpy = torch.from_numpy  # no mode sees it
    functions = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda *_: "pretended",
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda *_: None,
    }
    with ExitStack() as stack:
        for name, function in functions.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, function))
        stack.enter_context(mock.patch.object(torch, "from_numpy", lambda array: _mark(from_numpy(array), False)))
        stack.enter_context(_Operators())
        stack.enter_context(_Calls())
        yield CUDA
