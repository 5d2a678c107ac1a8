"""Energy in the mask: the share of the positive relevance that lies on the object [1]_.

.. [1] H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR
   workshops 2020.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.metrics.agreement import check_masks
from xaibench.metrics.undefined import blank, why_undefined


def energy_in_mask(attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Positive relevance on the object over all positive relevance.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        Signed relevance, any scale; negative values count as zero.
    masks : Tensor of bool, shape (B, H, W)
        True on the object.

    Returns
    -------
    Tensor, shape (B,)
        In [0, 1], higher is better; a constant positive map has the object's share of the area. NaN without positive
        relevance, for a map with NaN or infinity, and for an empty mask.
    """
    check_masks(attributions, masks)
    energy = attributions.clamp(min=0).double().flatten(1)
    share = torch.where(masks.flatten(1), energy, 0.0).sum(dim=1) / energy.sum(dim=1)
    return blank(share.to(attributions.dtype), why_undefined(attributions, masks, positive=True))


@dataclass(frozen=True)
class EnergyInMask:
    """The energy in the mask; it has no settings."""

    higher_is_better: ClassVar[bool] = True

    def __call__(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
        """See `energy_in_mask`."""
        return energy_in_mask(attributions, masks)

    def why_undefined(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> list[str]:
        """Say why values are NaN; "" where they are not."""
        return why_undefined(attributions, masks, positive=True)
