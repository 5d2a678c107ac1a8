"""Complexity as in ADCC: how much of the image the map claims, its mean after it was stretched to [0, 1] [1]_.

.. [1] S. Poppi et al., "Revisiting The Evaluation of Class Activation Mapping for Explainability: A Novel Metric and
   Experimental Analysis", CVPR Workshops 2021.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.map_scores import MapScores, map_alone
from xaibench.metrics.masks import unit_range
from xaibench.metrics.undefined import why_undefined


def mean_of_unit_map(attributions: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Mean over pixels of the rectified map, stretched to [0, 1]: its L1 norm by the number of pixels.

    Returns
    -------
    Tensor of float64, shape (B,)
        In (0, 1), lower is better; 1 less it is the share left alone. NaN where nothing varies above zero.
    """
    return unit_range(attributions.double()).mean(dim=(1, 2))


@dataclass(frozen=True)
class ComplexityADCC:
    """Settings of ADCC's complexity."""

    higher_is_better: ClassVar[bool] = False

    def map_scores(self, attributions: Float[Tensor, "B M H W"]) -> MapScores:
        """Score M signed maps of each image without asking the model."""
        maps = attributions.flatten(0, 1)
        reasons = why_undefined(maps.clamp(min=0), positive=True, varying=True)
        return map_alone(mean_of_unit_map(maps), reasons, n_maps=attributions.shape[1])
