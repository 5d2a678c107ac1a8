"""Train a network of the same architecture to know a set of images by heart, whatever their labels.

The data randomization test [1]_ compares the maps of a model with those of a network that was trained on permuted
labels until it knew over 95 % of them. Accuracy is that of the evaluation mode, in which maps are made: a batch norm whose
running statistics lag behind its weights can know every label while training and none when it is explained.

Everything random in an epoch is drawn from (seed, epoch), so that a checkpoint needs no random state, and a killed
training that goes on gives, on a CPU with the same number of threads, the same weights as an undisturbed one.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

import copy
import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from xaibench.explainers.borrowed import unwrapped
from xaibench.metrics.memorizing import Memorizing
from xaibench.metrics.randomizable import check_randomizable
from xaibench.metrics.schemes import SCHEMES, draw, seed_of
from xaibench.metrics.scoring import layout_of
from xaibench.models.weights import digest

_log = logging.getLogger(__name__)
Row = dict[str, float]

CACHE_VARIABLE = "XAIBENCH_CACHE"
"""Environment variable that names the cache's folder."""


@dataclass(frozen=True, eq=False)
class Memorized:
    """What training gave.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode, on the device of the network it was copied from.
    history : tuple of dict
        A row an epoch: ``loss`` (mean over the images, while training), ``accuracy`` (in evaluation mode, after the
        epoch) and ``seconds``.
    accuracy_asked : float
        As in the settings.
    """

    network: nn.Module
    history: tuple[Row, ...]
    accuracy_asked: float

    @property
    def accuracy(self) -> float:
        """Share of the training images that the network has right at the end."""
        return self.history[-1]["accuracy"]

    @property
    def reached(self) -> bool:
        """Whether that is more than was asked."""
        return self.accuracy > self.accuracy_asked

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, whenever they were run."""
        return sum(row["seconds"] for row in self.history)


def memorize(
    network: nn.Module,
    images: Float[Tensor, "N C H W"],
    labels: Int[Tensor, " N"],
    *,
    settings: Memorizing,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, Row], None] | None = None,
) -> Memorized:
    """Train a freshly initialized copy of a network until it knows the images by heart, or go on with it.

    Parameters
    ----------
    network : nn.Module
        Maps images to logits (N, classes). Stays as it is: the copy is initialized anew (`fresh_copy`), all of its
        parameters learn.
    images : Tensor, shape (N, C, H, W)
        As the network wants them; they may lie on another device. At least two.
    labels : Tensor of int, shape (N,)
        Classes to learn, from 0 to the number of logits, exclusive.
    settings : Memorizing
    checkpoint : path, optional
        Written whole after each epoch. A file of the same network, images, labels and settings is gone on with, or
        taken for the result if it is finished; an unreadable one, which is no loss but of time, begins anew.
        `memorized_file` names one in the cache. None keeps nothing.
    progress : callable, optional
        Called after each epoch with its number, from one, and its row of the history.

    Returns
    -------
    Memorized
        Look at `reached`: training also ends after `max_epochs`, or when the loss is no longer finite.

    Raises
    ------
    ValueError
        If the network cannot be copied or its weights be drawn anew, labels do not fit, or the checkpoint is of another
        training.
    """
    copied = fresh_copy(network, seed=settings.seed)
    _check(copied, images, labels)
    images = images.contiguous(memory_format=layout_of(copied))
    training = _Training(copied, images, labels, settings)
    file = None if checkpoint is None else Path(checkpoint)
    key = "" if file is None else _key(copied, images, labels, settings)
    if file is not None:
        training.load(file, key)
    while not training.finished:
        training.epoch()
        if file is not None:
            training.save(file, key)
        if progress is not None:
            progress(len(training.history), training.history[-1])
    return Memorized(copied.eval(), tuple(training.history), settings.accuracy)


def fresh_copy(network: nn.Module, *, seed: int) -> nn.Module:
    """Copy a network with new parameters, of the scheme ``initialization``, and the batch norm statistics of a new layer.

    The copy lies on the same device, in training mode, and all its parameters require gradients.

    Raises
    ------
    ValueError
        If it cannot be copied, or its parameters cannot be replaced (see `check_randomizable`).
    """
    network = unwrapped(network)
    check_randomizable(network)
    try:
        copied = copy.deepcopy(network)
    except Exception as error:  # whatever a user's class raises
        raise ValueError(
            f"data randomization trains a copy, but {type(network).__name__} cannot be copied (copy.deepcopy): {error}"
        ) from error
    for name, module in copied.named_modules():
        if any(parameter is not None for parameter in module._parameters.values()):
            for key, value in draw(SCHEMES["initialization"], module, name, seed).items():
                module._parameters[key].data.copy_(value)
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
    return copied.requires_grad_().train()


def cache_folder() -> Path:
    """Where finished trainings are kept: what the environment variable ``XAIBENCH_CACHE`` says, or ``~/.cache/xaibench``."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/xaibench").expanduser()


def memorized_file(
    network: nn.Module, images: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"], settings: Memorizing
) -> Path:
    """Name the checkpoint in the cache that belongs to a training: of all that decides it but the number of threads.

    That is the network's structure and initial weights, its device, the images, their labels and the settings.
    """
    return (
        cache_folder() / "memorized" / f"{_key(fresh_copy(network, seed=settings.seed), images, labels, settings)}.pt"
    )


def _check(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    if len(images) < 2 or len(labels) != len(images):
        raise ValueError(f"need two images or more and a label for each; got {len(images)} and {len(labels)} labels")
    with torch.no_grad():
        classes = network.eval()(images[:1].to(_device(network))).shape[1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must be the network's classes, 0 to {classes - 1}; got {low} to {high}")


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _key(fresh: nn.Module, images: Tensor, labels: Tensor, settings: Memorizing) -> str:
    sha = hashlib.sha256()
    # what a network prints tells strides, padding and the like, which no tensor's shape does
    for text in (type(fresh).__qualname__, repr(fresh), digest(fresh), _device(fresh).type, str(tuple(images.shape))):
        sha.update(text.encode() + b"\0")
    sha.update(json.dumps(asdict(settings), sort_keys=True).encode())
    for tensor in (images.float(), labels.long()):
        sha.update(tensor.detach().cpu().contiguous().numpy().data)
    return sha.hexdigest()


class _Training:
    """A network on its way, with everything that a checkpoint holds."""

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, settings: Memorizing) -> None:
        self._network, self._images, self._labels, self._settings = network, images, labels, settings
        self._optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self.history: list[Row] = []

    @property
    def finished(self) -> bool:
        """Whether the accuracy is reached, the epochs are over, or the loss is lost."""
        if not self.history:
            return False
        last = self.history[-1]
        known = last["accuracy"] > self._settings.accuracy
        return known or len(self.history) >= self._settings.max_epochs or not math.isfinite(last["loss"])

    def epoch(self) -> None:
        """Go through all images once, then see how many are right."""
        begin = time.perf_counter()
        device = _device(self._network)
        cuda = [device] if device.type == "cuda" else []
        seed = seed_of(self._settings.seed, "epoch", len(self.history))
        order = torch.randperm(len(self._images), generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=cuda):
            torch.default_generator.manual_seed(seed)  # for dropout; torch.manual_seed would seed GPUs not put back
            for gpu in cuda:
                torch.cuda.default_generators[gpu.index].manual_seed(seed)
            self._network.train()
            loss = sum(self._step(part) * len(part) for part in self._parts(order)) / len(order)
        row = {"loss": loss, "accuracy": self._accuracy(), "seconds": time.perf_counter() - begin}
        self.history.append(row)

    def _parts(self, order: Tensor) -> tuple[Tensor, ...]:
        # of nearly equal size: batch norm cannot learn from a single image left over
        return order.tensor_split(math.ceil(len(order) / self._settings.batch_size))

    def _step(self, part: Tensor) -> float:
        device = _device(self._network)
        logits = self._network(self._images[part].to(device))
        loss = functional.cross_entropy(logits, self._labels[part].to(device).long())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def _accuracy(self) -> float:
        self._network.eval()
        device, hits = _device(self._network), 0
        with torch.no_grad():
            parts = zip(self._images.split(128), self._labels.split(128), strict=True)
            for images, labels in parts:
                hits += int((self._network(images.to(device)).argmax(dim=1).cpu() == labels.cpu()).sum())
        return hits / len(self._images)

    def save(self, file: Path, key: str) -> None:
        """Write the checkpoint beside the old one, then put it in its place; a finished one needs no optimizer."""
        state: dict[str, Any] = {"key": key, "history": self.history, "network": self._network.state_dict()}
        if not self.finished:
            state["optimizer"] = self._optimizer.state_dict()
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.{os.getpid()}.part")
        torch.save(state, beside)
        beside.replace(file)

    def load(self, file: Path, key: str) -> None:
        """Take the state in a checkpoint, if there is one."""
        if not file.exists():
            return
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            theirs = state["key"]
        except Exception as error:  # a damaged pickle ends in errors of many kinds
            _log.warning("%s is no readable checkpoint (%s); training begins anew", file, error)
            return
        if theirs != key:
            raise ValueError(
                f"{file} belongs to a training of another network, other images, labels or settings; name another file"
            )
        self._network.load_state_dict(state["network"])
        self.history = state["history"]
        if not self.finished:
            self._optimizer.load_state_dict(state["optimizer"])
