"""Replace the parameters of a network unit by unit, and give them back bit for bit.

The values are written into the network's own tensors and the originals written back at the end, also after an
exception, so that nothing needs to be deep-copied, tied weights stay tied and wrappers around the network see the
change. `requires_grad`, training mode and global random states are not touched.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xaibench.explainers.borrowed import unwrapped
from xaibench.metrics.batch_norm import BatchNorm, reestimate_statistics, reset_statistics
from xaibench.metrics.randomizable import check_randomizable
from xaibench.metrics.schemes import SCHEMES, Draw, Scheme, draw
from xaibench.metrics.units import Unit
from xaibench.names import pick, unknown

Order = Literal["top_down", "bottom_up", "independent"]


@dataclass(frozen=True)
class Randomization:
    """What a randomization did.

    Attributes
    ----------
    changed, unchanged : tuple of str
        Dotted names of the units' parameters that differ in at least one entry from what they were, and of those that
        do not (a permuted constant, a normalization at its initial values).
    """

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


class Step(NamedTuple):
    """One step of a cascade.

    Attributes
    ----------
    number : int
        How many steps were taken; 0 is the trained network.
    unit : Unit or None
        What was randomized last; None at step 0.
    network : nn.Module
        The very network that came in, in this step's state until the next step is asked for.
    randomized : tuple of Unit
        All units that differ from the trained network's in this step.
    unchanged : tuple of str
        Parameters of `unit` that the scheme left as they were.
    """

    number: int
    unit: Unit | None
    network: nn.Module
    randomized: tuple[Unit, ...] = ()
    unchanged: tuple[str, ...] = ()


@contextmanager
def randomized(
    network: nn.Module,
    units: Unit | Iterable[Unit],
    *,
    scheme: Scheme = "initialization",
    seed: int,
    batch_norm: BatchNorm = "keep",
    images: Float[Tensor, "B C H W"] | None = None,
) -> Iterator[Randomization]:
    """Randomize some units of a network inside a ``with`` block; afterwards it is bit for bit what it was.

    Parameters
    ----------
    network : nn.Module
        Changed in place for the time of the block.
    units : Unit or iterable of Unit
        From `randomization_units`.
    scheme : str
        Name from `SCHEMES`.
    seed : int
        Draws depend on it and on the parameters' names only.
    batch_norm : {"keep", "reset", "reestimate"}
        Running statistics: as trained (the paper's code); mean 0 and variance 1 in the units; or measured anew on
        `images` in every batch norm whose input may have changed.
    images : Tensor, shape (B, C, H, W), optional
        Needed to re-estimate.

    Raises
    ------
    ValueError
        If the network's parameters cannot be replaced, a unit is of another network, or `images` are missing.
    """
    network = unwrapped(network)
    units = (units,) if isinstance(units, Unit) else tuple(units)
    scheme_function = _checked(network, units, scheme, batch_norm, images)
    with _restored(network, units):
        done = _replace(network, units, scheme_function, seed)
        _treat_batch_norm(network, units, batch_norm, images)
        yield done


def cascade(
    network: nn.Module,
    units: Sequence[Unit],
    *,
    order: Order = "top_down",
    scheme: Scheme = "initialization",
    seed: int,
    batch_norm: BatchNorm = "keep",
    images: Float[Tensor, "B C H W"] | None = None,
) -> Generator[Step, None, None]:
    """Randomize one unit after the other; between two steps the network is in the state of the step last given.

    Step 0 is the trained network. The network is as before when the iteration ends, is broken off (an exception in the
    loop's body, the generator's `close`, which `contextlib.closing` makes certain), or fails itself.

    Parameters
    ----------
    network, scheme, seed, batch_norm, images
        As for `randomized`.
    units : sequence of Unit
        In the order of execution, as `randomization_units` gives them.
    order : {"top_down", "bottom_up", "independent"}
        From the output to the input, keeping what was randomized; from the input to the output, likewise; each unit
        alone, from the output on.
    """
    if order not in get_args(Order):
        raise unknown("order", order, get_args(Order))
    bare = unwrapped(network)
    scheme_function = _checked(bare, tuple(units), scheme, batch_norm, images)
    return _steps(network, bare, tuple(units), order, scheme_function, seed, batch_norm, images)


def _steps(
    network: nn.Module,
    bare: nn.Module,
    units: tuple[Unit, ...],
    order: Order,
    scheme: Draw,
    seed: int,
    batch_norm: BatchNorm,
    images: Tensor | None,
) -> Generator[Step, None, None]:
    sequence = units if order == "bottom_up" else units[::-1]
    yield Step(0, None, network)
    if order == "independent":
        for index, unit in enumerate(sequence, start=1):
            with _restored(bare, (unit,)):
                done = _replace(bare, (unit,), scheme, seed)
                _treat_batch_norm(bare, (unit,), batch_norm, images)
                yield Step(index, unit, network, (unit,), done.unchanged)
        return
    with _restored(bare, units):
        for index, unit in enumerate(sequence, start=1):
            done = _replace(bare, (unit,), scheme, seed)
            # statistics that were reset stay so; those measured anew change with every unit
            treated = sequence[:index] if batch_norm == "reestimate" else (unit,)
            _treat_batch_norm(bare, treated, batch_norm, images)
            yield Step(index, unit, network, sequence[:index], done.unchanged)


def _checked(network: nn.Module, units: tuple[Unit, ...], scheme: str, batch_norm: str, images: Tensor | None) -> Draw:
    if batch_norm not in get_args(BatchNorm):
        raise unknown("treatment of batch norm", batch_norm, get_args(BatchNorm))
    if batch_norm == "reestimate" and images is None:
        raise ValueError(
            "batch_norm='reestimate' measures statistics on images: pass images=…, or choose 'keep' or 'reset'"
        )
    check_randomizable(network)
    names = {name for name, _ in network.named_parameters()} | {name for name, _ in network.named_buffers()}
    missing = [name for unit in units for name in (*unit.parameters, *unit.buffers) if name not in names]
    if missing:
        raise ValueError(f"the units are of another network: {type(network).__name__} has no {missing[0]!r}")
    return pick("randomization scheme", scheme, SCHEMES)


@contextmanager
def _restored(network: nn.Module, units: tuple[Unit, ...]) -> Iterator[None]:
    """Write the units' parameters and all buffers back at the end, into the same tensors."""
    parameters = dict(network.named_parameters())
    kept = [parameters[name] for unit in units for name in unit.parameters] + list(network.buffers())
    saved = [(tensor, tensor.detach().clone()) for tensor in kept]
    try:
        yield
    finally:
        for tensor, value in saved:
            tensor.data.copy_(value)  # through .data: graphs held on to elsewhere stay usable


def _replace(network: nn.Module, units: tuple[Unit, ...], scheme: Draw, seed: int) -> Randomization:
    changed: dict[bool, list[str]] = {True: [], False: []}
    for unit in units:
        for owner in dict.fromkeys(name.rpartition(".")[0] for name in unit.parameters):
            for key, value in draw(scheme, network.get_submodule(owner), owner, seed).items():
                name = f"{owner}.{key}" if owner else key
                if name in unit.parameters:
                    tensor = network.get_parameter(name)
                    new = value.to(tensor.device)
                    changed[not torch.equal(tensor, new)].append(name)
                    tensor.data.copy_(new)
    return Randomization(tuple(changed[True]), tuple(changed[False]))


def _treat_batch_norm(
    network: nn.Module, units: tuple[Unit, ...], batch_norm: BatchNorm, images: Tensor | None
) -> None:
    if batch_norm == "reset":
        reset_statistics(network, [name for unit in units for name in unit.buffers])
    elif batch_norm == "reestimate":
        assert images is not None
        touched = {name.rpartition(".")[0] for unit in units for name in unit.parameters}
        reestimate_statistics(network, {network.get_submodule(name) for name in touched}, images)
