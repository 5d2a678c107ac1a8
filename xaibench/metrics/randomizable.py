"""Which networks can have their parameters replaced, and clear words for those that cannot."""

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

_OLD_PARAMETRIZATIONS = ("WeightNorm", "SpectralNorm")


def check_randomizable(network: nn.Module) -> None:
    """Raise a `ValueError` naming the first module whose weights cannot be replaced, why, and what to do about it.

    Frozen parameters (`requires_grad` False) and tensors shared by several modules are fine.
    """
    for name, module in network.named_modules():
        problem = _problem(module)
        if problem:
            raise ValueError(
                f"cannot randomize module {name or '(the network itself)'!r} ({type(module).__name__}): {problem}"
            )
    if not any(True for _ in network.parameters()):
        raise ValueError(f"cannot randomize {type(network).__name__}: it has no parameters")


def _problem(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "it is scripted or traced, so its layers cannot be told apart; pass the original nn.Module"
    if "quantized" in type(module).__module__.split(".") or hasattr(module, "_packed_params"):
        return "its weights are quantized; pass the network from before quantization"
    if torch.nn.utils.parametrize.is_parametrized(module):
        return (
            "its weights are computed from others (torch.nn.utils.parametrize), so new ones would not stay; call "
            "torch.nn.utils.parametrize.remove_parametrizations first"
        )
    if any(type(hook).__name__ in _OLD_PARAMETRIZATIONS for hook in module._forward_pre_hooks.values()):
        return "its weight is recomputed by weight_norm or spectral_norm at every call; remove that first"
    return next(filter(None, map(_tensor_problem, module._parameters.items())), "")


def _tensor_problem(item: tuple[str, nn.Parameter | None]) -> str:
    name, parameter = item
    if isinstance(parameter, UninitializedParameter):
        return f"its parameter {name!r} is not initialized yet; run the network once"
    if parameter is not None and not parameter.is_floating_point():
        return f"its parameter {name!r} holds {parameter.dtype}: quantized? Pass a network of floating-point numbers"
    return ""
