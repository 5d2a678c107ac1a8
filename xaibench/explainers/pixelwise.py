"""Relevance of every value of the image, and its channels reduced to one map."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.explainer import Explainer
from xaibench.explainers.scores import SCORES
from xaibench.names import pick

Relevance = Float[Tensor, "B C H W"]
Maps = Float[Tensor, "B H W"]


def channel_sum(relevance: Relevance) -> Maps:
    """Add the channels, signed: what makes attributions that add up to a score add up pixel by pixel too."""
    return relevance.sum(dim=1)


def channel_sum_abs(relevance: Relevance) -> Maps:
    """Add the channels' magnitudes, not negative: the absolute maps of Adebayo et al., NeurIPS 2018."""
    return relevance.abs().sum(dim=1)


def channel_max_abs(relevance: Relevance) -> Maps:
    """Take the greatest magnitude among the channels, not negative: Simonyan et al., 2014."""
    return relevance.abs().amax(dim=1)


CHANNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": channel_sum,
    "sum_abs": channel_sum_abs,
    "max_abs": channel_max_abs,
}
"""Ways to make one map (B, H, W) of relevance (B, C, H, W)."""


@dataclass(frozen=True, kw_only=True)
class PixelExplainer(Explainer):
    """An explainer of single pixels: it has no layers, and its maps are at the image's resolution.

    Attributes
    ----------
    score : str
        What is explained, a name in `SCORES`.
    channels : {"sum", "sum_abs", "max_abs"}
        How the channels become one map, a name in `CHANNELS`. By default they are added, so that maps are signed as
        everywhere in this package; ``sum_abs`` and ``max_abs`` give the unsigned maps that papers print.
    """

    score: str = "logit"
    channels: str = "sum"

    def __post_init__(self) -> None:
        pick("score", self.score, SCORES)
        pick("channels", self.channels, CHANNELS)

    @abstractmethod
    def relevance(
        self, model: nn.Module, images: Float[Tensor, "B C H W"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return the signed relevance of every value of the images."""

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Maps]:
        """Return one map for each image; see `Explainer.maps`."""
        return {"": CHANNELS[self.channels](in_full_precision(self.relevance(model, images, targets)))}


def in_full_precision(values: Tensor) -> Tensor:
    """Half precision would lose digits in sums, and maps are to be float32 anyway; float64 stays."""
    return values if values.dtype == torch.float64 else values.float()
