"""What less precision does to a heatmap and to the model's scores, against the same in float64."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import capture
from xaibench.explainers.scores import SCORES
from xaibench.metrics.similarity import spearman


@dataclass(frozen=True, eq=False)
class Explained:
    """Maps and scores in one precision.

    Attributes
    ----------
    maps : dict of str to Tensor, shape (B, h, w)
        By layer, signed, at the layer's own resolution.
    scores : dict of str to Tensor, shape (B,)
        Of the targets, by name in `xaibench.explainers.scores.SCORES`; computed in float64 from the logits.
    """

    maps: dict[str, Tensor]
    scores: dict[str, Tensor]


def explained(
    network: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"], explainer: CAM
) -> Explained:
    """Explain images in the precision of network and images, which agree."""
    captured = capture(
        network, images, explainer.layers, targets=targets, score=explainer.score, token_grid=explainer.token_grid
    )
    logits = captured.logits.double()
    scores = {name: score(logits, targets) for name, score in SCORES.items()}
    return Explained(explainer.maps_of(captured), scores)


def relative_error(maps: Float[Tensor, "B h w"], wanted: Float[Tensor, "B h w"]) -> Float[Tensor, " B"]:
    """Euclidean norm of the difference of two maps over that of the wanted one; at least 0, 0 for equal maps.

    NaN where the wanted map is zero everywhere, or one of them is not finite.
    """
    maps, wanted = maps.double().flatten(1), wanted.double().flatten(1)
    size = wanted.norm(dim=1)
    errors = (maps - wanted).norm(dim=1) / size
    return errors.masked_fill((size == 0) | ~errors.isfinite(), torch.nan)


def map_errors(found: Explained, wanted: Explained) -> dict[str, tuple[Tensor, Tensor]]:
    """Relative error and rank correlation (B,) of each layer's maps with those wanted."""
    return {
        layer: (relative_error(found.maps[layer], maps), spearman(found.maps[layer].double(), maps.double()))
        for layer, maps in wanted.maps.items()
    }


def score_errors(found: Explained, wanted: Explained) -> Mapping[str, Tensor]:
    """Absolute difference (B,) of each score; NaN where one of them is not finite."""
    differences = {name: (found.scores[name] - scores).abs() for name, scores in wanted.scores.items()}
    return {name: values.masked_fill(~values.isfinite(), torch.nan) for name, values in differences.items()}
