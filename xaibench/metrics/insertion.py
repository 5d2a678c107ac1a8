"""Insertion: how fast the score rises when the most relevant pixels are put into a blurred image [1]_.

.. [1] V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer
from xaibench.metrics.curve import Direction
from xaibench.metrics.curve_scores import CurveResult
from xaibench.metrics.curve_settings import CurveSettings


def insertion_curve(
    model: object,
    images: Float[Tensor, "B C H W"],
    attributions: Float[Tensor, "B H W"],
    targets: Int[Tensor, " B"] | None = None,
    *,
    batch_size: int = 32,
    **conventions: Any,
) -> CurveResult:
    """Score of the target while its most relevant pixels replace those of a baseline; the defaults are RISE's.

    All parameters are those of `deletion.deletion_curve`, the conventions being the fields of `Insertion`.

    Returns
    -------
    CurveResult
        Fractions inserted, scores and areas; the higher the area, the better the map.
    """
    return Insertion(**conventions)(model, images, attributions, targets, batch_size=batch_size)


@dataclass(frozen=True)
class Insertion(CurveSettings):
    """Settings of the insertion curve, see `CurveSettings`: RISE's, unless told otherwise.

    `baseline` is the picture that the curve starts from, by default the image under RISE's own blur.
    """

    baseline: str | Baseline | Imputer = "rise_blur"
    direction: ClassVar[Direction] = "insertion"
    is_one_area: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
