"""ROAD with percentile thresholds, the way of pytorch-grad-cam, where ties decide how much is removed.

It keeps the pixels *strictly below* the q-th percentile of the map, which is meant to remove (100 - q) %. Where more
than q % of the pixels are zero the threshold is zero, nothing lies below it, and everything is removed, whatever was
asked for. For ROAD as it was published, with exact numbers of pixels, take `road.ROAD`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.map_scores import MapScores, Removal
from xaibench.metrics.masks import unit_range
from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scores import SCORES
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined
from xaibench.names import pick

PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


def removed_above_percentiles(
    attributions: Float[Tensor, "B H W"], percentiles: Sequence[int | float]
) -> Bool[Tensor, "B T H W"]:
    """Pixels at or above each percentile of their map.

    Percentiles interpolate linearly between the two nearest pixels, in the map's own precision.
    """
    ordered = attributions.flatten(1).sort(dim=1).values
    places = [percentile / 100 * (ordered.shape[1] - 1) for percentile in percentiles]
    thresholds = torch.stack(
        [torch.lerp(ordered[:, int(place)], ordered[:, int(np.ceil(place))], place % 1) for place in places], dim=1
    )
    return attributions[:, None] >= thresholds[:, :, None, None]


@dataclass(frozen=True, eq=False)
class PercentileScores:
    """Scores with the most and with the least relevant pixels imputed.

    Attributes
    ----------
    morf, lerf : Tensor of float64, shape (B, M, T)
        Score of the target after the removal, for each percentile as given; NaN where undefined.
    morf_removed, lerf_removed : Tensor of float64, shape (B, M, T)
        Share of pixels that each removal really concerned; asked for was ``1 - percentile / 100``.
    reasons : tuple of tuples of str, (B, M)
    """

    morf: Float[Tensor, "B M T"]
    lerf: Float[Tensor, "B M T"]
    morf_removed: Float[Tensor, "B M T"]
    lerf_removed: Float[Tensor, "B M T"]
    reasons: tuple[tuple[str, ...], ...]


def percentile_scores(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    percentiles: Sequence[int | float] = PERCENTILES,
    imputer: NoisyLinear | None = None,
    score: str = "logit",
    stretch: bool = True,
    batch_size: int = 32,
) -> PercentileScores:
    """Score each image with what lies above each percentile of the map, and of 1 - map, imputed.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    targets : Tensor of int64, shape (B,)
    attributions : Tensor, shape (B, M, H, W)
        Signed maps.
    percentiles : sequence of float
        In [0, 100].
    imputer : NoisyLinear, optional
        ``NoisyLinear()`` where none is given.
    score : str, default "logit"
        What is read from the model.
    stretch : bool, default True
        Whether maps are rectified and stretched to [0, 1] first; False for maps that are so already.
    batch_size : int, default 32

    Returns
    -------
    PercentileScores
        On the CPU. Where everything is removed the image is its mean colour; the program that this follows has no
        meaningful number there.
    """
    network, fill = network_of(model), (imputer or NoisyLinear()).fill
    check_inputs(images, targets, attributions)
    n_images, n_maps = attributions.shape[:2]
    flat = attributions.flatten(0, 1)
    reasons = np.array(
        why_undefined(flat.clamp(min=0), positive=True, varying=True) if stretch else why_undefined(flat), dtype=object
    ).reshape(n_images, n_maps)
    n_points = 2 * len(percentiles)
    scores = torch.full((n_images, n_maps, n_points), torch.nan, dtype=torch.float64)
    shares = scores.clone()
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=(score,))
        for b, m in np.argwhere(reasons == "").tolist():
            values = unit_range(attributions[b, m]) if stretch else attributions[b, m]
            removed = removed_above_percentiles(torch.stack([values, 1 - values]), percentiles).flatten(0, 1)
            queue.put(n_points, int(targets[b]), _copies(fill(images[b][None], removed[:, None])))
            shares[b, m] = removed.double().mean(dim=(1, 2)).cpu()
        scores[torch.from_numpy(reasons == "")] = queue.results()[:, 0].double().view(-1, n_points)
    bad = (~scores.isfinite().all(dim=2)).numpy() & (reasons == "")
    reasons = np.where(bad, MODEL_NOT_FINITE, reasons)
    scores = scores.masked_fill(torch.from_numpy(bad)[:, :, None], torch.nan)
    (morf, lerf), (morf_removed, lerf_removed) = scores.chunk(2, dim=2), shares.chunk(2, dim=2)
    return PercentileScores(morf, lerf, morf_removed, lerf_removed, tuple(tuple(row) for row in reasons.tolist()))


def _copies(pictures: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        rows.copy_(pictures[start : start + len(rows)])

    return write


@dataclass(frozen=True)
class ROADPercentile:
    """ROAD combined as pytorch-grad-cam computes it: the mean over percentiles of (LeRF - MoRF) / 2.

    Attributes
    ----------
    percentiles : tuple of float
    score : str
        Its usual targets are logits; ARCC gives it probabilities.
    noise : float
        Of the imputation, in normalized space.
    seed : int
        See `NoisyLinear`.
    stretch : bool
        See `percentile_scores`.
    """

    percentiles: tuple[int | float, ...] = PERCENTILES
    score: str = "logit"
    noise: int | float = 0.01
    seed: int = 0
    stretch: bool = True
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", tuple(self.percentiles))
        pick("score", self.score, SCORES)
        if not self.percentiles or not all(0 <= percentile <= 100 for percentile in self.percentiles):
            raise ValueError(f"percentiles must lie in [0, 100], at least one of them; got {self.percentiles}")

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Score M signed maps of each image; x of the curve is the share that MoRF really removed."""
        found = percentile_scores(
            model, images, targets, attributions,
            percentiles=self.percentiles, imputer=NoisyLinear(self.noise, seed=self.seed), score=self.score,
            stretch=self.stretch, batch_size=batch_size,
        )  # fmt: skip
        half = (found.lerf - found.morf) / 2
        passes = (~found.morf_removed[:, :, 0].isnan()).double() * (2 * len(self.percentiles))
        asked = 1 - torch.tensor(self.percentiles, dtype=torch.float64) / 100
        removals = Removal("morf", asked, found.morf_removed), Removal("lerf", asked, found.lerf_removed)
        return MapScores(half.mean(dim=2), passes, found.reasons, found.morf_removed, half, removals=removals)
