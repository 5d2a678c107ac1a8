"""ROAD, remove and debias: the score after the most, or least, relevant pixels were imputed from their neighbours [1]_.

A hole filled with one colour shows the model its own outline; a linear imputation hides where pixels were removed, so
that the order of methods depends less on it. No network is trained anew.

.. [1] Y. Rong, T. Leemann et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores, Removal
from xaibench.metrics.ordering import Order
from xaibench.metrics.undefined import first_reasons
from xaibench.names import unknown

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)

Counted = Literal["removed", "kept"]


@dataclass(frozen=True)
class GivenFractions:
    """Changed pixels at given shares of the image, cut down to whole pixels: int(pixels · fraction).

    Attributes
    ----------
    fractions : tuple of float
        Ascending, in [0, 1].
    of_unchanged : bool
        Whether the fractions count the pixels that stay as they are instead.
    """

    fractions: tuple[int | float, ...] = FRACTIONS
    of_unchanged: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "fractions", tuple(self.fractions))
        inside = all(0 <= fraction <= 1 for fraction in self.fractions)
        if not self.fractions or not inside or list(self.fractions) != sorted(set(self.fractions)):
            raise ValueError(f"fractions must ascend within [0, 1], at least one of them; got {self.fractions}")

    def __call__(self, n_pixels: int) -> tuple[int, ...]:
        """Return the counts, ascending."""
        counts = [int(n_pixels * fraction) for fraction in self.fractions]
        return tuple(n_pixels - count for count in counts[::-1]) if self.of_unchanged else tuple(counts)


def authors_relevance(
    attributions: Float[Tensor, "B H W"], jitter: Float[Tensor, "H W"], *, factor: float = 1e-4, eps: float = 1e-5
) -> Float[Tensor, "B H W"]:
    """Prepare maps as the authors' program does before it ranks them: stretched to [0, 1], plus a little noise.

    It draws one `jitter` from the standard normal distribution for all images. That decides among equal pixels, and
    also between pixels that are nearly equal; ``Order(ties="random")``, the default here, only the former.
    """
    low, high = attributions.amin(dim=(1, 2), keepdim=True), attributions.amax(dim=(1, 2), keepdim=True)
    return (attributions - low) / (high - low + eps) + factor * jitter


@dataclass(frozen=True)
class ROADSettings:
    """What the three ROAD metrics can be told. Those with equal settings share their passes.

    Attributes
    ----------
    fractions : tuple of float
        Shares of pixels to remove. Exactly int(pixels · fraction) are removed; a curve's x is the share that this is.
    score : {"probability", "logit", "correct", …}
        What is read from the model for the target. The authors report accuracy: ``correct``, with target=label.
    baseline : str, Baseline or Imputer
        What stands where pixels are removed; ``noisy_linear`` makes it ROAD. The authors impute in pixel space, where
        the noise of 0.01 is about four times as strong as in normalized space; see `NoisyLinear.std`.
    order : Order
        Which pixels are the most relevant; LeRF removes the last of the same order. By default equal pixels are shuffled.
    lerf_counts : {"removed", "kept"}
        What a fraction means for LeRF. The authors' program *keeps* that share of the most relevant pixels; by default
        it is removed, so that MoRF and LeRF remove equally many, and their difference is 0 for a random map.
    """

    fractions: tuple[int | float, ...] = FRACTIONS
    score: str = "probability"
    baseline: str | Baseline | Imputer = "noisy_linear"
    order: Order = field(default_factory=lambda: Order(ties="random"))
    lerf_counts: Counted = "removed"

    def __post_init__(self) -> None:
        if self.lerf_counts not in get_args(Counted):
            raise unknown("meaning of LeRF's fractions", self.lerf_counts, get_args(Counted))
        if self.order.first != "most":
            raise ValueError("order.first must be 'most': MoRF and LeRF take the two ends of one order")

    def morf(self, name: str) -> Curve:
        """Return the curve that removes the most relevant pixels first."""
        return Curve(
            name, "deletion", named_baseline(self.baseline), GivenFractions(self.fractions), self.order, self.score,
            area="mean",
        )  # fmt: skip

    def lerf(self, name: str) -> Curve:
        """Return the curve that removes the least relevant pixels first: the most relevant ones are put in."""
        steps = GivenFractions(self.fractions, of_unchanged=self.lerf_counts == "removed")
        return Curve(
            name, "insertion", named_baseline(self.baseline), steps, self.order, self.score, area="mean"
        )  # fmt: skip

    def morf_removal(self, drawn: CurveScores, name: str = "") -> Removal:
        """Hold what MoRF's curve removed against the fractions."""
        return Removal(name, torch.tensor(self.fractions, dtype=torch.float64), _of_defined(drawn.fractions, drawn))

    def lerf_removal(self, drawn: CurveScores, name: str = "") -> Removal:
        """Hold what LeRF's curve removed against the fractions; its own x is what was kept."""
        asked = torch.tensor(self.fractions, dtype=torch.float64)
        asked = asked.flip(0) if self.lerf_counts == "removed" else 1 - asked
        return Removal(name, asked, _of_defined(1 - drawn.fractions, drawn))


def _of_defined(shares: Float[Tensor, " T"], drawn: CurveScores) -> Float[Tensor, "B M T"]:
    """Repeat the shares for every map that has a curve."""
    return shares.expand(drawn.scores.shape).masked_fill(drawn.areas.isnan()[:, :, None], torch.nan)


@dataclass(frozen=True)
class ROADMoRF(ROADSettings):
    """Mean score over the fractions with the most relevant pixels removed; lower is better."""

    higher_is_better: ClassVar[bool] = False

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return what the engine has to draw."""
        return (self.morf(key),)

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Return the mean of the curve, with x the share removed."""
        return replace(drawn[0].map_scores(), removals=(self.morf_removal(drawn[0]),))


@dataclass(frozen=True)
class ROADLeRF(ROADSettings):
    """Mean score over the fractions with the least relevant pixels removed; higher is better."""

    higher_is_better: ClassVar[bool] = True

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return what the engine has to draw."""
        return (self.lerf(key),)

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Return the mean of the curve, with x the share of most relevant pixels that are *left*."""
        return replace(drawn[0].map_scores(), removals=(self.lerf_removal(drawn[0]),))


@dataclass(frozen=True)
class ROAD(ROADSettings):
    """ROAD combined: half the mean of what LeRF leaves more than MoRF, (LeRF - MoRF) / 2; higher is better.

    In [-1/2, 1/2] for probabilities; 0 is expected of a map that says nothing. The form is pytorch-grad-cam's.
    """

    higher_is_better: ClassVar[bool] = True

    def curves(self, key: str) -> tuple[Curve, ...]:
        """Return what the engine has to draw."""
        return self.morf(f"{key}/morf"), self.lerf(f"{key}/lerf")

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Return the combined value; the curve is that of the half differences, with x MoRF's share removed."""
        morf, lerf = drawn
        left = lerf.scores.flip(-1) if self.lerf_counts == "removed" else lerf.scores  # pair by `fractions`
        half = (left.double() - morf.scores.double()) / 2
        return MapScores(
            values=half.mean(dim=-1),
            forward_passes=morf.forward_passes + lerf.forward_passes,
            reasons=first_reasons(morf.reasons, lerf.reasons),
            curve_x=morf.fractions.expand(half.shape),
            curve_y=half,
            removals=(self.morf_removal(morf, "morf"), self.lerf_removal(lerf, "lerf")),
        )
