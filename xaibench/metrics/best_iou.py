"""Best intersection over union: how well the best threshold of the map cuts out the object [1]_.

.. [1] J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020 (the optimal
   threshold), here chosen for each image and over all of the map's values.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.metrics.agreement import check_masks
from xaibench.metrics.undefined import blank, why_undefined


def best_iou(attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Largest intersection over union of ``attributions >= t`` with the object, over all thresholds t.

    Exact: every distinct value of the map is tried; pixels of one value enter together.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        Signed relevance; only its order counts.
    masks : Tensor of bool, shape (B, H, W)
        True on the object.

    Returns
    -------
    Tensor of float32, shape (B,)
        In (0, 1], higher is better, and never below the object's share of the image, which the lowest threshold
        gives. NaN for a constant map, a map with NaN or infinity, and an empty mask.
    """
    check_masks(attributions, masks)
    values, order = attributions.flatten(1).sort(dim=1, descending=True)
    inside = masks.flatten(1).gather(1, order).cumsum(dim=1)
    selected = torch.arange(1, values.shape[1] + 1, device=values.device)
    iou = inside.double() / (selected + inside[:, -1:] - inside)
    within_tie = torch.zeros_like(masks.flatten(1))
    within_tie[:, :-1] = values[:, :-1] == values[:, 1:]
    best = iou.masked_fill(within_tie, 0.0).amax(dim=1).float()
    return blank(best, why_undefined(attributions, masks, varying=True))


@dataclass(frozen=True)
class BestIoU:
    """The best intersection over union; it has no settings."""

    higher_is_better: ClassVar[bool] = True

    def __call__(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
        """See `best_iou`."""
        return best_iou(attributions, masks)

    def why_undefined(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> list[str]:
        """Say why values are NaN; "" where they are not."""
        return why_undefined(attributions, masks, varying=True)
