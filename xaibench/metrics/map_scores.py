"""What a metric gives for M maps of each of B images, whatever the metric: the form in which the shards record it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.explainer import Explainer


@dataclass(frozen=True, eq=False)
class Removal:
    """How much a curve was asked to remove, and how much it removed.

    Attributes
    ----------
    name : str
        Which of the metric's curves, such as ``morf``; "" where there is one.
    asked : Tensor of float64, shape (T,)
        Share of pixels to be removed at each point.
    removed : Tensor of float64, shape (B, M, T)
        Share that was removed; NaN where undefined.
    """

    name: str
    asked: Float[Tensor, " T"]
    removed: Float[Tensor, "B M T"]

    @property
    def errors(self) -> Float[Tensor, "B M"]:
        """Removed less asked at the point where the two differ most; NaN where undefined."""
        excess = self.removed - self.asked
        return excess.gather(2, excess.abs().argmax(dim=2, keepdim=True))[:, :, 0]


@dataclass(frozen=True, eq=False)
class MapScores:
    """One value for every map of every image; all tensors on the CPU.

    Attributes
    ----------
    values : Tensor of float64, shape (B, M)
        NaN where undefined.
    forward_passes : Tensor of float64, shape (B, M)
        Images put through the model for each value; a pass that several values share counts in equal parts, so that
        the sum is the exact number.
    reasons : tuple of tuples of str, (B, M)
        Why a value is undefined; "" where it is not.
    curve_x, curve_y : Tensor, shape (B, M, T), optional
        The curve behind each value, where there is one.
    errors : Tensor of float64, shape (B, M), optional
        Estimated error of each value, where it was not computed exactly.
    removals : tuple of Removal
        Of metrics that are told which shares to remove.
    """

    values: Float[Tensor, "B M"]
    forward_passes: Float[Tensor, "B M"]
    reasons: tuple[tuple[str, ...], ...]
    curve_x: Float[Tensor, "B M T"] | None = field(default=None)
    curve_y: Float[Tensor, "B M T"] | None = field(default=None)
    errors: Float[Tensor, "B M"] | None = field(default=None)
    removals: tuple[Removal, ...] = ()


def map_alone(values: Float[Tensor, " N"], reasons: Sequence[str], *, n_maps: int) -> MapScores:
    """Give the values of B images' M maps, one behind the other, that cost no pass; NaN where there is a reason."""
    blanked = values.detach().cpu().double().masked_fill(torch.tensor([bool(reason) for reason in reasons]), torch.nan)
    table = blanked.view(-1, n_maps)
    rows = tuple(tuple(reasons[start : start + n_maps]) for start in range(0, len(reasons), n_maps))
    return MapScores(table, torch.zeros_like(table), rows)


@runtime_checkable
class ModelMetric(Protocol):
    """A metric that asks the model about changed images: correlation, regression, information curves."""

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Score M signed maps of each image."""
        ...


class ByFunction:
    """A `ModelMetric` that is a dataclass of the keywords of one function, `function`, which scores by them."""

    function: ClassVar[Callable[..., MapScores]]

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Score M signed maps of each image."""
        settings = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return type(self).function(model, images, targets, attributions, **settings, batch_size=batch_size)


@runtime_checkable
class MapMetric(Protocol):
    """A metric of the map alone, such as its complexity."""

    def map_scores(self, attributions: Float[Tensor, "B M H W"]) -> MapScores:
        """Score M signed maps of each image without asking the model."""
        ...


@runtime_checkable
class ExplainerMetric(Protocol):
    """A metric that explains changed images again: robustness, coherency."""

    def explainer_scores(
        self,
        model: Any,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        explainer: Explainer,
        attributions: Mapping[str, Float[Tensor, "B H W"]],
        *,
        batch_size: int = 32,
    ) -> dict[str, MapScores]:
        """Score an explainer; by its layer, with M = 1.

        `attributions` are the explainer's own for these images and targets, so that they need not be made again.
        """
        ...
