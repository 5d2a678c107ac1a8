"""Explaining images again after small changes: what robustness is measured from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.changes import check_given
from xaibench.metrics.draws import generator_for
from xaibench.metrics.map_scores import MapScores
from xaibench.names import unknown

DISTRIBUTIONS = ("uniform", "gaussian")
Explain = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""Maps images (B, C, H, W) and targets (B,) to maps (B, h, w) for each layer."""

NEARBY_NOT_FINITE = "map of a changed image holds NaN or infinity"
ZERO = "map of zeros"


@dataclass(frozen=True)
class Neighbourhood:
    """Random points around an image, in normalized units.

    Attributes
    ----------
    radius : float
        Half the side of the cube around the image (``uniform``), or the standard deviation (``gaussian``).
    n_draws : int
        Points for each image.
    distribution : {"uniform", "gaussian"}
        Of the difference, independently for each channel value.
    seed : int
        The points depend on it and on the image.
    """

    radius: int | float = 0.02
    n_draws: int = 10
    distribution: str = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.radius > 0 or self.n_draws < 1:
            raise ValueError(
                f"radius must be above 0 and n_draws at least 1, got radius={self.radius} and n_draws={self.n_draws}"
            )
        if self.distribution not in DISTRIBUTIONS:
            raise unknown("distribution", self.distribution, DISTRIBUTIONS)

    def differences(self, image: Float[Tensor, "C H W"]) -> Iterator[Float[Tensor, "C H W"]]:
        """Draw the differences between the image and its neighbours, one after another."""
        generator = generator_for(image, self.seed, "nearby")
        for _ in range(self.n_draws):
            if self.distribution == "uniform":
                drawn = 2 * torch.rand(image.shape, generator=generator) - 1
            else:
                drawn = torch.randn(image.shape, generator=generator)
            yield self.radius * drawn.to(image)


@dataclass(frozen=True, eq=False)
class Nearby:
    """Some neighbours of images and their maps.

    Attributes
    ----------
    rows : Tensor of int64, shape (n,)
        Number of the image in the batch that each one is a neighbour of.
    images : Tensor, shape (n, C, H, W)
    maps : mapping from layer to Tensor, shape (n, h, w)
    """

    rows: Int[Tensor, " n"]
    images: Float[Tensor, "n C H W"]
    maps: Mapping[str, Tensor]


def explained_nearby(
    explain: Explain,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    neighbourhood: Neighbourhood,
    *,
    differences: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> Iterator[Nearby]:
    """Explain the neighbours of each image for the image's target, in full batches.

    Parameters
    ----------
    explain : callable
        Gives the maps of all layers at once, so that layers share the passes.
    images, targets : Tensor, shapes (B, C, H, W), (B,)
    neighbourhood : Neighbourhood
        Where neighbours are drawn.
    differences : Tensor, shape (B, N, C, H, W), optional
        Differences to take instead, the same number for each image.
    batch_size : int, default 32
        Neighbours explained together; what bounds the memory.

    Yields
    ------
    Nearby
        Image after image, draw after draw.
    """
    check_given(differences, images, "differences")
    stream = (
        (b, image + difference.to(image))
        for b, image in enumerate(images)
        for difference in (neighbourhood.differences(image) if differences is None else differences[b])
    )
    while piece := list(islice(stream, batch_size)):
        rows = torch.tensor([b for b, _ in piece], device=images.device)
        changed = torch.stack([image for _, image in piece])
        yield Nearby(rows, changed, explain(changed, targets[rows]))


def by_image(parts: Iterable[Tensor], n_images: int) -> Float[Tensor, "B N"]:
    """Line up one value for each neighbour, as `explained_nearby` yields them, by image; float64 on the CPU."""
    return torch.cat([part.double().cpu() for part in parts]).view(n_images, -1)


def one_map_each(values: Float[Tensor, " B"], reasons: Sequence[str], passes: float) -> MapScores:
    """Make scores of one map an image; NaN where there is a reason, and a reason where there is NaN."""
    told = [reason or (NEARBY_NOT_FINITE if nan else "") for reason, nan in zip(reasons, values.isnan(), strict=True)]
    undefined = torch.tensor([bool(reason) for reason in told], dtype=torch.bool)
    return MapScores(
        values.masked_fill(undefined, torch.nan)[:, None],
        torch.full((len(told), 1), passes, dtype=torch.float64),
        tuple((reason,) for reason in told),
    )


def norms(maps: Tensor) -> Float[Tensor, " B"]:
    """Euclidean norm of each map over all its entries, in float64."""
    return torch.linalg.vector_norm(maps.flatten(1).double(), dim=1)
