"""Local Lipschitz estimate: the steepest change of the map around an image [1]_.

.. [1] D. Alvarez-Melis, T. S. Jaakkola, "On the Robustness of Interpretability Methods", ICML workshop on human
   interpretability in machine learning, 2018.
"""

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
    Explain,
    Neighbourhood,
    by_image,
    explained_nearby,
    norms,
    one_map_each,
)
from xaibench.metrics.undefined import why_undefined


def slopes(
    explain: Explain,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Mapping[str, Tensor],
    *,
    radius: float = 0.1,
    n_draws: int = 100,
    distribution: str = "uniform",
    seed: int = 0,
    differences: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> dict[str, Float[Tensor, "B N"]]:
    """Norm of the map's change over the norm of the image's change, for each neighbour of each image.

    Parameters
    ----------
    explain, images, targets, attributions, differences, batch_size
        As in `sensitivity.relative_changes`.
    radius, n_draws, distribution, seed
        Where neighbours are drawn; see `Neighbourhood`. The paper searches the cube for the maximum; a sample of it, as
        here, is a lower bound. Quantus draws 200 with Gaussian noise of 0.1.

    Returns
    -------
    dict from layer to Tensor of float64, shape (B, N)
        At least 0, in units of the map per unit of the normalized image.
    """
    neighbourhood = Neighbourhood(radius, n_draws, distribution, seed)
    found: dict[str, list[Tensor]] = {layer: [] for layer in attributions}
    for near in explained_nearby(
        explain, images, targets, neighbourhood, differences=differences, batch_size=batch_size
    ):
        distances = norms(near.images.double() - images[near.rows].double())
        for layer, maps in attributions.items():
            found[layer].append(norms(near.maps[layer].double() - maps[near.rows].double()) / distances)
    return {layer: by_image(parts, len(images)) for layer, parts in found.items()}


@dataclass(frozen=True)
class LocalLipschitz:
    """Settings of the local Lipschitz estimate: the steepest of the draws' `slopes`.

    At least 0, lower is better; 0 for an explainer that ignores the image. It has the map's own scale: compare
    layers of one method only after scaling, or take max-sensitivity, which is relative.
    """

    radius: int | float = 0.1
    n_draws: int = 100
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
        found = slopes(
            partial(explainer, model), images, targets, attributions,
            radius=self.radius, n_draws=self.n_draws, distribution=self.distribution, seed=self.seed,
            batch_size=batch_size,
        )  # fmt: skip
        passes = self.n_draws * explainer.forward_passes() / len(attributions)
        return {
            layer: one_map_each(found[layer].amax(dim=1), why_undefined(maps), passes)
            for layer, maps in attributions.items()
        }
