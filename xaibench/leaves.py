"""From a leaf of the configuration, `name` and arguments, to the object that it names."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

from torch import Tensor

from xaibench.data.samples import Dataset, UnreadableImage
from xaibench.metrics.baselines import NEEDED as BASELINES_OF_A_RUN
from xaibench.metrics.baselines import Black
from xaibench.metrics.catalogue import METRICS, SANITY
from xaibench.metrics.curve import CurveMetric
from xaibench.metrics.ordering import Order
from xaibench.metrics.presets import preset_settings
from xaibench.metrics.run_baselines import AnotherImage, DatasetMean, mean_colour
from xaibench.models.classifier import Classifier
from xaibench.names import pick

Leaf = Mapping[str, Any]
Made = TypeVar("Made")

IMAGES_OF_THE_MEAN = 256
"""So many images at the beginning of the data set make its mean colour."""


def made(kind: Callable[..., Made], where: str, arguments: Mapping[str, Any]) -> Made:
    """Call `kind` with settings from `where`; a wrong argument's name or type is told with that place."""
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(f"{where} does not take these settings: {error}") from error


def picked(group: str, leaf: Leaf, table: Mapping[str, Any]) -> Any:
    """Look up the leaf's name."""
    if "name" not in leaf:
        raise ValueError(f"{group} has no name; available: {', '.join(table)}")
    return pick(group, leaf["name"], table)


def arguments_of(leaf: Leaf) -> dict[str, Any]:
    """Everything but the name, lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in leaf.items() if key != "name"}


def metric_of(key: str, leaf: Leaf) -> Any:
    """Make the metric recorded as `key`, from scratch or from a preset; its curves check their own choices."""
    kind = picked("metric", leaf, METRICS)
    arguments = arguments_of(leaf)
    if isinstance(arguments.get("order"), Mapping):
        arguments["order"] = made(Order, f"metric.{key}.order", arguments["order"])
    preset = arguments.pop("preset", None)
    if preset is None:
        metric = made(kind, f"metric.{key}", arguments)
    else:
        metric = made(preset_settings, f"metric.{key}", {"preset": preset, "metric": leaf["name"], **arguments})
    if isinstance(metric, CurveMetric):
        metric.curves(key)
    return metric


def sanity_of(key: str, leaf: Leaf) -> Any:
    """Make the sanity check recorded as `key`; who takes part is not its business."""
    kind = picked("sanity", leaf, SANITY)
    return made(kind, f"sanity.{key}", {k: value for k, value in arguments_of(leaf).items() if k != "explainers"})


def needs_run(leaf: Leaf) -> bool:
    """Whether a metric takes something from the model's preprocessing or from the data."""
    return leaf.get("baseline") in BASELINES_OF_A_RUN or ("mean" in leaf and leaf["mean"] is None)


def with_run(leaf: Leaf, classifier: Classifier, dataset: Dataset) -> dict[str, Any]:
    """Fill in what such a metric needs."""
    preprocessing = classifier.preprocessing
    filled = dict(leaf)
    if "mean" in leaf and leaf["mean"] is None:
        filled |= {"mean": tuple(preprocessing.mean), "std": tuple(preprocessing.std)}
    if leaf.get("baseline") == "black":
        filled["baseline"] = Black(tuple(preprocessing.mean), tuple(preprocessing.std))
    if leaf.get("baseline") == "dataset_mean":
        images = (image for _, image in islice(_images(classifier, dataset), IMAGES_OF_THE_MEAN))
        filled["baseline"] = DatasetMean(mean_colour(images))
    if leaf.get("baseline") == "another_image":
        donors = list(islice(_images(classifier, dataset), 2))
        if len(donors) < 2:
            raise ValueError("baseline=another_image needs a data set of two images that can be read")
        (first, one), (second, other) = donors
        filled["baseline"] = AnotherImage((first, second), (one, other))
    return filled


def _images(classifier: Classifier, dataset: Dataset) -> Any:
    """Names and normalized images of the samples that can be read."""
    for index in range(len(dataset)):
        try:
            image: Tensor = classifier.preprocessing.image(dataset[index].image)
        except UnreadableImage:
            continue
        yield dataset.name(index), image
