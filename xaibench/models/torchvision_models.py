"""Torchvision's classifiers by name, with the weights it lists, a local file's or random ones."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from xaibench.models.preprocessing import Preprocessing
from xaibench.models.weights import UnusableWeights, fit_weights, read_state_dict, without_prefix
from xaibench.names import unknown

FILE_SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt", ".tar", ".th")
RANDOM = "random"
_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


@dataclass(frozen=True)
class Pretrained:
    """A network of torchvision's with what belongs to its weights."""

    network: nn.Module
    preprocessing: Preprocessing
    categories: tuple[str, ...]
    weights: str


def torchvision_names() -> list[str]:
    """Names of all of torchvision's image classifiers."""
    return list_models(module=torchvision.models)


def listed_weights(name: str) -> dict[str, WeightsEnum]:
    """Weights that torchvision lists for a classifier and that classify: by name, the default's last name included."""
    members = get_model_weights(name).__members__
    return {key: entry for key, entry in members.items() if entry.meta.get("categories")}


def build_torchvision(name: str, *, weights: str | Path | None, num_classes: int | None, seed: int) -> Pretrained:
    """Build a classifier and fill it.

    Parameters
    ----------
    name : str
        One of `torchvision_names`.
    weights : str, path or None
        None or "DEFAULT" are the weights that torchvision recommends; else the name of listed weights, "random", or a
        local file. A file that has the name of listed weights is taken for those, with their preprocessing.
    num_classes : int or None
        Only for random weights or a file; None is 1000, or what the file has.
    seed : int
        Of random weights.

    Raises
    ------
    UnknownName
        If there are no such weights.
    UnusableWeights
        If the weights cannot be had, read or fitted.
    """
    listed = listed_weights(name)
    default = listed.get("DEFAULT", next(iter(listed.values())))
    if weights == RANDOM:
        network = _empty(name, {"num_classes": num_classes or 1000} | _random_extras(name), seed)
        return Pretrained(network, Preprocessing.from_torchvision(default.transforms()), (), RANDOM)
    choice = "DEFAULT" if weights is None else str(weights)
    key = choice.rpartition(".")[2]  # "ResNet50_Weights.IMAGENET1K_V1" is how torchvision prints them
    if not isinstance(weights, Path) and key in listed:
        return _from_entry(name, listed[key], num_classes)
    if not isinstance(weights, Path) and not _is_file(choice):
        raise _unknown_weights(name, choice, listed)
    return _from_file(name, Path(choice).expanduser(), default, num_classes)


def _from_entry(name: str, entry: WeightsEnum, num_classes: int | None) -> Pretrained:
    """A classifier with weights that torchvision lists, from its checkpoint folder or downloaded into it."""
    categories = tuple(entry.meta["categories"])
    if num_classes not in (None, len(categories)):
        raise ValueError(f"num_classes is {num_classes}, but {name} {entry.name} has {len(categories)} classes")
    path = checkpoint(name, entry)
    return _filled(name, read_state_dict(path), path.name, entry, entry.name)


def _from_file(name: str, path: Path, default: WeightsEnum, num_classes: int | None) -> Pretrained:
    """A classifier with the weights in a local file, which may have any number of classes."""
    state = read_state_dict(path)
    same = [entry for entry in listed_weights(name).values() if _file_name(entry) == path.name]
    built = _filled(name, state, path.name, (same or [default])[0], path.name)
    classes = len(next(reversed(built.network.state_dict().values())))
    if num_classes not in (None, classes):
        raise UnusableWeights(f"{path.name} has {classes} classes, but num_classes is {num_classes}")
    categories = built.categories if classes == len(built.categories) else ()
    return Pretrained(built.network, built.preprocessing, categories, path.name)


def _filled(name: str, state: Mapping[str, Tensor], source: str, entry: WeightsEnum, label: str) -> Pretrained:
    """Build what torchvision's own builder would for such weights, and fill it."""
    if name.startswith("densenet"):
        state = {_OLD_DENSENET_KEY.sub(r"\1\2", key): tensor for key, tensor in state.items()}
    options = _loading_extras(name, state, entry)
    network = _empty(name, options, seed=0)
    head, tensor = next(reversed(network.state_dict().items()))
    found = without_prefix(state, network.state_dict()).get(head)
    if found is not None and found.dim() and len(found) != len(tensor):
        network = _empty(name, options | {"num_classes": len(found)}, seed=0)
    fit_weights(network, state, source)
    preset = Preprocessing.from_torchvision(entry.transforms())
    return Pretrained(network, preset, tuple(entry.meta["categories"]), label)


def checkpoint(name: str, entry: WeightsEnum) -> Path:
    """Where the file of listed weights lies, downloaded if it was not there and checked against the hash in its name.

    Raises
    ------
    UnusableWeights
        If it cannot be downloaded, or its bytes are not those that its name promises.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / _file_name(entry)
    prefix = _hash_prefix(path.name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(entry.url, str(path), prefix or None, progress=False)
        except (OSError, RuntimeError) as error:  # RuntimeError: a download whose hash is wrong
            raise UnusableWeights(
                f"weights {entry.name} of {name} could not be downloaded ({error}): put the file {path.name} "
                f"(from {entry.url}, SHA-256 beginning {prefix}) into {path.parent}"
            ) from error
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(prefix):
        raise UnusableWeights(
            f"{path} is damaged or another file: its SHA-256 begins with {found[:8]}, not {prefix}; replace it by the "
            f"one from {entry.url}"
        )
    return path


def _empty(name: str, options: dict[str, Any], seed: int) -> nn.Module:
    """The architecture with weights drawn from `seed`; the global generator is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return get_model(name, weights=None, **options)


def _random_extras(name: str) -> dict[str, Any]:
    """What an untrained network needs to be told beside the number of classes: plain logits, and how to begin."""
    return {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}


def _loading_extras(name: str, state: Mapping[str, Tensor], entry: WeightsEnum) -> dict[str, Any]:
    """What torchvision's builders set besides when weights are given."""
    if name in ("googlenet", "inception_v3"):  # auxiliary heads stay silent in evaluation mode
        has_heads = any(".aux1." in f".{key}" or ".AuxLogits." in f".{key}" for key in state)
        return {"transform_input": True, "aux_logits": has_heads, "init_weights": False}
    if name.startswith("vit_"):
        return {"image_size": entry.meta["min_size"][0]}
    return {}


def _file_name(entry: WeightsEnum) -> str:
    """Name of the file that listed weights come in."""
    return PurePosixPath(urlparse(entry.url).path).name


def _hash_prefix(file_name: str) -> str:
    """The first digits of its SHA-256 that torchvision writes into a file's name; "" if none."""
    match = re.search(r"-([0-9a-f]{8,})\.", file_name)
    return match.group(1) if match else ""


def _is_file(choice: str) -> bool:
    """Whether a word can only be meant as a path."""
    return choice.endswith(FILE_SUFFIXES) or "/" in choice or "\\" in choice or Path(choice).is_file()


def _unknown_weights(name: str, choice: str, listed: Mapping[str, WeightsEnum]) -> ValueError:
    """The error for a misspelt name of weights."""
    names = [*dict.fromkeys([*listed, "DEFAULT"]), RANDOM, f"a file ({', '.join(FILE_SUFFIXES[:3])})"]
    return unknown(f"weights of {name}", choice, names)
