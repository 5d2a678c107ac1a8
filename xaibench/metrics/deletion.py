"""Deletion: how fast the score falls when the most relevant pixels are removed [1]_.

.. [1] V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.curve import Direction
from xaibench.metrics.curve_scores import CurveResult
from xaibench.metrics.curve_settings import CurveSettings


def deletion_curve(
    model: object,
    images: Float[Tensor, "B C H W"],
    attributions: Float[Tensor, "B H W"],
    targets: Int[Tensor, " B"] | None = None,
    *,
    batch_size: int = 32,
    **conventions: Any,
) -> CurveResult:
    """Score of the target while its most relevant pixels are replaced by a baseline; the defaults are RISE's.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits.
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    attributions : Tensor, shape (B, H, W)
        Signed maps; only their order counts.
    targets : Tensor of int64, shape (B,), optional
        Classes to follow; the predicted ones where none are given.
    batch_size : int, default 32
        Images per forward pass.
    **conventions
        The fields of `Deletion`, such as ``step_px=1792``, ``baseline="blur"``, ``order=Order(ties="raster")``.

    Returns
    -------
    CurveResult
        Fractions removed, scores and areas; the lower the area, the better the map.

    Notes
    -----
    Another program's conventions: ``PRESETS["torchcam"].metrics["deletion"](model, images, attributions)``.
    """
    return Deletion(**conventions)(model, images, attributions, targets, batch_size=batch_size)


@dataclass(frozen=True)
class Deletion(CurveSettings):
    """Settings of the deletion curve, see `CurveSettings`: RISE's, unless told otherwise."""

    direction: ClassVar[Direction] = "deletion"
    is_one_area: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
