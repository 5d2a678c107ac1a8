"""Weights from a local file, without running pickled code; and the digest that names them."""

import hashlib
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")
"""Keys under which training scripts store the state dict beside optimizers and epochs."""
PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What `DataParallel`, `torch.compile` and training frameworks put before every name."""
SHOWN = 4


class UnusableWeights(ValueError):
    """A weights file is missing, corrupt, unsafe or made for another network; the message says which."""


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the named tensors in a file, onto the CPU, without running any code that it holds.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, or what ``torch.save`` wrote of a state dict (``.pth``, ``.pt``, any other suffix),
        bare or under one of the keys in `WRAPPERS`.

    Returns
    -------
    dict from str to Tensor
        Names as in the file.

    Raises
    ------
    UnusableWeights
        If there is no such file, it is corrupt or truncated, holds pickled objects, or something else than tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UnusableWeights(f"weights file {file} does not exist{_files_beside(file)}")
    loaded = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    return _unwrapped(loaded, file)


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Fill a network with the weights in a local file, in place.

    Parameters
    ----------
    network : nn.Module
        All its parameters and buffers must be in the file, and nothing else.
    path : path
        See `read_state_dict`.

    Raises
    ------
    UnusableWeights
        If the file cannot be read, or its names or shapes are not the network's; the network is then unchanged.
    """
    fit_weights(network, read_state_dict(path), Path(path).name)


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Fill a network with named tensors, in place; `source` names them in errors.

    A prefix common to all names (see `PREFIXES`) is dropped when the network does not have it.

    Raises
    ------
    UnusableWeights
        If names or shapes are not the network's; the network is then unchanged.
    """
    own = network.state_dict()
    state = without_prefix(state, own)
    problems = _shape_problems(state, own)
    if not problems:
        before = {name: tensor.clone() for name, tensor in own.items()}
        try:
            _fill(network, state, getattr(own, "_metadata", None))
            return
        except RuntimeError:  # strictness is torch's business: it knows names that older versions lacked
            network.load_state_dict(before, strict=False)
        problems = _name_problems(state, own)
    raise UnusableWeights(f"{source} does not fit {type(network).__name__}: {'; '.join(problems)}")


def without_prefix(state: Mapping[str, Tensor], own: Iterable[str]) -> Mapping[str, Tensor]:
    """Drop what a wrapper has put before every name, as long as no name is one of the network's `own`."""
    names = set(own)
    while state and not names & state.keys():
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def digest(network: nn.Module) -> str:
    """SHA-256 hex digest over names, types, shapes and bytes of all parameters and buffers, persistent or not.

    The memory format and the device do not matter.
    """
    sha = hashlib.sha256()
    tensors = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(flat.view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _fill(network: nn.Module, state: Mapping[str, Tensor], metadata: Any) -> None:
    """Load strictly; where a module insists on knowing its format's version and the file has none, it is today's."""
    try:
        network.load_state_dict(state, strict=True)
    except ValueError:  # MNASNet's, of a state dict without versions, as in safetensors
        versioned = OrderedDict(state)
        versioned._metadata = metadata  # type: ignore[attr-defined]
        network.load_state_dict(versioned, strict=True)


def _read_safetensors(file: Path) -> Any:
    """All tensors of a safetensors file."""
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise UnusableWeights(f"{file} is corrupt or truncated ({error}); copy it again") from error


def _read_torch(file: Path) -> Any:
    """Whatever `torch.save` wrote, as far as it is tensors and plain containers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of TorchScript archives, then raises
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles end in KeyError, EOFError, IndexError, UnicodeDecodeError, …
        if isinstance(error, pickle.UnpicklingError | RuntimeError) and _is_refusal(str(error)):
            raise UnusableWeights(
                f"{file} holds pickled Python objects, which are not loaded as they can run any code; where you trust "
                "it, load it yourself and save the tensors alone: torch.save(model.state_dict(), 'weights.pth')"
            ) from error
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise UnusableWeights(
            f"{file} is no weights file, or corrupt or truncated ({reason}); copy it again"
        ) from error


def _is_refusal(message: str) -> bool:
    """Whether torch refused to build objects, as opposed to not understanding the file."""
    return any(sign in message for sign in ("Unsupported global", "Unsupported class", "TorchScript", "not allowed"))


def _unwrapped(loaded: Any, file: Path) -> Any:
    """The state dict itself, out of a checkpoint."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if isinstance(loaded, Mapping) and loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        return loaded  # as it is, for an OrderedDict carries the versions of its modules' formats
    held = f"a dict with {', '.join(map(str, list(loaded)[:SHOWN]))}" if isinstance(loaded, Mapping) and loaded else ""
    raise UnusableWeights(
        f"{file} holds {held or f'an empty or foreign {type(loaded).__name__}'}; expected a state dict (names to "
        f"tensors), bare or under one of {', '.join(WRAPPERS)}"
    )


def _shape_problems(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Names that both have with different shapes, in words."""
    wrong = [
        f"{name} is {tuple(state[name].shape)} in the file, {tuple(own[name].shape)} in the network"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    more = [f"and {len(wrong) - SHOWN} more shapes"] if len(wrong) > SHOWN else []
    return wrong[:SHOWN] + more


def _name_problems(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Names that only one of the two has, in words, the first with their nearest relatives."""
    missing = [name for name in own if name not in state]
    surplus = [name for name in state if name not in own]
    words = []
    for kind, names, others in (("lacks", missing, surplus), ("has unknown", surplus, missing)):
        shown = [f"{name}{_nearest(name, others)}" for name in names[:SHOWN]]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        if shown:
            words.append(f"it {kind} {', '.join(shown)}{more}")
    return words or ["its tensors are not those of the network"]


def _nearest(name: str, others: list[str]) -> str:
    """The most similar of the other side's unmatched names, in brackets."""
    near = get_close_matches(name, others[:1000], n=1, cutoff=0.7)
    return f" (nearest: {near[0]})" if near else ""


def _files_beside(file: Path) -> str:
    """What could have been meant instead of a missing file."""
    if not file.parent.is_dir():
        return f"; nor does its folder {file.parent}"
    near = get_close_matches(file.name, [other.name for other in file.parent.iterdir()], n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; put it into {file.parent} or give its full path"
