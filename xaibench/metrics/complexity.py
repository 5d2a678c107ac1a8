"""How simple a map is: Gini sparseness, entropy, and the number of pixels that count at all.

All look at magnitudes, so that what speaks against the class counts as what speaks for it. A map that is zero
everywhere has no distribution over pixels: undefined.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.map_scores import MapScores, map_alone
from xaibench.metrics.undefined import why_undefined

ALL_ZERO = "map is zero everywhere"


def gini_sparseness(attributions: Float[Tensor, "B H W"], *, offset: int | float = 0.0) -> Float[Tensor, " B"]:
    """Gini index of the magnitudes [1]_: Σ_i (2 i - P - 1) a_i / (P Σ a), a ascending, i from 1 to P pixels.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
    offset : float, default 0
        Added to each magnitude. Quantus adds 1e-7, which makes a value depend on the map's scale and a map of zeros 0.

    Returns
    -------
    Tensor of float64, shape (B,)
        0 if all magnitudes are equal, 1 - 1/P if one pixel has everything; NaN for a map of zeros.

    References
    ----------
    .. [1] P. Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training", ICML 2020.
    """
    ascending = (_magnitudes(attributions) + offset).sort(dim=1).values
    n = ascending.shape[1]
    weights = torch.arange(1 - n, n, 2, dtype=torch.float64, device=ascending.device)
    return (ascending * weights).sum(dim=1) / (n * ascending.sum(dim=1))  # 0 / 0 is NaN


def map_entropy(attributions: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Entropy in nats of the magnitudes as shares of their sum [1]_.

    Returns
    -------
    Tensor of float64, shape (B,)
        0 if one pixel has everything, log P if all magnitudes are equal; NaN for a map of zeros.

    References
    ----------
    .. [1] U. Bhatt, A. Weller, J. M. F. Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020.
    """
    magnitudes = _magnitudes(attributions)
    return torch.special.entr(magnitudes / magnitudes.sum(dim=1, keepdim=True)).sum(dim=1)


def effective_complexity(
    attributions: Float[Tensor, "B H W"], *, threshold: int | float = 1e-5, relative: bool = True
) -> Float[Tensor, " B"]:
    """Number of pixels whose magnitude is above a threshold.

    The paper [1]_ asks how many of the most relevant features the model needs; what is counted here, as in Quantus and
    LATEC, is how many the map does not call irrelevant.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
    threshold : float, default 1e-5
    relative : bool, default True
        Whether the threshold is a share of the map's largest magnitude. False takes it in the map's own units.

    Returns
    -------
    Tensor of float64, shape (B,)
        From 0 to P; NaN for a map of zeros if relative.

    References
    ----------
    .. [1] A. Nguyen, M. R. Martínez, "On quantitative aspects of model interpretability", 2020.
    """
    magnitudes = _magnitudes(attributions)
    if relative:
        magnitudes = magnitudes / magnitudes.amax(dim=1, keepdim=True)
    counts = (magnitudes > threshold).sum(dim=1).double()
    return counts.masked_fill(magnitudes.isnan().any(dim=1), torch.nan)


def _magnitudes(attributions: Tensor) -> Tensor:
    return attributions.flatten(1).double().abs()


def _scores(values: Tensor, maps: Tensor, n_maps: int, *, zero: bool) -> MapScores:
    """Attach reasons; `zero` says whether a map of zeros is undefined."""
    dead = (maps == 0).flatten(1).all(dim=1).tolist()
    reasons = [
        why or (ALL_ZERO if zero and all_zero else "") for why, all_zero in zip(why_undefined(maps), dead, strict=True)
    ]
    return map_alone(values, reasons, n_maps=n_maps)


@dataclass(frozen=True)
class GiniSparseness:
    """Settings of the Gini sparseness; see `gini_sparseness`."""

    offset: int | float = 0.0
    higher_is_better: ClassVar[bool] = True

    def map_scores(self, attributions: Float[Tensor, "B M H W"]) -> MapScores:
        """Score M signed maps of each image without asking the model."""
        maps = attributions.flatten(0, 1)
        values = gini_sparseness(maps, offset=self.offset)
        return _scores(values, maps, attributions.shape[1], zero=self.offset == 0)


@dataclass(frozen=True)
class MapEntropy:
    """Settings of the map's entropy; see `map_entropy`."""

    higher_is_better: ClassVar[bool] = False

    def map_scores(self, attributions: Float[Tensor, "B M H W"]) -> MapScores:
        """Score M signed maps of each image without asking the model."""
        maps = attributions.flatten(0, 1)
        return _scores(map_entropy(maps), maps, attributions.shape[1], zero=True)


@dataclass(frozen=True)
class EffectiveComplexity:
    """Settings of the effective complexity; see `effective_complexity`."""

    threshold: int | float = 1e-5
    relative: bool = True
    higher_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise ValueError(f"threshold must not be negative; got {self.threshold}")

    def map_scores(self, attributions: Float[Tensor, "B M H W"]) -> MapScores:
        """Score M signed maps of each image without asking the model."""
        maps = attributions.flatten(0, 1)
        values = effective_complexity(maps, threshold=self.threshold, relative=self.relative)
        return _scores(values, maps, attributions.shape[1], zero=self.relative)
