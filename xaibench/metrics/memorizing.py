"""How a network is taught labels by heart: the settings of `xaibench.training.memorize`, which does it."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Memorizing:
    """How a network is trained by heart: Adam without weight decay or augmentation, at a constant rate.

    Attributes
    ----------
    accuracy : float
        Training ends after the first epoch with more than this share of the images right.
    max_epochs : int
        It also ends after so many.
    learning_rate : float
    batch_size : int
        Images a step, at most: an epoch is cut into steps of nearly equal size, none of a single image.
    seed : int
        For initial weights, order of the images and dropout.
    """

    accuracy: float = 0.95
    max_epochs: int = 60
    learning_rate: float = 1e-3
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.accuracy < 1:
            raise ValueError(f"accuracy must lie strictly between 0 and 1; got {self.accuracy}")
        if self.max_epochs < 1 or self.batch_size < 2:
            raise ValueError(
                f"max_epochs must be at least 1 and batch_size at least 2; got {self.max_epochs} and {self.batch_size}"
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate must be above zero and finite; got {self.learning_rate}")
