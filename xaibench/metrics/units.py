"""Units of parameter randomization: a partition of all parameters of any network, in execution order.

A cascade replaces the parameters of one unit after the other. Every parameter belongs to exactly one unit, also those
that no layer's ``reset_parameters`` reaches: attention's projections, class tokens, position embeddings, layer scales,
bias tables. Three granularities:

``module``
    Each module that owns parameters (or running statistics) itself is a unit under its own name.
``block``
    Plain containers are opened, other modules are one unit each: residual blocks, transformer blocks, a convolution
    with its normalization. A module of another kind is opened, too, if below it a container holds two or more blocks
    of one class. Layers outside any block are units of their own, together with the normalization that follows in the
    same container; what lies before the first block is the ``stem``. ResNet-50: ``stem``, ``layer1.0`` … ``layer4.2``,
    ``fc``.
``stage``
    Neighbouring blocks that fill one container are fused under its name; the rest stays as it is. ResNet-50: ``stem``,
    ``layer1`` … ``layer4``, ``fc``.

Order of execution is measured: one image is sent through the network. A module that is never called itself, because its
parent uses its weights, comes right after that parent.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, random_state_restored, unwrapped
from xaibench.metrics.randomizable import check_randomizable
from xaibench.names import unknown

Granularity = Literal["module", "block", "stage"]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Unit:
    """What one step of a randomization replaces.

    Attributes
    ----------
    name : str
        Module or container name; ``stem`` for what lies before the first block.
    parameters : tuple of str
        Dotted names, as in `named_parameters`; a tensor shared by several modules has one name and one unit: those of
        its first user.
    buffers : tuple of str
        Dotted names of the running statistics that belong to the unit's normalizations.
    """

    name: str
    parameters: tuple[str, ...]
    buffers: tuple[str, ...] = ()


class Coverage(NamedTuple):
    """Shares of a network's numbers that lie in some unit, in [0, 1]; NaN where the network has none of the kind."""

    parameters: float
    buffers: float


@dataclass(frozen=True)
class _Owner:
    name: str
    module: nn.Module
    block: str | None  # name of the closed module around it, None for a loose layer
    parent: str


def randomization_units(
    network: nn.Module, images: Float[Tensor, "B C H W"], *, granularity: Granularity = "block"
) -> list[Unit]:
    """Divide all parameters of a network into units, in the order of execution (input side first).

    Parameters
    ----------
    network : nn.Module
        Any network; wrappers (`nn.DataParallel`, a compiled model) are looked through. The meta device is fine.
    images : Tensor, shape (B, C, H, W)
        Only the first is used, to see the order of execution; values do not matter, shape and device do.
    granularity : {"block", "module", "stage"}
        See the module's documentation.

    Raises
    ------
    ValueError
        If the network's weights cannot be replaced (parametrized, quantized, lazy, scripted); see `check_randomizable`.
    """
    if granularity not in get_args(Granularity):
        raise unknown("granularity", granularity, get_args(Granularity))
    network = unwrapped(network)
    check_randomizable(network)
    owners = _owners(network, _first_calls(network, images[:1]))
    group = {"module": _by_module, "block": _by_block, "stage": _by_stage}[granularity]
    return _units(network, owners, group(network, owners))


def coverage(network: nn.Module, units: Iterable[Unit]) -> Coverage:
    """Measure which share of all parameters and of all buffers lies in `units`, counted in numbers, not tensors."""
    network, units = unwrapped(network), list(units)
    parameters = {name for unit in units for name in unit.parameters}
    buffers = {name for unit in units for name in unit.buffers}
    return Coverage(
        _share(dict(network.named_parameters()), parameters),
        _share(dict(network.named_buffers()), buffers),
    )


def _share(tensors: dict[str, Tensor], names: set[str]) -> float:
    total = sum(tensor.numel() for tensor in tensors.values())
    reached = sum(tensor.numel() for name, tensor in tensors.items() if name in names)
    return reached / total if total else math.nan


def running_statistics(module: nn.Module) -> list[str]:
    """Name the buffers in which a normalization keeps statistics of its inputs."""
    names = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in names if module._buffers.get(name) is not None]


def _first_calls(network: nn.Module, image: Tensor) -> dict[nn.Module, int]:
    order: dict[nn.Module, int] = {}

    def note(module: nn.Module, _inputs: object) -> None:
        order.setdefault(module, len(order))

    with borrowed(network), random_state_restored(image.device), _hooked(network, note), torch.no_grad():
        network(image)
    return order


@contextmanager
def _hooked(network: nn.Module, hook: Callable[[nn.Module, object], None]) -> Iterator[None]:
    handles = [module.register_forward_pre_hook(hook) for module in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _owners(network: nn.Module, calls: dict[nn.Module, int]) -> list[_Owner]:
    """List the modules that own parameters or running statistics, in the order of their first call."""
    found: list[tuple[int, int, _Owner]] = []
    for position, (name, module) in enumerate(network.named_modules()):
        if not (any(p is not None for p in module._parameters.values()) or running_statistics(module)):
            continue
        called = max(calls.get(network.get_submodule(ancestor), -1) for ancestor in _ancestry(name))
        owner = _Owner(name, module, _block_of(network, name), name.rpartition(".")[0])
        found.append((called, position, owner))
    return [owner for *_, owner in sorted(found, key=lambda item: item[:2])]


def _ancestry(name: str) -> list[str]:
    """List a dotted name's ancestors from the root ("") to itself."""
    parts = name.split(".") if name else []
    return [".".join(parts[:n]) for n in range(len(parts) + 1)]


def _block_of(network: nn.Module, name: str) -> str | None:
    for ancestor in _ancestry(name)[1:]:
        module = network.get_submodule(ancestor)
        if any(True for _ in module.children()) and not _opens(module):
            return ancestor
    return None


def _opens(module: nn.Module) -> bool:
    """Whether blocks are to be looked for inside a module."""
    if type(module) is nn.Sequential or isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return True
    return any(_repeats_blocks(inner) for inner in module.modules() if isinstance(inner, CONTAINERS))


def _repeats_blocks(container: nn.Module) -> bool:
    kinds = [type(child) for child in container.children() if _is_block(child)]
    return len(kinds) > len(set(kinds))


def _is_block(module: nn.Module) -> bool:
    weights = sum(parameter.ndim > 1 for parameter in module.parameters())
    return not isinstance(module, CONTAINERS) and any(True for _ in module.children()) and weights > 1


def _by_module(_network: nn.Module, owners: list[_Owner]) -> list[str]:
    return [owner.name or "+".join(owner.module._parameters) for owner in owners]


def _by_block(_network: nn.Module, owners: list[_Owner]) -> list[str]:
    first = next((i for i, owner in enumerate(owners) if owner.block is not None), 0)
    names = ["stem"] * first
    for position in range(first, len(owners)):
        before = owners[position - 1] if position > first else None
        names.append(owners[position].block or _loose_name(owners[position], before, names))
    return names


def _loose_name(owner: _Owner, before: _Owner | None, names: list[str]) -> str:
    joins = before is not None and before.block is None and before.parent == owner.parent and _only_scales(owner.module)
    if joins:
        return names[-1]
    return owner.name or "+".join(owner.module._parameters)


def _only_scales(module: nn.Module) -> bool:
    """Whether a module is a normalization or the like: no weight of two or more dimensions."""
    return all(parameter.ndim < 2 for parameter in module.parameters())


def _by_stage(network: nn.Module, owners: list[_Owner]) -> list[str]:
    names = _by_block(network, owners)
    stages = []
    for name, owner in zip(names, owners, strict=True):
        container = (owner.block or owner.name).rpartition(".")[0]
        fused = name != "stem" and container and not _holds_opened(network.get_submodule(container))
        stages.append(container if fused else name)
    return stages


def _holds_opened(container: nn.Module) -> bool:
    return any(_opens(child) and any(True for _ in child.parameters()) for child in container.children())


def _units(network: nn.Module, owners: list[_Owner], names: list[str]) -> list[Unit]:
    parameters: dict[str, list[str]] = {name: [] for name in names}
    buffers: dict[str, list[str]] = {name: [] for name in names}
    canonical = {id(tensor): name for name, tensor in network.named_parameters()}
    for name, owner in zip(names, owners, strict=True):
        prefix = f"{owner.name}." if owner.name else ""
        for tensor in owner.module._parameters.values():
            if tensor is not None and id(tensor) in canonical:
                parameters[name].append(canonical.pop(id(tensor)))
        buffers[name] += [prefix + buffer for buffer in running_statistics(owner.module)]
    return [Unit(n, tuple(parameters[n]), tuple(buffers[n])) for n in parameters if parameters[n] or buffers[n]]
