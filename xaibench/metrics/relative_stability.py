"""Relative stability: the map's relative change against that of the image or of the model's output [1]_.

.. [1] C. Agarwal, N. Johnson, M. Pawelczyk, S. Krishna, E. Saxena, M. Zitnik, H. Lakkaraju, "Rethinking Stability for
   Attribution-based Explanations", ICLR workshop on pair2struct, 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.explainer import Explainer
from xaibench.metrics.agreement import check_maps
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.nearby import (
    Explain,
    Nearby,
    Neighbourhood,
    by_image,
    explained_nearby,
    norms,
    one_map_each,
)
from xaibench.metrics.scoring import checked_logits, evaluating, network_of
from xaibench.metrics.sensitivity import why_no_sensitivity

Against = Literal["input", "output"]

NO_NEIGHBOUR = "every neighbour has another predicted class, or nothing to compare with"


def relative_stabilities(
    model: Any,
    explain: Explain,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Mapping[str, Tensor],
    *,
    against: Against,
    radius: float = 0.05,
    n_draws: int = 50,
    distribution: str = "gaussian",
    seed: int = 0,
    eps_min: float | None = None,
    differences: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> dict[str, Float[Tensor, "B N"]]:
    """Relative change of the map over that of the image, or over the change of the logits, for each neighbour.

    ``‖(e − e') / e‖ / ‖(x − x') / x‖`` or ``‖(e − e') / e‖ / ‖h − h'‖`` with map e, image x and logits h; Euclidean norms
    over all entries.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Asked for the class of each image and neighbour.
    explain, images, targets, attributions, differences, batch_size
        As in `sensitivity.relative_changes`.
    against : {"input", "output"}
    radius, n_draws, distribution, seed
        Where neighbours are drawn; see `Neighbourhood`. The authors draw 50 with Gaussian noise of 0.05.
    eps_min : float, optional
        What stands in for a zero by which is divided, in the authors' code 1e-6: a pixel that was zero and is not any more
        then decides the value. Without it the entries where map or image are zero are left out.

    Returns
    -------
    dict from layer to Tensor of float64, shape (B, N)
        At least 0. Minus infinity for a neighbour that does not count: one of another predicted class, as the paper asks
        for the same, or one whose image or output does not differ.
    """
    neighbourhood = Neighbourhood(radius, n_draws, distribution, seed)
    network = network_of(model)
    clean = torch.cat([_logits(network, part) for part in images.split(batch_size)])
    found: dict[str, list[Tensor]] = {layer: [] for layer in attributions}
    for near in explained_nearby(
        explain, images, targets, neighbourhood, differences=differences, batch_size=batch_size
    ):
        before, after = clean[near.rows], _logits(network, near.images)
        change = norms(before - after) if against == "output" else _relative_norms(images, near, near.images, eps_min)
        change = change.masked_fill(change == 0, torch.nan if eps_min is None else eps_min)
        left_out = change.isnan() | (before.argmax(dim=1) != after.argmax(dim=1))
        for layer, maps in attributions.items():
            ratio = _relative_norms(maps, near, near.maps[layer], eps_min) / change
            found[layer].append(ratio.masked_fill(left_out, -torch.inf))
    return {layer: by_image(parts, len(images)) for layer, parts in found.items()}


def _logits(network: Any, images: Tensor) -> Tensor:
    with evaluating(network):
        return checked_logits(network(images), len(images), softmax=False).double()


def _relative_norms(before: Tensor, near: Nearby, after: Tensor, eps_min: float | None) -> Tensor:
    """Norm of (before − after) / before over the entries where that exists."""
    start, change = before[near.rows].double(), before[near.rows].double() - after.double()
    if eps_min is not None:
        return norms(change / torch.where(start == 0, eps_min, start))
    return norms(torch.where(start == 0, 0.0, change / start))


@dataclass(frozen=True)
class _RelativeStability:
    """What both relative stabilities have in common; the authors' setting."""

    radius: int | float = 0.05
    n_draws: int = 50
    distribution: str = "gaussian"
    seed: int = 0
    eps_min: float | None = None
    higher_is_better: ClassVar[bool] = False
    against: ClassVar[Against]

    def __post_init__(self) -> None:
        Neighbourhood(self.radius, self.n_draws, self.distribution, self.seed)
        if self.eps_min is not None and not self.eps_min > 0:
            raise ValueError(f"eps_min must be above 0, or null to leave zeros out, got {self.eps_min}")

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
        """Score an explainer by its layer; its layers share `n_draws` explanations and as many plain passes an image."""
        check_maps(images, attributions)
        found = relative_stabilities(
            model, partial(explainer, model), images, targets, attributions,
            against=self.against, radius=self.radius, n_draws=self.n_draws, distribution=self.distribution,
            seed=self.seed, eps_min=self.eps_min, batch_size=batch_size,
        )  # fmt: skip
        passes = (1 + self.n_draws * (1 + explainer.forward_passes())) / len(attributions)
        return {
            layer: one_map_each(found[layer].amax(dim=1), _reasons(maps, found[layer]), passes)
            for layer, maps in attributions.items()
        }


def _reasons(maps: Tensor, ratios: Tensor) -> list[str]:
    nothing = (ratios == -torch.inf).all(dim=1).tolist()
    return [
        reason or (NO_NEIGHBOUR if none else "") for reason, none in zip(why_no_sensitivity(maps), nothing, strict=True)
    ]


@dataclass(frozen=True)
class RelativeInputStability(_RelativeStability):
    """Settings of relative input stability: the largest of the draws' ratios of map to image.

    At least 0, lower is better; 0 for an explainer that ignores the image. Undefined for a map of zeros, and where every
    neighbour changes the predicted class.
    """

    against: ClassVar[Against] = "input"


@dataclass(frozen=True)
class RelativeOutputStability(_RelativeStability):
    """Settings of relative output stability: the largest of the draws' ratios of map to logits.

    As `RelativeInputStability`, but a map may change as much as the output does.
    """

    against: ClassVar[Against] = "output"
