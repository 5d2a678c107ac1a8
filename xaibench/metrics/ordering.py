"""The order in which a map ranks its pixels, with the order among equal pixels made explicit.

A rectified class activation map is zero over large parts of the image, so that the tie rule decides much of a
deletion curve: on such maps two common sort rules put different pixels at most of the ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.references import generator_of
from xaibench.names import unknown

Ties = Literal["raster", "reverse_raster", "random", "signed"]
First = Literal["most", "least", "random"]
Pool = Callable[[Tensor], Tensor]


def pixel_ranks(
    attributions: Float[Tensor, "B H W"],
    *,
    ties: Ties,
    generator: torch.Generator | None = None,
    signed: Float[Tensor, "B H W"] | None = None,
) -> Int[Tensor, "B P"]:
    """Rank the pixels of each map, the most relevant first.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        Relevance; only its order counts.
    ties : {"raster", "reverse_raster", "random", "signed"}
        Who goes first among equal pixels: the earlier one in row-major order; the later one (RISE's flipped ascending
        sort); whom a shuffle by `generator` puts first; or the one with the larger value in `signed`, then the earlier.
    generator : torch.Generator
        Required by ``random``. One shuffle serves all maps of the call, so a map's order does not depend on its
        neighbours.
    signed : Tensor, shape (B, H, W)
        Required by ``signed``: the maps before they were rectified.

    Returns
    -------
    Tensor of int32, shape (B, H·W)
        Rank of each pixel in row-major order, 0 the most relevant: ``ranks < k`` are the k most relevant pixels. A
        map with NaN or infinity has no order; its ranks are all -1.
    """
    flat = attributions.flatten(1) + 0.0  # -0.0 and 0.0 are equal
    tiebreak = _tiebreak(flat, ties, generator, signed)
    order = flat.gather(1, tiebreak).sort(dim=1, descending=True, stable=True).indices
    order = tiebreak.gather(1, order)  # pixel at each rank
    positions = torch.arange(flat.shape[1], dtype=torch.int32, device=flat.device).expand_as(order)
    ranks = torch.empty_like(order, dtype=torch.int32).scatter_(1, order, positions)
    return ranks.masked_fill_(~flat.isfinite().all(dim=1, keepdim=True), -1)


def _tiebreak(flat: Tensor, ties: Ties, generator: torch.Generator | None, signed: Tensor | None) -> Tensor:
    """Order in which equal pixels are to follow each other, (B, P)."""
    n_pixels = flat.shape[1]
    raster = torch.arange(n_pixels, device=flat.device)
    if ties == "raster":
        return raster.expand_as(flat)
    if ties == "reverse_raster":
        return raster.flip(0).expand_as(flat)
    if ties == "random":
        if generator is None:
            raise ValueError(
                "ties='random' needs generator=torch.Generator().manual_seed(…), so that the order can be repeated"
            )
        return torch.randperm(n_pixels, generator=generator, device=generator.device).to(flat.device).expand_as(flat)
    if ties == "signed":
        if signed is None:
            raise ValueError("ties='signed' needs signed=, the maps before they were rectified")
        return (signed.flatten(1) + 0.0).sort(dim=1, descending=True, stable=True).indices
    raise unknown("tie rule", ties, get_args(Ties))


def tied_fraction(attributions: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Share of pixels whose value occurs more than once in the map: what the tie rule decides.

    Returns
    -------
    Tensor of float32, shape (B,)
        In [0, 1]; 0 if all values differ, 1 for a constant map (of more than one pixel), NaN for a map with NaN or
        infinity.
    """
    values = attributions.flatten(1).sort(dim=1).values
    same = values[:, 1:] == values[:, :-1]
    edge = same.new_zeros(len(values), 1)
    tied = torch.cat([same, edge], dim=1) | torch.cat([edge, same], dim=1)
    share = tied.double().mean(dim=1).float()
    return share.masked_fill(~values.isfinite().all(dim=1), torch.nan)


def positive_fraction(attributions: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Share of pixels with a value above zero: what is left of the map when it is rectified; the rest is one tie.

    Returns
    -------
    Tensor of float32, shape (B,)
        In [0, 1]; 0 for a map without positive evidence, whose rectified map is zero everywhere, NaN for a map with NaN
        or infinity.
    """
    flat = attributions.flatten(1)
    share = (flat > 0).double().mean(dim=1).float()
    return share.masked_fill(~flat.isfinite().all(dim=1), torch.nan)


@dataclass(frozen=True)
class Order:
    """A complete rule from map to ranks.

    Attributes
    ----------
    ties : {"raster", "reverse_raster", "random", "signed"}
        See `pixel_ranks`.
    rectify : bool
        Whether negative relevance counts as zero (and so becomes one large tie).
    first : {"most", "least", "random"}
        Whether rank 0 is the most or the least relevant pixel. "least" ranks the negated map by the same tie rule, so
        that negating a map exchanges the two. "random" ignores the map: a reference order, drawn from the seed and the
        image's own values, the same for all maps of an image.
    seed : int
        Of the shuffle, for ``ties="random"`` and ``first="random"``.
    """

    ties: Ties = "reverse_raster"
    rectify: bool = False
    first: First = "most"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ties not in get_args(Ties):
            raise unknown("tie rule", self.ties, get_args(Ties))
        if self.first not in get_args(First):
            raise unknown("end to start from", self.first, get_args(First))

    def __call__(
        self,
        attributions: Float[Tensor, "B H W"],
        images: Float[Tensor, "B C H W"] | None = None,
        *,
        pool: Pool | None = None,
    ) -> Int[Tensor, "B P"]:
        """Rank the pixels of each signed map, or its regions; all -1 where it has no order.

        Parameters
        ----------
        attributions : Tensor, shape (B, H, W)
            Signed maps.
        images : Tensor, shape (B, C, H, W), optional
            Needed by ``first="random"``.
        pool : callable, optional
            From maps to one value a region, (B, 1, S), after negative relevance was cut off where `rectify` asks for
            it. Without it every pixel has its own rank.
        """
        pool = pool or _every_pixel
        if self.first == "random":
            return self._random(pool(attributions), images)
        sign = 1 if self.first == "most" else -1
        relevance = attributions.clamp(min=0) if self.rectify else attributions
        generator = torch.Generator().manual_seed(self.seed) if self.ties == "random" else None
        signed = sign * pool(attributions) if self.ties == "signed" else None
        return pixel_ranks(sign * pool(relevance), ties=self.ties, generator=generator, signed=signed)

    def _random(self, values: Tensor, images: Tensor | None) -> Tensor:
        if images is None:
            raise ValueError("an order with first='random' needs images=, as each image has its own")
        n_values = values[0].numel()
        ranks = [torch.randperm(n_values, generator=generator_of(image, self.seed)) for image in images]
        return torch.stack(ranks).to(values.device, torch.int32)


def _every_pixel(maps: Tensor) -> Tensor:
    return maps
