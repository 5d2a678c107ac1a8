"""Fold batch norm into the convolution before it, where a trace of the model shows that this changes nothing."""

import logging
from collections import Counter
from typing import Any, cast

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

log = logging.getLogger(__name__)


def fold_batch_norms(model: nn.Module) -> None:
    """Fold in place, in the model's own precision. Modules keep their names; a folded batch norm becomes an identity.

    The model must be in evaluation mode. One whose control flow cannot be traced is left as it is.
    """
    for names in foldable(model):
        convolution, norm = (cast(Any, model.get_submodule(name)) for name in names)
        model.set_submodule(names[0], fuse_conv_bn_eval(convolution, norm))
        model.set_submodule(names[1], nn.Identity().eval())


def foldable(model: nn.Module) -> list[tuple[str, str]]:
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
