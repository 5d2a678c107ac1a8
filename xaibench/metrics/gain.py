"""Average gain: how much of the confidence that was missing the image masked by its map wins [1]_.

.. [1] H. Zhang et al., "Opti-CAM: Optimizing saliency maps for interpretability", Computer Vision and Image
   Understanding 248, 2024.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.masking import MaskingSettings


def average_gain(clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Share of the missing score that is won under the mask, ``max(masked - clean, 0) / (1 - clean)``.

    Parameters
    ----------
    clean, masked : Tensor, same shape
        Probability of the image and of the masked image. Logits have no 1 to reach: a number comes out all the same,
        as in xplique, of any sign and size.

    Returns
    -------
    Tensor, same shape
        In [0, 1] for probabilities, higher is better; NaN where the clean score is 1: nothing is left to gain. Papers
        state the mean over images, in percent.
    """
    return (masked - clean).clamp(min=0) / (1 - clean).masked_fill(clean == 1, torch.nan)


@dataclass(frozen=True)
class AverageGain(MaskingSettings):
    """Settings of the average gain; called with clean and masked scores."""

    higher_is_better: ClassVar[bool] = True

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `average_gain`."""
        return average_gain(clean, masked)
