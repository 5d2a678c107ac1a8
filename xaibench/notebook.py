"""For a notebook: images from pictures, and a figure of maps, in one line each."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from xaibench.data.pictures import read_picture
from xaibench.data.samples import Dataset, Sample
from xaibench.metrics.scoring import evaluating
from xaibench.models.classifier import Classifier
from xaibench.report.figures.gallery import gallery_figure
from xaibench.report.labels import Arm
from xaibench.report.pictures import Pictured


def prepare(classifier: Classifier, pictures: Dataset | Iterable[Any]) -> Float[Tensor, "B 3 H W"]:
    """Turn pictures into a batch of images that the classifier wants.

    Parameters
    ----------
    classifier : Classifier
    pictures : Dataset or iterable
        Of samples, arrays of uint8 (H, W, 3), or paths of image files.

    Returns
    -------
    Tensor, shape (B, 3, H, W)
        Normalized, on the classifier's device.

    Raises
    ------
    UnreadableImage
        For a file that cannot be read.
    ValueError
        If the images do not have one size.
    """
    images = [classifier.preprocessing.image(_rgb(picture)) for picture in _each(pictures)]
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) != 1:
        raise ValueError(f"images of one batch must have one size; got {sorted(sizes) or 'no image'}")
    return torch.stack(images).to(classifier.device)


def _each(pictures: Dataset | Iterable[Any]) -> Iterable[Any]:
    return (pictures[i] for i in range(len(pictures))) if isinstance(pictures, Dataset) else pictures


def _rgb(picture: Any) -> np.ndarray:
    if isinstance(picture, Sample):
        return picture.image
    if isinstance(picture, str | Path):
        return read_picture(Path(picture))[0]
    return np.asarray(picture)


def figure(
    classifier: Classifier, images: Float[Tensor, "B 3 H W"], attributions: Mapping[str, Float[Tensor, "B h w"]]
) -> Figure:
    """Draw images and their maps, a row an image and a column a layer, as in a report's gallery.

    Parameters
    ----------
    classifier : Classifier
    images : Tensor, shape (B, 3, H, W)
    attributions : mapping from layer to Tensor, shape (B, H, W)
        What `explain` returns, or maps at the layers' own resolution.
    """
    with evaluating(classifier.network):
        probabilities = classifier.network(images).softmax(dim=1).cpu()
    confidences, classes = probabilities.max(dim=1)
    arms: dict[str, Arm] = {layer: ("", layer) for layer in attributions}
    rows = [
        Pictured(
            name=str(b),
            label="",
            predicted=classifier.categories[c] if classifier.categories else f"class {c}",
            confidence=float(confidences[b]),
            correct=None,
            picture=classifier.preprocessing.picture(images[b].cpu()),
            mask=None,
            maps={arms[layer]: maps[b].float().cpu().numpy() for layer, maps in attributions.items()},
        )
        for b, c in enumerate(classes.tolist())
    ]
    return gallery_figure(rows, arms=list(arms.values()), labels={arm: layer for layer, arm in arms.items()})
