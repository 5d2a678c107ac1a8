"""ARCC: ADCC with ROAD in the place of the average drop, as in pytorch-grad-cam [1]_.

.. [1] J. Gildenblat et al., pytorch-grad-cam 1.5.7, ``metrics/arcc.py``, which refers to arXiv 2605.14641.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.explainer import Explainer
from xaibench.metrics.coherency import Coherency
from xaibench.metrics.complexity_adcc import mean_of_unit_map
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.road_percentile import ROADPercentile
from xaibench.metrics.undefined import first_reasons


def arcc_of_terms(
    road: Float[Tensor, "*B"], coherencies: Float[Tensor, "*B"], complexities: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    """Harmonic mean of coherency, 1 - complexity and twice ROAD combined, which is clipped to [0, 1] before.

    Parameters
    ----------
    road : Tensor
        (LeRF - MoRF) / 2 of probabilities, in [-1/2, 1/2].
    coherencies, complexities : Tensor, same shape

    Returns
    -------
    Tensor, same shape
        In [0, 1], higher is better; 0 where one term is 0, as for every map whose ROAD is not positive. NaN where one
        is NaN.
    """
    return 3 / (1 / coherencies + 1 / (1 - complexities) + 1 / (2 * road).clamp(0, 1))


@dataclass(frozen=True)
class ARCC:
    """Settings of ARCC, one value per image.

    Attributes
    ----------
    percentiles : tuple of float
    score : str
    noise : float
    seed : int
        See `ROADPercentile`, whose thresholds remove more than asked for where maps have ties.
    """

    percentiles: tuple[int | float, ...] = (20, 40, 60, 80)
    score: str = "probability"
    noise: int | float = 0.01
    seed: int = 0
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", self.road.percentiles)

    @property
    def road(self) -> ROADPercentile:
        """The third term's settings."""
        return ROADPercentile(self.percentiles, self.score, self.noise, self.seed)

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
        """Score an explainer, by its layer."""
        coherent = Coherency().explainer_scores(model, images, targets, explainer, attributions, batch_size=batch_size)
        stacked = torch.stack(list(attributions.values()), dim=1)
        road = self.road.scores(model, images, targets, stacked, batch_size=batch_size)
        scores = {}
        for m, (layer, maps) in enumerate(attributions.items()):
            values = arcc_of_terms(road.values[:, m], coherent[layer].values[:, 0], mean_of_unit_map(maps).cpu())
            scores[layer] = MapScores(
                values=values[:, None],
                forward_passes=coherent[layer].forward_passes + road.forward_passes[:, m : m + 1],
                reasons=first_reasons(coherent[layer].reasons, tuple((row[m],) for row in road.reasons)),
                removals=tuple(replace(one, removed=one.removed[:, m : m + 1]) for one in road.removals),
            )
        return scores
