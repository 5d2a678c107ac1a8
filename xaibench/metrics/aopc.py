"""AOPC: how far the score has fallen, on average over the curve [1]_.

.. [1] W. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE Transactions on
   Neural Networks and Learning Systems 28(11), 2017, equation 12.
"""

from dataclasses import dataclass
from typing import ClassVar

from xaibench.metrics.baselines import Baseline, Imputer
from xaibench.metrics.curve import Direction
from xaibench.metrics.curve_settings import CurveSettings


@dataclass(frozen=True)
class AOPC(CurveSettings):
    """Mean of clean score less score, over all points with the clean one, most relevant pixels first.

    See `CurveSettings`. The paper removes regions of 9 × 9 pixels, fills them with uniform noise and stops after 100;
    here the pixels of the map are removed, from none to all.
    """

    baseline: str | Baseline | Imputer = "noise"
    area: str = "mean_drop"
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.endpoints not in ("both", "start"):
            raise ValueError(
                f"AOPC is measured from the clean image; endpoints={self.endpoints!r} leaves it out, use 'both' or 'start'"
            )
