"""Coherency: whether the image masked by its map gets the same map again [1]_.

.. [1] S. Poppi, M. Cornia, L. Baraldi, R. Cucchiara, "Revisiting The Evaluation of Class Activation Mapping for
   Explainability: A Novel Metric and Experimental Analysis", CVPR Workshops 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.agreement import check_maps
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.masks import unit_range
from xaibench.metrics.scoring import network_of
from xaibench.metrics.similarity import pearson
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined

OF_MASKED = " (of the masked image)"


def map_coherency(first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Correlation of the two maps' positive parts, brought to [0, 1]: (r + 1) / 2.

    Parameters
    ----------
    first, second : Tensor, shape (B, H, W)
        Signed maps of the image, and of the image masked by the first map.

    Returns
    -------
    Tensor of float64, shape (B,)
        1 for maps that are equal up to scale, 1/2 for unrelated ones; NaN where one has no positive evidence or does
        not vary.
    """
    return (pearson(first.clamp(min=0), second.clamp(min=0)) + 1) / 2


@dataclass(frozen=True)
class Coherency:
    """Settings of the coherency: an explainer's maps against those of the images multiplied with these maps.

    Masks are the map, rectified and stretched to [0, 1] at the image's resolution; the product is taken in normalized
    space, and the class explained stays.

    Notes
    -----
    The paper rectifies maps at the layer's resolution: an explainer with ``rectify=True`` does so.
    """

    higher_is_better: ClassVar[bool] = True

    def explainer_scores(
        self,
        model: Any,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        explainer: Explainer,
        attributions: Mapping[str, Float[Tensor, "B H W"]],
        *,
        batch_size: int = 32,
    ) -> dict[str, MapScores]:
        """Score an explainer, by its layer: each layer masks the images by its own map."""
        check_maps(images, attributions)
        return {
            layer: _layer_coherency(model, images, targets, _of_layer(explainer, layer), layer, maps, batch_size)
            for layer, maps in attributions.items()
        }


def _of_layer(explainer: Explainer, layer: str) -> Explainer:
    """Leave out the other layers, so that no pass goes deeper than needed."""
    return replace(explainer, layers=(layer,)) if len(explainer.layers) > 1 else explainer  # type: ignore[type-var]


def _layer_coherency(
    model: Any, images: Tensor, targets: Tensor, explainer: Explainer, layer: str, maps: Tensor, batch_size: int
) -> MapScores:
    first_reasons = why_undefined(maps.clamp(min=0), positive=True, varying=True)
    defined = torch.tensor([not reason for reason in first_reasons])
    again = torch.full_like(maps, torch.nan)
    finite = torch.ones_like(defined)
    for rows in defined.nonzero()[:, 0].split(batch_size):
        here = rows.to(images.device)
        masked = images[here] * unit_range(maps[here])[:, None].to(images)
        again[here], finite[rows] = _explained(network_of(model), masked, targets[here], explainer, layer, again[here])
    second_reasons = why_undefined(again.clamp(min=0), positive=True, varying=True)
    reasons = [
        first or (MODEL_NOT_FINITE if not ok else second and second + OF_MASKED)
        for first, ok, second in zip(first_reasons, finite.tolist(), second_reasons, strict=True)
    ]
    values = map_coherency(maps, again).cpu().masked_fill(torch.tensor([bool(reason) for reason in reasons]), torch.nan)
    passes = defined.double() * explainer.forward_passes()
    return MapScores(values[:, None], passes[:, None], tuple((reason,) for reason in reasons))


def _explained(
    network: Any, images: Tensor, targets: Tensor, explainer: Explainer, layer: str, nothing: Tensor
) -> tuple[Tensor, Bool[Tensor, " B"]]:
    """Explain the images; where the network's output is not finite, `nothing`, and False."""
    finite = torch.ones(len(images), dtype=torch.bool)
    try:
        return explainer(network, images, targets)[layer].to(nothing), finite
    except NonFiniteOutput as error:
        finite[list(error.indices)] = False
    if finite.any():
        kept = finite.to(images.device)
        nothing[kept] = explainer(network, images[kept], targets[kept])[layer].to(nothing)
    return nothing, finite
