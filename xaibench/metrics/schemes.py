"""Schemes of parameter randomization: what a parameter is replaced by.

A scheme is a function of one module that returns new values for the parameters which that module owns itself. Each
draw depends only on the seed and the parameter's (or module's) dotted name: the same layer gets the same new weights
in every order and at every granularity, equal-shaped layers get different ones, and a device draws what the CPU draws.

``initialization``
    The module's own ``reset_parameters`` (``_reset_parameters`` in attention). Normalizations are thereby set to scale
    1 and shift 0, which is no draw: all seeds agree there. Parameters whose module has no such method (class tokens,
    position embeddings, layer scales, bias tables) get a normal of their own mean and standard deviation, cut at two
    deviations; if they are constant, one of mean 0 and deviation 0.02, with which vision transformers initialize them.
``truncated_normal``
    Mean 0, deviation 0.01, cut at two deviations: the paper's [1]_.
``matched_normal``
    Normal of the tensor's own mean and (population) standard deviation.
``permutation``
    The tensor's own entries in random order.

A tensor of equal entries, such as untrained biases, is what it was under the last two; a freshly initialized
normalization is what it was under the first. `Randomization.unchanged` names such tensors.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

Scheme = Literal["initialization", "truncated_normal", "matched_normal", "permutation"]
Draw = Callable[[nn.Module, str, int], dict[str, Tensor]]

PAPER_DEVIATION = 0.01
TOKEN_DEVIATION = 0.02


def seed_of(seed: int, *names: object) -> int:
    """Derive an independent seed (63 bits) for whatever is called `names` in a run seeded `seed`."""
    text = "\0".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def draw(scheme: Draw, module: nn.Module, name: str, seed: int) -> dict[str, Tensor]:
    """Draw new values for the parameters that `module` owns itself; the module and global random states stay as they
    are.

    Parameters
    ----------
    scheme : callable
        An entry of `SCHEMES`.
    module : nn.Module
        The parameters' owner.
    name : str
        Its dotted name in the network; part of the seed.
    seed : int
        The run's seed.

    Returns
    -------
    dict of str to Tensor
        New values on the CPU by the parameter's name within the module, in its dtype.
    """
    with torch.no_grad():
        return scheme(module, name, seed)


def _by_own_method(module: nn.Module, name: str, seed: int) -> dict[str, Tensor]:
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if reset is None:
        return _each(_like_tokens)(module, name, seed)
    with _lent_copies(module), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(seed, name))
        reset()
        return {key: tensor.detach().clone() for key, tensor in _own(module).items()}


@contextmanager
def _lent_copies(module: nn.Module) -> Iterator[None]:
    """Put CPU copies in the places of all tensors in a module and below it for a while."""
    places: list[dict[str, Any]] = [place for m in module.modules() for place in (m._parameters, m._buffers)]
    lent = [(place, key, tensor) for place in places for key, tensor in place.items()]
    try:
        for place, key, tensor in lent:
            place[key] = _copy(tensor)
        yield
    finally:
        for place, key, tensor in lent:
            place[key] = tensor


def _copy(tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    copy = tensor.detach().cpu().clone()
    return nn.Parameter(copy, requires_grad=False) if isinstance(tensor, nn.Parameter) else copy


def _own(module: nn.Module) -> Mapping[str, Tensor]:
    return {key: tensor for key, tensor in module._parameters.items() if tensor is not None}


def _each(rule: Callable[[Tensor, torch.Generator], Tensor]) -> Draw:
    """Make a scheme of a rule that treats every tensor for itself."""

    def scheme(module: nn.Module, name: str, seed: int) -> dict[str, Tensor]:
        new = {}
        for key, tensor in _own(module).items():
            generator = torch.Generator().manual_seed(seed_of(seed, name, key))
            new[key] = rule(tensor.detach().cpu(), generator).to(tensor.dtype)
        return new

    return scheme


def _like_tokens(tensor: Tensor, generator: torch.Generator) -> Tensor:
    wide = tensor.double()
    if _constant(wide):
        return _truncated(tensor, 0.0, TOKEN_DEVIATION, generator)
    return _truncated(tensor, wide.mean().item(), wide.std(correction=0).item(), generator)


def _paper(tensor: Tensor, generator: torch.Generator) -> Tensor:
    return _truncated(tensor, 0.0, PAPER_DEVIATION, generator)


def _matched(tensor: Tensor, generator: torch.Generator) -> Tensor:
    wide = tensor.double()
    if _constant(wide):
        return tensor.clone()
    noise = torch.randn(tensor.shape, generator=generator)
    return noise.mul_(wide.std(correction=0).item()).add_(wide.mean().item())


def _permuted(tensor: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(tensor.numel(), generator=generator)
    return tensor.reshape(-1)[order].reshape(tensor.shape)


def _truncated(tensor: Tensor, mean: float, deviation: float, generator: torch.Generator) -> Tensor:
    empty = torch.empty(tensor.shape, dtype=torch.float32)
    low, high = mean - 2 * deviation, mean + 2 * deviation
    return nn.init.trunc_normal_(empty, mean, deviation, low, high, generator=generator)


def _constant(tensor: Tensor) -> bool:
    return tensor.numel() < 2 or bool((tensor == tensor.reshape(-1)[0]).all())


SCHEMES: dict[str, Draw] = {
    "initialization": _by_own_method,
    "truncated_normal": _each(_paper),
    "matched_normal": _each(_matched),
    "permutation": _each(_permuted),
}
