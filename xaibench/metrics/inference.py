"""A copy of a model for fast inference in float32: batch norm folded into the convolutions before it, channels last."""

import copy
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xaibench.metrics.scoring import evaluating, layout_of

log = logging.getLogger(__name__)


def fast_copy(model: nn.Module) -> nn.Module:
    """Copy a model for inference: evaluation mode, channels last, batch norm folded where that is possible.

    The copy keeps its modules' names; a folded batch norm becomes an identity. Logits agree with the original's up to
    rounding: measure it with `largest_deviation`. A model whose control flow cannot be traced is copied without
    folding. The original is not changed.
    """
    fast = copy.deepcopy(model).eval()
    for names in _foldable(fast):
        convolution, norm = (cast(Any, fast.get_submodule(name)) for name in names)
        fast.set_submodule(names[0], fuse_conv_bn_eval(convolution, norm))
        fast.set_submodule(names[1], nn.Identity().eval())
    for parameter in fast.parameters():
        parameter.requires_grad_(False)
    return fast.to(memory_format=torch.channels_last)


def _foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Names of convolution and batch norm that follow each other, each called once, nobody else reading between."""
    try:
        nodes = [node for node in fx.Tracer().trace(model).nodes if node.op == "call_module"]
    except Exception as error:  # tracing runs the user's code on stand-ins, which may fail in any way
        log.info("batch norm is not folded: the model cannot be traced (%s)", error)
        return []
    calls = Counter(str(node.target) for node in nodes)
    shared = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    pairs = []
    for node in nodes:
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        names = str(before.target), str(node.target)
        first, second = (model.get_submodule(name) for name in names)
        once = all(calls[name] == 1 for name in names) and shared[id(first)] == shared[id(second)] == 1
        if once and _can_fold(first, second):
            pairs.append(names)
    return pairs


def _can_fold(first: nn.Module, second: nn.Module) -> bool:
    """Whether the second is a batch norm with fixed statistics that fits the first, and neither is hooked."""
    kinds: dict[type, type] = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
    if type(second) is not kinds.get(type(first)) or second.running_mean is None:
        return False
    return not any(m._forward_hooks or m._forward_pre_hooks for m in (first, second))


def largest_deviation(model: nn.Module, fast: nn.Module, images: Float[Tensor, "B C H W"]) -> float:
    """Largest absolute difference of the two models' softmax probabilities on the images, in [0, 1]."""
    with evaluating(model), evaluating(fast):
        exact = model(images).double().softmax(dim=1)
        near = fast(images.contiguous(memory_format=layout_of(fast))).double().softmax(dim=1)
    return float((exact - near).abs().max())


def fastest_batch_size(
    model: nn.Module, image: Float[Tensor, "C H W"], *, sizes: Sequence[int] = (8, 16, 32, 64), repeats: int = 3
) -> int:
    """Batch size with the most images a second.

    Each size counts by the best of its `repeats` runs; sizes take turns, so that a busy moment hits all of them. One
    that does not fit the device's memory is left out.
    """
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    with evaluating(model):
        for _ in range(repeats + 1):
            for size, taken in list(seconds.items()):
                try:
                    taken.append(_seconds(model, image, size) / size)
                except torch.OutOfMemoryError:
                    del seconds[size]
    if not seconds:
        raise ValueError(f"no batch size of {list(sizes)} fits the memory of {image.device}; give smaller ones")
    return min(seconds, key=lambda size: min(seconds[size][1:]))  # the first round warms up


def _seconds(model: nn.Module, image: Tensor, size: int) -> float:
    batch = image.expand(size, *image.shape).contiguous(memory_format=layout_of(model))
    _synchronize(image.device)
    start = time.perf_counter()
    model(batch)
    _synchronize(image.device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
