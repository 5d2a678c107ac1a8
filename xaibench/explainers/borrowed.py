"""A network lent to a computation and given back as it was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Modes and flags belong to the network, not to a thread: two borrowers at a time would restore each other's.
# Re-entrant, so that what runs inside may borrow again.
_ONE_BORROWER = threading.RLock()


@contextmanager
def borrowed(network: nn.Module) -> Iterator[None]:
    """Evaluate `network` without parameter gradients; restore everything afterwards, also after an exception.

    Inside, every module is in evaluation mode and no parameter requires a gradient. Train or eval mode of
    every single module and every ``requires_grad`` flag are put back. One thread borrows at a time.
    """
    with _ONE_BORROWER:
        training = [module for module in network.modules() if module.training]
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        try:
            for module in training:
                module.training = False
            for parameter in learning:
                parameter.requires_grad_(False)
            yield
        finally:
            for module in training:
                module.training = True
            for parameter in learning:
                parameter.requires_grad_(True)


@contextmanager
def random_state_restored(device: torch.device) -> Iterator[None]:
    """Put torch's global random state, on the CPU and on `device`, back to what it was."""
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``.

    Hooks do not run reliably inside compiled or replicated networks, so the original is run, eagerly and on one
    device. Layer names are the original's, without ``module.`` or ``_orig_mod.``.

    Raises
    ------
    TypeError
        If the network can run in no other way than compiled.
    """
    while True:
        if isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            break
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError("model is a TorchScript module, whose layers cannot be hooked; pass the original nn.Module")
    if any(getattr(module, "_compiled_call_impl", None) is not None for module in model.modules()):
        raise TypeError(
            "model was compiled in place by `module.compile()`, which hides its layers; pass a network that was not, "
            "or use `torch.compile(model)`, which keeps the original"
        )
    return model
