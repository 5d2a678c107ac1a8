"""Layers by name: what a network has, and the groups `stages`, `blocks` and `last`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xaibench.names import unknown

GROUPS = ("stages", "blocks", "last")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_COMPUTING = (*CONVOLUTIONS, nn.Linear, nn.MultiheadAttention)


@dataclass(frozen=True)
class LayerInfo:
    """One module of a network, as seen in a forward pass.

    Attributes
    ----------
    name : str
        Dotted, as in ``named_modules``.
    kind : str
        Name of its class.
    shape : tuple of int, or None
        Of its output without the batch; None where that is no tensor, or where it was never called.
    grid : (int, int), or None
        Height and width of the output where it is a map, channels first or last; None where it is none.
    stride : float or None
        Pixels of the image per step of the map, geometric mean of both directions.
    calls : int
        How often one forward pass calls it.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    grid: tuple[int, int] | None
    stride: float | None
    calls: int


def layer_names(network: nn.Module, image_size: tuple[int, int] = (224, 224)) -> list[LayerInfo]:
    """What there is to explain: every module below the network itself, in the order in which a forward pass enters it.

    Parameters
    ----------
    network : nn.Module
        Run once on a zero image, in evaluation mode and without gradients; left as it was.
    image_size : (int, int)
        Height and width of that image.

    Returns
    -------
    list of LayerInfo
        Modules that were never called come last, with 0 calls.
    """
    names = {module: name for name, module in network.named_modules() if name}
    calls: Counter[nn.Module] = Counter()
    outputs: dict[nn.Module, Any] = {}
    with _observed(names, calls, outputs), _evaluating(network), torch.no_grad():
        network(_zero_image(network, image_size))
    entered = [*calls, *(module for module in names if module not in calls)]
    return [_describe(names[m], m, outputs.get(m), calls[m], image_size) for m in entered]


def resolve_layers(network: nn.Module, names: Sequence[str], image_size: tuple[int, int] = (224, 224)) -> list[str]:
    """Turn names and groups into dotted module names.

    Parameters
    ----------
    network : nn.Module
        Run once if a group is asked for.
    names : sequence of str
        Dotted names, taken as they are, and groups, which come in the order of the forward pass:

        - ``blocks``: the repeated units. These are the outermost modules that have a forward of their own (no plain
          ``Sequential``), hold at least two convolutions, linear or attention layers, are called once, and either
          occur more than once or hold no such unit themselves: the 16 bottlenecks of ResNet-50, MobileNet's inverted
          residuals, EfficientNet's MBConv, ConvNeXt's and Swin's blocks, DenseNet's dense blocks, GoogLeNet's
          Inceptions, ViT's encoder layers. Where there are none (VGG, AlexNet, plain stacks): what each convolution
          ends in before the next one or the next change of size, usually its activation.
        - ``stages``: the last block at each size of map; ``layer1.2, layer2.3, layer3.5, layer4.2`` for ResNet-50. A
          dilated network has fewer, a ViT one.
        - ``last``: the last block.
    image_size : (int, int)
        Height and width of an image; a very small one makes maps of several stages equally large.

    Returns
    -------
    list of str
        In the order given, duplicates removed.

    Raises
    ------
    UnknownName
        If the network has no such module, with the nearest names.
    ValueError
        If nothing was asked for, or a group is empty for this network.
    """
    if isinstance(names, str) or not names:
        raise ValueError(f"layers must be a list of at least one name, such as [layer4] or [stages], not {names!r}")
    available = dict.fromkeys(name for name, _ in network.named_modules() if name)
    for name in names:
        if name not in available and name not in GROUPS:
            raise unknown("layer", name, [*GROUPS, *available])
    groups = _groups(network, image_size) if set(names) & set(GROUPS) else {}
    for name in set(names) & set(GROUPS):
        if not groups[name]:
            raise ValueError(
                f"layers: {type(network).__name__} has no {name!r}; give dotted names, such as {list(available)[-1]}"
            )
    return list(dict.fromkeys(layer for name in names for layer in groups.get(name, [name])))


def _groups(network: nn.Module, image_size: tuple[int, int]) -> dict[str, list[str]]:
    """All groups of a network, by name."""
    called_once = [info for info in layer_names(network, image_size) if info.calls == 1 and info.shape is not None]
    units = set(_units(network, {info.name for info in called_once}))
    blocks = [info for info in called_once if info.name in units] or _activations(network, called_once)
    stages = {info.grid or info.shape: info.name for info in blocks}  # the last one of each size stays
    ordered = [info.name for info in blocks]
    return {"blocks": ordered, "stages": [name for name in ordered if name in stages.values()], "last": ordered[-1:]}


def _units(network: nn.Module, called: set[str]) -> list[str]:
    """Names of the outermost repeated units, or of units without units inside."""
    candidates = {name: module for name, module in network.named_modules() if name in called and _is_unit(module)}
    frequency = Counter(type(module) for module in candidates.values())
    chosen: list[str] = []
    for name, module in candidates.items():  # parents come before their children
        inside_another = any(name.startswith(f"{unit}.") for unit in chosen)
        holds_others = any(other.startswith(f"{name}.") for other in candidates)
        if not inside_another and (frequency[type(module)] > 1 or not holds_others):
            chosen.append(name)
    return chosen


def _is_unit(module: nn.Module) -> bool:
    """Whether a module computes with at least two layers in a forward of its own."""
    plain = type(module).forward is nn.Sequential.forward
    inner = sum(isinstance(part, _COMPUTING) for part in module.modules())
    return not plain and not isinstance(module, _COMPUTING) and inner >= 2


def _activations(network: nn.Module, called_once: Sequence[LayerInfo]) -> list[LayerInfo]:
    """For each convolution of a plain stack, the last leaf that follows it at its own shape."""
    modules = dict(network.named_modules())
    leaves = [info for info in called_once if info.grid and not any(modules[info.name].children())]
    ends: list[LayerInfo] = []
    open_for_more = False
    for info in leaves:
        if isinstance(modules[info.name], CONVOLUTIONS):
            ends.append(info)
            open_for_more = True
        elif open_for_more and info.shape == ends[-1].shape:
            ends[-1] = info
        else:
            open_for_more = False
    return ends


def _describe(name: str, module: nn.Module, output: Any, calls: int, image_size: tuple[int, int]) -> LayerInfo:
    """Facts about one module from the shape of its output."""
    shape = output if isinstance(output, tuple) else None
    grid = _grid(shape, image_size) if shape else None
    stride = ((image_size[0] / grid[0]) * (image_size[1] / grid[1])) ** 0.5 if grid else None
    return LayerInfo(name, type(module).__name__, shape, grid, stride, calls)


def _grid(shape: tuple[int, ...], image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a map: of channels first or last, the reading whose two strides differ less."""
    if len(shape) != 3 or min(shape) < 1:
        return None
    readings = [(shape[1], shape[2]), (shape[0], shape[1])]
    ratios = [(image_size[0] / h) / (image_size[1] / w) for h, w in readings]
    distances = [max(ratio, 1 / ratio) for ratio in ratios]
    return readings[0] if distances[0] <= distances[1] else readings[1]


def _zero_image(network: nn.Module, image_size: tuple[int, int]) -> Tensor:
    """A batch of one, on the network's device and in its precision."""
    parameter = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.zeros(1, 3, *image_size, device=parameter.device, dtype=parameter.dtype)


@contextmanager
def _observed(
    names: dict[nn.Module, str], calls: "Counter[nn.Module]", outputs: dict[nn.Module, Any]
) -> Iterator[None]:
    """Count the calls of modules and note the shape that each first puts out, without the batch."""

    def enter(module: nn.Module, _: Any) -> None:
        calls[module] += 1

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        outputs.setdefault(module, tuple(output.shape[1:]) if isinstance(output, Tensor) else None)

    handles = [h for m in names for h in (m.register_forward_pre_hook(enter), m.register_forward_hook(leave))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, then each module's own mode again."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode
