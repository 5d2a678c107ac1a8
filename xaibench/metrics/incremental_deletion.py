"""Incremental deletion: the mean score while pixels are removed in 32 equal steps [1]_.

.. [1] R. Hesse, S. Schaub-Meyer, S. Roth, "Benchmarking the Attribution Quality of Vision Models", NeurIPS 2024,
   Datasets and Benchmarks, and the authors' code.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from xaibench.metrics.curve import Direction, Endpoints
from xaibench.metrics.curve_settings import CurveSettings
from xaibench.metrics.ordering import Order


@dataclass(frozen=True)
class IncrementalDeletion(CurveSettings):
    """Plain mean of the score over 0, 1/32, …, 31/32 of the pixels removed; see `CurveSettings`.

    The fully removed image is not measured. ``order: {first: least}`` gives the authors' ascending variant, in which
    higher is better.
    """

    n_steps: int | None = 32
    endpoints: Endpoints = "start"
    area: str = "mean"
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    direction: ClassVar[Direction] = "deletion"
    higher_is_better: ClassVar[bool] = False
