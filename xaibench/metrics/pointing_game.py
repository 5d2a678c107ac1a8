"""Pointing game: whether the most relevant pixel lies on the object [1]_.

.. [1] J. Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from xaibench.metrics.agreement import check_masks
from xaibench.metrics.undefined import blank, why_undefined


def peaks(attributions: Float[Tensor, "B H W"]) -> Float[Tensor, "B 2"]:
    """(column, row) of each map's largest value; of equal ones the first in row-major order."""
    index = attributions.flatten(1).argmax(dim=1)
    width = attributions.shape[2]
    return torch.stack([index % width, index // width], dim=1).float()


def points_hit(
    points: Num[Tensor, "B 2"], masks: Bool[Tensor, "B H W"], *, tolerance_px: int | float
) -> Bool[Tensor, " B"]:
    """Whether each point (column, row) lies strictly nearer than `tolerance_px` to a pixel of its object.

    Tolerance 1 asks a pixel to lie on the object; 0 is never reached; an empty mask is never hit.
    """
    if tolerance_px < 0:
        raise ValueError(f"tolerance_px is a distance in pixels, got {tolerance_px}")
    _, height, width = masks.shape
    columns = torch.arange(width, device=masks.device) - points[:, 0, None]  # (B, W)
    rows = torch.arange(height, device=masks.device) - points[:, 1, None]  # (B, H)
    near = rows[:, :, None] ** 2 + columns[:, None, :] ** 2 < tolerance_px**2
    return (masks & near).flatten(1).any(dim=1)


def pointing_hits(
    attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"], *, tolerance_px: int | float = 15
) -> Float[Tensor, " B"]:
    """Whether each map's peak lies nearer than `tolerance_px` to its object.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        Signed relevance, any scale. The first of several equal maxima counts.
    masks : Tensor of bool, shape (B, H, W)
        True on the object.
    tolerance_px : int or float, default 15
        Strict radius in pixels. The paper's 15 was meant for photographs of about 224 to 500 px; scale it for smaller
        images (8 or 9 at 128 px), or take 1, which asks for an exact hit.

    Returns
    -------
    Tensor of float32, shape (B,)
        1 or 0, higher is better; NaN for a constant map, a map with NaN or infinity, and an empty mask. The accuracy
        of the papers is the mean, taken class by class.
    """
    check_masks(attributions, masks)
    hits = points_hit(peaks(attributions), masks, tolerance_px=tolerance_px).float()
    return blank(hits, why_undefined(attributions, masks, varying=True))


@dataclass(frozen=True)
class PointingGame:
    """Settings of the pointing game.

    Attributes
    ----------
    tolerance_px : int or float
        Strict radius in pixels.
    """

    tolerance_px: int | float = 15
    higher_is_better: ClassVar[bool] = True

    def __call__(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
        """See `pointing_hits`."""
        return pointing_hits(attributions, masks, tolerance_px=self.tolerance_px)

    def why_undefined(self, attributions: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> list[str]:
        """Say why values are NaN; "" where they are not."""
        return why_undefined(attributions, masks, varying=True)
