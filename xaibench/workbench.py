"""Everything an experiment works with, made from settings and checked before any work starts."""

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import nn

from xaibench.controls import check_controls
from xaibench.data.catalogue import DATA
from xaibench.data.samples import Dataset
from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import activations_of
from xaibench.explainers.catalogue import CONTROLS, EXPLAINERS
from xaibench.explainers.corrupted import Corrupted
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.guided import GuidedBackprop, GuidedGradCAM
from xaibench.explainers.targets import TARGET_RULES
from xaibench.leaves import arguments_of, made, metric_of, needs_run, picked, sanity_of, with_run
from xaibench.metrics.batch_size import fastest_batch_size
from xaibench.metrics.inference import Inference
from xaibench.metrics.schemes import seed_of
from xaibench.models.checks import PROBE_SIZE, check_classifier
from xaibench.models.classifier import Classifier
from xaibench.models.layers import resolve_layers
from xaibench.models.zoo import load_model
from xaibench.names import pick, unknown
from xaibench.settings import RunSettings
from xaibench.timing.catalogue import TIMINGS
from xaibench.timing.explanation_path import ExplanationPath
from xaibench.timing.grid import TimingGrid

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """A sanity check and who has to undergo it.

    Attributes
    ----------
    settings
        Object of a class in `SANITY`; each has `seeds`, `n_images`, `rectify` and `defining`.
    explainers : dict of Explainer
        Those of the run that take part.
    """

    settings: Any
    explainers: Mapping[str, Explainer]


@dataclass(frozen=True, eq=False)
class Workbench:
    """What the shards of a run use.

    Attributes
    ----------
    settings : RunSettings
        As given.
    classifier : Classifier
        On the run's device.
    fast : nn.Module
        The network where no gradient is wanted: a copy as the settings' `inference` says, or the network itself.
    batch_size : int
        As in the settings, or the fastest.
    dataset : Dataset
    layers : tuple of str
        Dotted names, in the order asked for.
    explainers : dict of Explainer
        By the name under which they are recorded.
    metrics : dict
        Settings objects of `METRICS`, likewise.
    sanity : dict of SanityCheck
        Likewise.
    timing : ExplanationPath, TimingGrid or None
    labels_fit : bool
        Whether the data's labels are the model's classes.
    """

    settings: RunSettings
    classifier: Classifier
    fast: nn.Module
    batch_size: int
    dataset: Dataset
    layers: tuple[str, ...]
    explainers: Mapping[str, Explainer]
    metrics: Mapping[str, Any]
    sanity: Mapping[str, SanityCheck]
    timing: ExplanationPath | TimingGrid | None
    labels_fit: bool

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.classifier.device

    @property
    def visits(self) -> Sequence[int]:
        """Indices of the data set in the order in which they are used: at random where a run may end early.

        A folder sorted by class would otherwise be judged by its first classes.
        """
        n = len(self.dataset)
        if self.settings.stop_when is None:
            return range(n)
        rng = np.random.default_rng(seed_of(self.settings.seed, "order of images"))
        return tuple(rng.permutation(n).tolist())


def set_up(settings: RunSettings) -> Workbench:
    """Load and check everything that the settings name.

    Raises
    ------
    ValueError
        For the first setting that does not fit, naming it, what came, what was expected, and near names.
    """
    device = _device(settings.device)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    _check_sizes(settings)
    inference = made(Inference, "inference", settings.inference) if settings.inference else None
    if inference is not None:
        inference.check(device)
    # settings that need no model are checked first: they cost nothing
    metrics = {key: None if needs_run(leaf) else metric_of(key, leaf) for key, leaf in settings.metric.items()}
    checks = {key: sanity_of(key, leaf) for key, leaf in settings.sanity.items()}
    timing = _timing(settings.timing) if settings.timing else None
    data_kind = picked("data", settings.data, DATA)

    classifier = load_classifier(settings, device)
    layers = tuple(_resolved(classifier, settings.layers))
    explainers = {key: _explainer(classifier, key, settings.explainer) for key in settings.explainer}
    if not explainers:
        raise ValueError("no explainer is chosen; for example explainer=[grad_cam,sobel]")
    sanity = {
        key: SanityCheck(check, _taking_part(key, settings.sanity[key], explainers)) for key, check in checks.items()
    }
    classes = check_classifier(classifier)
    _check_layers(classifier, explainers)
    dataset = _dataset(data_kind, settings.data, classifier)
    check_controls(explainers, sanity, metrics, dataset)
    for key, leaf in settings.metric.items():
        if metrics[key] is None:
            metrics[key] = metric_of(key, with_run(leaf, classifier, dataset))
    labels_fit = _labels_fit(dataset, classifier, classes)
    _check_target(settings.target, classes, labels_fit)
    fast = _fast(classifier, inference)
    size = fastest_batch_size(fast, _blank(classifier)) if settings.batch_size == "auto" else settings.batch_size
    return Workbench(settings, classifier, fast, size, dataset, layers, explainers, metrics, sanity, timing, labels_fit)


def load_classifier(settings: RunSettings, device: torch.device | None = None) -> Classifier:
    """Load the model that the settings name."""
    arguments = {key: value for key, value in settings.model.items() if key != "name" and value is not None}
    name = settings.model["name"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return made(load_model, f"model={name}", {"name": name, **arguments, "device": device or "cpu"})


def _timing(leaf: Mapping[str, Any]) -> ExplanationPath | TimingGrid:
    kind = picked("timing", leaf, TIMINGS)
    timing: ExplanationPath | TimingGrid = made(kind, "timing", arguments_of(leaf))
    return timing


def _check_sizes(settings: RunSettings) -> None:
    for name in ("batch_size", "shard_size"):
        size = getattr(settings, name)
        if name == "batch_size" and size == "auto":
            continue
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be at least 1{', or auto' if name == 'batch_size' else ''}; got {size!r}")


def _blank(classifier: Classifier) -> torch.Tensor:
    """Return a black image of the size that the network will see."""
    height, width = classifier.preprocessing.image_size or PROBE_SIZE
    return torch.zeros(3, height, width, device=classifier.device)


def _fast(classifier: Classifier, inference: Inference | None) -> nn.Module:
    """Copy the network for inference; one that cannot be copied is run as it is."""
    if inference is None:
        return classifier.network
    try:
        return inference(classifier.network, image=_blank(classifier))
    except (TypeError, copy.Error, NotImplementedError) as error:
        _log.warning("the network is run as it is, as it cannot be copied: %s", error)
        return classifier.network


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N; got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={name} was asked for, but there is no CUDA device here; use device=auto or device=cpu"
        )
    return device


def _taking_part(key: str, leaf: Mapping[str, Any], explainers: Mapping[str, Explainer]) -> dict[str, Explainer]:
    """Choose the explainers that `sanity.KEY.explainers` names; all of the run where it names none."""
    names = leaf.get("explainers") or explainers
    return {name: pick(f"explainer in sanity.{key}.explainers", name, explainers) for name in names}


def _explainer(classifier: Classifier, key: str, leaves: Mapping[str, Mapping[str, Any]]) -> Explainer:
    """Make the explainer recorded as `key`; a corrupted one names another of `leaves` whose maps it takes."""
    kind = picked("explainer", leaves[key], EXPLAINERS | CONTROLS)
    arguments = arguments_of(leaves[key])
    if kind is Corrupted:
        others = {name: name for name, leaf in leaves.items() if leaf.get("name") != Corrupted.name}
        of = pick(f"explainer in explainer.{key}.of", arguments.pop("of", "nothing"), others)
        arguments["explainer"] = _explainer(classifier, of, leaves)
    if "layers" in arguments:
        arguments["layers"] = tuple(_resolved(classifier, arguments["layers"]))
    return made(kind, f"explainer.{key}", arguments)


def _resolved(classifier: Classifier, layers: Any) -> list[str]:
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers is empty; name some, such as layers=[layer4.2], or a group: layers=stages")
    size = classifier.preprocessing.image_size
    return resolve_layers(classifier.network, names, *([size] if size else []))


def _check_layers(classifier: Classifier, explainers: Mapping[str, Explainer]) -> None:
    """See on one image that every layer asked for puts out maps, once, and that there is something to guide."""
    image = _blank(classifier)[None]
    for explainer in explainers.values():
        if isinstance(explainer, CAM):
            activations_of(classifier.network, image, explainer.layers, token_grid=explainer.token_grid)
        elif isinstance(explainer, GuidedBackprop | GuidedGradCAM):  # need ReLUs, besides
            explainer.maps(classifier.network, image, torch.zeros(1, dtype=torch.int64, device=image.device))


def _dataset(kind: Any, leaf: Mapping[str, Any], classifier: Classifier) -> Dataset:
    arguments = arguments_of(leaf)
    takes_categories = "categories" in {field.name for field in fields(kind)}
    if takes_categories and arguments.get("categories") is None and classifier.categories:
        arguments["categories"] = classifier.categories
    dataset = made(kind, f"data={leaf['name']}", arguments)
    if len(dataset) == 0:
        raise ValueError(f"data={leaf['name']} holds no image")
    return dataset


def _labels_fit(dataset: Dataset, classifier: Classifier, classes: int) -> bool:
    """Whether the data's labels are this model's classes: the same names, or as many where names are unknown."""
    if not dataset.categories:
        return True
    if classifier.categories:
        return tuple(dataset.categories) == tuple(classifier.categories)
    return len(dataset.categories) <= classes


def _check_target(target: Any, classes: int, labels_fit: bool) -> None:
    if isinstance(target, str) and target not in TARGET_RULES:
        raise unknown("target", target, [*TARGET_RULES, f"a class index from 0 to {classes - 1}"])
    if isinstance(target, int) and not 0 <= target < classes:
        raise ValueError(f"target={target} is out of range: the model has classes 0 to {classes - 1}")
    if target == "label" and not labels_fit:
        raise ValueError("target=label, but the data's categories are not the model's; use target=predicted")
