"""Maps made worse on purpose, a share of their cells at a time, to see whether a metric notices.

The cells change places and keep their values: a corrupted map holds what the map held, as bright and as sparse, and only
knows less of where. A metric that cannot tell the two apart does not look at the place. Held against the shares
0, 0.25, …, 1, its score must fall with each of them.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import generator_of


def corrupted_maps(
    maps: Float[Tensor, "B h w"], images: Float[Tensor, "B C H W"], *, share: int | float, seed: int
) -> Float[Tensor, "B h w"]:
    """Let a share of each map's cells change places.

    The cells of a map are put into a random order; the first k of them, k the share of all cells rounded, pass their
    values on in a ring. So every one of them gets the value of another cell, what was misplaced at a smaller share is
    misplaced at a larger one, too, and a share of 1 is a permutation that leaves no cell in its place.

    Parameters
    ----------
    maps : Tensor, shape (B, h, w)
        Any values; NaN moves like any other.
    images : Tensor, shape (B, C, H, W)
        The order depends on the image's own values and the number of cells, never on the rest of the batch.
    share : float
        In [0, 1]. A share of fewer than two cells changes nothing.
    seed : int

    Returns
    -------
    Tensor, shape (B, h, w)
        The same values at other places; the maps themselves for a share of 0.
    """
    flat = maps.flatten(1).clone()
    n_moved = int(share * flat.shape[1] + 0.5)
    for values, image in zip(flat, images, strict=True):
        order = torch.randperm(len(values), generator=generator_of(image, seed))[:n_moved].to(values.device)
        values[order] = values[order.roll(-1)]
    return flat.view_as(maps)


@dataclass(frozen=True)
class Corrupted(Explainer):
    """Another explainer's maps with a share of their cells misplaced; see `corrupted_maps`.

    Layers and upsampling are the other explainer's: a coarse map is corrupted before it is upsampled, cell by cell.

    Attributes
    ----------
    explainer : Explainer
    share : float
        Of the cells, in [0, 1].
    seed : int
        The same seed gives the shares of one explainer the same order of cells.
    """

    name: ClassVar[str] = "corrupted"

    explainer: Explainer
    share: int | float
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not 0 <= self.share <= 1:
            raise ValueError(f"share of a corrupted map's cells must lie between 0 and 1; got {self.share!r}")
        for key in ("layers", "upsampling"):
            object.__setattr__(self, key, getattr(self.explainer, key))

    @property
    def resize(self) -> str:
        """The other explainer's."""
        return self.explainer.resize

    def forward_passes(self) -> float:
        """Return the other explainer's own: moving cells costs none."""
        return self.explainer.forward_passes()

    def informed(self, masks: Bool[Tensor, "B H W"]) -> "Corrupted":
        """Tell the other explainer where the objects are."""
        return Corrupted(self.explainer.informed(masks), self.share, self.seed)

    def maps(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """Return the other explainer's maps, corrupted; `generator` is for that explainer alone."""
        found = self.explainer.maps(model, images, targets, generator=generator)
        return {
            layer: corrupted_maps(values, images, share=self.share, seed=self.seed) for layer, values in found.items()
        }
