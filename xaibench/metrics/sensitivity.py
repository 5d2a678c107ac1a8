"""Max- and average sensitivity: how much the map changes when the image hardly does [1]_.

.. [1] C.-K. Yeh, C.-Y. Hsieh, A. S. Suggala, D. I. Inouye, P. Ravikumar, "On the (In)fidelity and Sensitivity of
   Explanations", NeurIPS 2019.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.explainer import Explainer
from xaibench.metrics.agreement import check_maps
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.nearby import (
    ZERO,
    Explain,
    Neighbourhood,
    by_image,
    explained_nearby,
    norms,
    one_map_each,
)
from xaibench.metrics.undefined import why_undefined


def relative_changes(
    explain: Explain,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Mapping[str, Tensor],
    *,
    radius: float = 0.02,
    n_draws: int = 10,
    distribution: str = "uniform",
    seed: int = 0,
    differences: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> dict[str, Float[Tensor, "B N"]]:
    """Norm of the map's change over the map's norm, for each neighbour of each image.

    Parameters
    ----------
    explain : callable
        Maps images and targets to maps (B, h, w) for each layer; all layers share its passes.
    images, targets : Tensor, shapes (B, C, H, W), (B,)
        The targets stay, whatever the neighbours' predictions.
    attributions : mapping from layer to Tensor, shape (B, h, w)
        The maps of `images` themselves, at the resolution that `explain` gives.
    radius, n_draws, distribution, seed
        Where neighbours are drawn; see `Neighbourhood`. The defaults are Captum's. Quantus draws 200 in a cube ten
        times as wide (``radius=0.2``), and leaves the map's scale to its own normalization.
    differences : Tensor, shape (B, N, C, H, W), optional
        Differences to take instead.
    batch_size : int, default 32
        Neighbours explained together.

    Returns
    -------
    dict from layer to Tensor of float64, shape (B, N)
        At least 0; their maximum over draws is the max-sensitivity. NaN or infinite for a map of zeros.
    """
    neighbourhood = Neighbourhood(radius, n_draws, distribution, seed)
    found: dict[str, list[Tensor]] = {layer: [] for layer in attributions}
    lengths = {layer: norms(maps) for layer, maps in attributions.items()}
    for near in explained_nearby(
        explain, images, targets, neighbourhood, differences=differences, batch_size=batch_size
    ):
        for layer, maps in attributions.items():
            change = norms(near.maps[layer].double() - maps[near.rows].double())
            found[layer].append(change / lengths[layer][near.rows])
    return {layer: by_image(parts, len(images)) for layer, parts in found.items()}


def why_no_sensitivity(attributions: Tensor) -> list[str]:
    """Say for each map (B, h, w) why its relative change is undefined: NaN, infinity, or zeros only."""
    zero = (attributions == 0).flatten(1).all(dim=1).tolist()
    return [reason or (ZERO if none else "") for reason, none in zip(why_undefined(attributions), zero, strict=True)]


@dataclass(frozen=True)
class _Sensitivity(ABC):
    """What max- and average sensitivity have in common; Captum's setting."""

    radius: int | float = 0.02
    n_draws: int = 10
    distribution: str = "uniform"
    seed: int = 0
    higher_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Neighbourhood(self.radius, self.n_draws, self.distribution, self.seed)

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
        """Score an explainer by its layer; its layers share `n_draws` explanations an image."""
        check_maps(images, attributions)
        changes = relative_changes(
            partial(explainer, model), images, targets, attributions,
            radius=self.radius, n_draws=self.n_draws, distribution=self.distribution, seed=self.seed,
            batch_size=batch_size,
        )  # fmt: skip
        passes = self.n_draws * explainer.forward_passes() / len(attributions)
        return {
            layer: one_map_each(self.over_draws(changes[layer]), why_no_sensitivity(maps), passes)
            for layer, maps in attributions.items()
        }

    @abstractmethod
    def over_draws(self, changes: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Sum up the draws of each image."""


@dataclass(frozen=True)
class MaxSensitivity(_Sensitivity):
    """Settings of max-sensitivity: the largest relative change of the map among the draws.

    At least 0, lower is better; 0 for an explainer that ignores the image. Undefined for a map of zeros. More draws find
    larger changes, so compare equal numbers only.
    """

    def over_draws(self, changes: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Take the largest; NaN where any is."""
        return changes.amax(dim=1)


@dataclass(frozen=True)
class AvgSensitivity(_Sensitivity):
    """Settings of average sensitivity: the mean relative change of the map; see `MaxSensitivity`."""

    def over_draws(self, changes: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Take the mean."""
        return changes.mean(dim=1)
