"""Faithfulness estimate: relevance of successive groups of pixels against what removing each group alone costs [1]_.

.. [1] D. Alvarez-Melis, T. S. Jaakkola, "Towards Robust Interpretability with Self-Explaining Neural Networks",
   NeurIPS 2018.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import correlated, plain_baseline
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scores import SCORES
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined
from xaibench.names import pick


def faithfulness_estimate(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    step_px: int = 224,
    order: Order | None = None,
    baseline: str | Baseline = "zero",
    score: str = "probability",
    batch_size: int = 32,
) -> MapScores:
    """Correlate, over the map's own groups of pixels, the sum of relevance with the drop of the score.

    The pixels, ordered by relevance, are cut into groups of `step_px`; each group is removed alone from the clean image.

    Parameters
    ----------
    model, images, targets, attributions, baseline, score, batch_size
        As in `faithfulness_correlation`.
    step_px : int, default 224
        Pixels in a group; the last one may be smaller.
    order : Order, optional
        Which pixels come first; the most relevant ones in raster order where none is given.

    Returns
    -------
    MapScores
        Pearson correlations in [-1, 1], higher is better; 1 for a linear model and its exact attribution. NaN for a
        constant map, for groups of equal relevance, and where the score does not change. ``ceil(pixels / step_px)``
        passes per map, and one per image.
    """
    metric = FaithfulnessEstimate(step_px, order or Order(ties="raster"), baseline, score)
    network = network_of(model)
    check_inputs(images, targets, attributions)
    n_groups = -(-images.shape[2] * images.shape[3] // step_px)
    flat = why_undefined(attributions.flatten(0, 1), varying=True)
    reasons = np.array(flat, dtype=object).reshape(attributions.shape[:2])
    clean_at = np.full((*reasons.shape, 1), -1)
    groups_at = np.full((*reasons.shape, n_groups), -1)
    relevance = torch.full((*reasons.shape, n_groups), torch.nan, dtype=torch.float64)
    pictures = plain_baseline(baseline)(images)
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=(score,))
        for b, target in enumerate(targets.tolist()):
            defined = np.flatnonzero(reasons[b] == "")
            if len(defined):
                clean_at[b, defined] = queue.put(1, target, _copy(images[b]))
            for m in defined:
                groups = metric.groups(attributions[b, m])
                relevance[b, m] = _sums(attributions[b, m], groups, n_groups)
                write = _without_one_group(images[b], pictures[b], groups)
                groups_at[b, m] = queue.put(n_groups, target, write) + np.arange(n_groups)
        table = torch.cat([queue.results()[:, 0].double(), torch.tensor([torch.nan])])  # the last value: what -1 finds
    drops = table[torch.from_numpy(clean_at)] - table[torch.from_numpy(groups_at)]
    return _correlations(relevance, drops, reasons)


def _copy(image: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        rows.copy_(image)

    return write


def _sums(attribution: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    sums = torch.zeros(n_groups, dtype=torch.float64)
    return sums.index_add_(0, groups.flatten().cpu(), attribution.flatten().double().cpu())


def _without_one_group(image: Tensor, baseline: Tensor, groups: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        removed = torch.arange(start, start + len(rows), device=groups.device)[:, None, None, None]
        torch.where(groups == removed, baseline, image, out=rows)

    return write


def _correlations(relevance: Tensor, drops: Tensor, reasons: np.ndarray) -> MapScores:
    n_images, n_maps, n_groups = relevance.shape
    defined = reasons == ""
    reasons = np.where(defined & ~drops.isfinite().all(dim=2).numpy(), MODEL_NOT_FINITE, reasons)
    values, told = correlated(  # each map has changes of its own: one image for each
        relevance.view(-1, 1, n_groups), drops.view(-1, n_groups), [[reason] for reason in reasons.flatten()]
    )
    shared = 1 / np.maximum(defined.sum(axis=1, keepdims=True), 1)
    passes = torch.from_numpy(np.where(defined, n_groups + shared, 0.0))
    table = np.array([reason for (reason,) in told], dtype=object).reshape(n_images, n_maps)
    return MapScores(values.view(n_images, n_maps), passes, tuple(tuple(row) for row in table.tolist()))


@dataclass(frozen=True)
class FaithfulnessEstimate(ByFunction):
    """Settings of the faithfulness estimate; see `faithfulness_estimate`."""

    step_px: int = 224
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    baseline: str | Baseline = "zero"
    score: str = "probability"
    higher_is_better: ClassVar[bool] = True
    function: ClassVar = staticmethod(faithfulness_estimate)

    def __post_init__(self) -> None:
        if self.step_px < 1:
            raise ValueError(f"step_px must be at least 1, got {self.step_px}")
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def groups(self, attribution: Float[Tensor, "H W"]) -> Int[Tensor, "H W"]:
        """Number the group of each pixel, 0 the one of the first pixels in order."""
        return (self.order(attribution[None]).long() // self.step_px).view(attribution.shape)
