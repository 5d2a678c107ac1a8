"""Average drop in deletion: how much of the score goes when the map's own part of the image is taken away [1]_.

.. [1] H. Jung, Y. Oh, "Towards Better Explanations of Class Activation Mapping", ICCV 2021.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.masking import MaskingSettings, average_drop


@dataclass(frozen=True)
class DropInDeletion(MaskingSettings):
    """Settings of the drop in deletion: the average drop of the image times (1 - map).

    A value is in [0, 1] for probabilities, and higher is better; see `average_drop`.
    """

    complement: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `average_drop`; `masked` is the score of the image without what the map shows."""
        return average_drop(clean, masked)
