"""Sensitivity-n: relevance against the drop of the score, for sets of n pixels and several n [1]_.

.. [1] M. Ancona, E. Ceolini, C. Öztireli, M. Gross, "Towards better understanding of gradient-based attribution
   methods for Deep Neural Networks", ICLR 2018.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import Changes, Responses, check_given, correlated, plain_baseline, removals, responses
from xaibench.metrics.draws import generator_for, random_subsets
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.scores import SCORES
from xaibench.names import pick


def sensitivity_n(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    sizes_px: tuple[int, ...] | None = None,
    n_sizes: int = 8,
    largest_share: float = 0.8,
    n_subsets: int = 100,
    baseline: str | Baseline = "zero",
    score: str = "logit",
    seed: int = 0,
    subsets: Sequence[Bool[Tensor, "B N H W"]] | None = None,
    batch_size: int = 32,
) -> MapScores:
    """Correlate relevance with the drop of the score for sets of n pixels, for several n in one go.

    Parameters
    ----------
    model, images, targets, attributions, baseline, score, seed, batch_size
        As in `faithfulness_correlation`.
    sizes_px : tuple of int, optional
        The numbers n of pixels.
    n_sizes, largest_share
        Where no sizes are given: so many, in geometric steps from one pixel to this share of the image, rounded;
        equal ones count once. The paper goes up to 80 %.
    n_subsets : int, default 100
        Sets for each n, shared by all maps of an image.
    subsets : sequence of Tensor of bool, shape (B, N, H, W), optional
        Sets to take instead, one tensor for each n, N the same for all; `sizes_px` names the n.

    Returns
    -------
    MapScores
        Values: the mean correlation over all n, in [-1, 1], higher is better; ``curve_x`` is n as a share of the pixels,
        ``curve_y`` the Pearson correlation for each. A value is NaN where any of its correlations is.
    """
    metric = SensitivityN(sizes_px, n_sizes, largest_share, n_subsets, baseline, score, seed)
    pictures = plain_baseline(baseline)(images)
    sizes = metric.sizes((images.shape[2], images.shape[3]))
    for given in subsets or ():
        check_given(given, images, "subsets")

    def changes_of(b: int) -> Iterator[Changes]:
        masks = metric.draw(images[b]) if subsets is None else iter([given[b][:, None] for given in subsets])
        return removals(images[b], pictures[b], masks)

    found = responses(model, images, targets, attributions, changes_of, score=score, batch_size=batch_size)
    return _by_size(found, sizes, images.shape[2] * images.shape[3])


def _by_size(found: Responses, sizes: Sequence[int], n_pixels: int) -> MapScores:
    parts = [
        correlated(relevance, drops, found.reasons)
        for relevance, drops in zip(
            found.relevance.tensor_split(len(sizes), dim=2), found.drops.tensor_split(len(sizes), dim=1), strict=True
        )
    ]
    curves = torch.stack([values for values, _ in parts], dim=2)
    reasons = tuple(
        tuple(
            found.reasons[b][m]
            or next((f"{told[b][m]} (n = {n})" for n, (_, told) in zip(sizes, parts, strict=True) if told[b][m]), "")
            for m in range(curves.shape[1])
        )
        for b in range(curves.shape[0])
    )
    x = (torch.tensor(sizes, dtype=torch.float64) / n_pixels).expand_as(curves)
    return MapScores(curves.mean(dim=2), found.forward_passes, reasons, curve_x=x, curve_y=curves)


@dataclass(frozen=True)
class SensitivityN(ByFunction):
    """Settings of sensitivity-n; see `sensitivity_n`."""

    sizes_px: tuple[int, ...] | None = None
    n_sizes: int = 8
    largest_share: float = 0.8
    n_subsets: int = 100
    baseline: str | Baseline = "zero"
    score: str = "logit"
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    function: ClassVar = staticmethod(sensitivity_n)

    def __post_init__(self) -> None:
        if self.n_subsets < 2 or self.n_sizes < 1 or not 0 < self.largest_share < 1:
            raise ValueError(
                "sensitivity-n needs n_subsets of at least 2, n_sizes of at least 1 and largest_share between 0 and 1, "
                f"got {self.n_subsets}, {self.n_sizes} and {self.largest_share}"
            )
        if self.sizes_px is not None and (not self.sizes_px or min(self.sizes_px) < 1):
            raise ValueError(f"sizes_px must name numbers of pixels from 1 on, got {self.sizes_px}")
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def sizes(self, image_size: tuple[int, int]) -> tuple[int, ...]:
        """Return the numbers of pixels for an image of this height and width, ascending where not given."""
        n_pixels = image_size[0] * image_size[1]
        if self.sizes_px is None:
            largest = max(1, int(self.largest_share * n_pixels))
            steps = np.geomspace(1, largest, self.n_sizes).round().astype(int)
            return tuple(np.unique(steps).tolist())
        if max(self.sizes_px) >= n_pixels:
            raise ValueError(f"sizes_px={self.sizes_px} must stay below the image's {n_pixels} pixels")
        return self.sizes_px

    def draw(self, image: Float[Tensor, "C H W"]) -> Iterator[Bool[Tensor, "N 1 H W"]]:
        """Draw the image's sets, n after n, piece by piece."""
        height, width = image.shape[1:]
        generator = generator_for(image, self.seed, "sensitivity_n")
        for size in self.sizes((height, width)):
            for piece in random_subsets(self.n_subsets, size, height * width, generator):
                yield piece.view(-1, 1, height, width)
