"""ADCC: average drop, coherency and complexity in one number, their harmonic mean [1]_.

.. [1] S. Poppi et al., "Revisiting The Evaluation of Class Activation Mapping for Explainability: A Novel Metric and
   Experimental Analysis", CVPR Workshops 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.explainer import Explainer
from xaibench.metrics.coherency import Coherency
from xaibench.metrics.complexity_adcc import mean_of_unit_map
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.masking import average_drop, masked_scores
from xaibench.metrics.scores import SCORES
from xaibench.metrics.undefined import first_reasons
from xaibench.names import pick

NO_CLEAN_SCORE = "clean image has score 0"


def adcc_of_terms(
    drops: Float[Tensor, "*B"], coherencies: Float[Tensor, "*B"], complexities: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    """Harmonic mean of coherency, 1 - complexity and 1 - average drop.

    Parameters
    ----------
    drops, coherencies, complexities : Tensor, same shape
        One value per image, or means over images: the mean of the images' ADCC and the ADCC of the means differ widely
        (`statistics.adcc_of_means` makes the latter of records).

    Returns
    -------
    Tensor, same shape
        In [0, 1] for scores that are probabilities, higher is better; 0 where one term is 0, NaN where one is NaN.
    """
    return 3 / (1 / coherencies + 1 / (1 - complexities) + 1 / (1 - drops))


@dataclass(frozen=True)
class ADCC:
    """Settings of ADCC, one value per image.

    Attributes
    ----------
    score : str
        What the drop reads from the model. A logit's drop may exceed 1, and then says nothing here.

    Notes
    -----
    The authors' program subtracts the masked image's probability of the class passed to it from the *largest*
    probability of the clean image; both are of the target here, which is the same for target=predicted.
    """

    score: str = "probability"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pick("score", self.score, SCORES)

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
        found = masked_scores(model, images, targets, stacked, score=self.score, batch_size=batch_size)
        scores = {}
        for m, (layer, maps) in enumerate(attributions.items()):
            drops = average_drop(found.clean.double(), found.masked[:, m].double())
            no_score = tuple((NO_CLEAN_SCORE if clean == 0 else "",) for clean in found.clean.tolist())
            scores[layer] = MapScores(
                values=adcc_of_terms(drops, coherent[layer].values[:, 0], mean_of_unit_map(maps).cpu())[:, None],
                forward_passes=coherent[layer].forward_passes + found.forward_passes[:, m : m + 1],
                reasons=first_reasons(coherent[layer].reasons, tuple((row[m],) for row in found.reasons), no_score),
            )
        return scores
