"""One image divided into regions: from a map to region ranks, and from ranks to the share of pixels changed."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.ordering import Order
from xaibench.metrics.regions import Regions


@dataclass(frozen=True, eq=False)
class Division:
    """The regions of one image.

    Attributes
    ----------
    labels : Tensor of int64, shape (P,)
        Region of each pixel in row-major order.
    sizes : Tensor of int64, shape (S,)
        Pixels of each region.
    """

    labels: Int[Tensor, " P"]
    sizes: Int[Tensor, " S"]

    def pooled(self, maps: Float[Tensor, "B H W"], *, score: str) -> Float[Tensor, "B 1 S"]:
        """Mean or sum of each map over each region, in float64 (where sums of float32 values hardly round)."""
        sums = torch.zeros(len(maps), len(self.sizes), dtype=torch.float64, device=maps.device)
        sums.index_add_(1, self.labels, maps.flatten(1).double())
        return (sums / self.sizes if score == "mean" else sums)[:, None]

    def ranks(
        self, order: Order, attribution: Float[Tensor, "1 H W"], image: Float[Tensor, "1 C H W"], *, score: str
    ) -> Int[Tensor, " S"]:
        """Rank the regions by the map's score over each."""
        return order(attribution, image, pool=lambda maps: self.pooled(maps, score=score))[0].long()

    def shares(self, ranks: Int[Tensor, " S"]) -> Float[Tensor, " S+1"]:
        """Share of pixels in the first 0, 1, …, S regions."""
        sizes = torch.zeros_like(self.sizes).scatter_(0, ranks, self.sizes)
        return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]).double() / len(self.labels)


def divide(image: Float[Tensor, "1 C H W"], regions: Regions) -> Division:
    """Divide one image.

    Raises
    ------
    ValueError
        If the labels are not of the image's size, or leave a number out.
    """
    labels = regions(image)
    if labels.shape != (1, *image.shape[2:]) or labels.is_floating_point():
        raise ValueError(
            f"{regions} gave {labels.dtype} labels of shape {tuple(labels.shape)}; "
            f"expected whole numbers, one per pixel, {(1, *image.shape[2:])}"
        )
    flat = labels.flatten().to(image.device, torch.int64)
    if int(flat.min()) < 0 or bool(((sizes := torch.bincount(flat)) == 0).any()):
        raise ValueError(f"{regions} left out a number: label regions 0, 1, … without gaps")
    return Division(flat, sizes)
