"""How similar are two maps of the same image? Rank and linear correlation, structure, and overlap of the strongest
pixels.

Each function takes two batches of maps (B, H, W) and returns (B,), 1 for identical maps, computed in double precision.
**Undefined is NaN**: a constant map has no ranks and no structure, a map with NaN or infinity has nothing;
`why_undefined` says which of the two maps is the reason.

These similarities serve parameter randomization [1]_, where a high value means that the explanation does not depend on
what was randomized. A smooth map of low resolution looks similar to any other after upsampling, so a value needs its
calibration: the same similarity between random maps of that resolution.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy
import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.structure import hog_descriptors, scaled_to_unit, ssim
from xaibench.metrics.undefined import why_either_undefined


@dataclass(frozen=True)
class Similarity:
    """A similarity in two halves, so that a map compared with many is described once.

    Attributes
    ----------
    describe : callable
        Maps (B, H, W) to whatever is compared, row by row.
    compare : callable
        Two descriptions to values (B,).
    absolute : bool
        Whether only the maps' magnitudes count.
    """

    describe: Callable[[Tensor], Tensor]
    compare: Callable[[Tensor, Tensor], Tensor]
    absolute: bool = False

    def __call__(self, first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
        """Compare maps; (B,)."""
        return self.compare(self.describe(first), self.describe(second))


def pearson(first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Linear correlation over pixels, in [-1, 1]; signed."""
    return correlation(first.flatten(1).double(), second.flatten(1).double())


def spearman(
    first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"], *, absolute: bool = False
) -> Float[Tensor, " B"]:
    """Rank correlation over pixels, in [-1, 1]; equal pixels share the average of their ranks.

    Parameters
    ----------
    first, second : Tensor, shape (B, H, W)
        Maps of the same images. Only the order of the pixels matters.
    absolute : bool, default False
        Whether to rank magnitudes. The paper reports both: input × gradient keeps its magnitudes (they show the
        input's edges) where its signs have become arbitrary.
    """
    return correlation(_ranked(first, absolute=absolute), _ranked(second, absolute=absolute))


def hog_correlation(first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Rank correlation of the maps' histograms of oriented gradients, in [-1, 1]; see `hog_descriptors`.

    Orientations are unsigned: a map and its negative correlate by 1. Many entries are nearly equal, so rounding moves
    the value by 1e-3.
    """
    return correlation(_ranked_hog(first), _ranked_hog(second))


def top_k_overlap(
    first: Float[Tensor, "B H W"], second: Float[Tensor, "B H W"], *, fraction: float = 0.1
) -> Float[Tensor, " B"]:
    """Share of one map's strongest pixels that are among the other's strongest, too; in [0, 1].

    Independent maps overlap by `fraction`. Where the last place is shared by equal pixels, each of them is in by the
    same part, so that the value is the expectation over random orders among equals.

    Parameters
    ----------
    first, second : Tensor, shape (B, H, W)
        Signed maps; the strongest pixels are the largest ones.
    fraction : float, default 0.1
        Share of the pixels that count as strongest, in (0, 1).
    """
    return _overlap(_strongest(first, fraction=fraction), _strongest(second, fraction=fraction))


def average_ranks(values: Float[Tensor, "B P"]) -> Float[Tensor, "B P"]:
    """Ranks 1 … P along each row, ascending; equal values share their average rank. NaN where a value is not finite."""
    rows, pixels = values.shape
    ordered, order = _sorted(values)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = begins.flatten().nonzero()[:, 0]  # of each run of equal values, counted through all rows
    sizes = first.diff(append=first.new_tensor([rows * pixels]))
    average = (first + (sizes + 1).double() / 2).repeat_interleave(sizes, output_size=rows * pixels)
    before = torch.arange(rows, device=values.device)[:, None] * pixels
    ranks = torch.empty_like(average).view(rows, pixels).scatter_(1, order, average.view(rows, pixels) - before)
    finite = ordered[:, [0, -1]].isfinite().all(dim=1, keepdim=True)  # infinities stand at the ends, NaN at the last
    return ranks.masked_fill_(~finite, torch.nan)


def _sorted(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in ascending order, NaN last, and where each value was; on a CPU by NumPy, which is quicker."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return values.sort(dim=1)
    order = torch.from_numpy(numpy.argsort(values.detach().numpy(), axis=1))
    return values.gather(1, order), order


def correlation(first: Float[Tensor, "B P"], second: Float[Tensor, "B P"]) -> Float[Tensor, " B"]:
    """Pearson correlation of each pair of rows; NaN where one of them is constant or not finite."""
    constant = (first == first[:, :1]).all(dim=1) | (second == second[:, :1]).all(dim=1)
    first, second = first - first.mean(dim=1, keepdim=True), second - second.mean(dim=1, keepdim=True)
    norms = torch.linalg.vector_norm(first, dim=1) * torch.linalg.vector_norm(second, dim=1)
    value = ((first * second).sum(dim=1) / norms).clamp(-1, 1)  # rounding may pass 1 by 1e-16
    return value.masked_fill(constant, torch.nan)


def _flat(maps: Tensor) -> Tensor:
    return maps.flatten(1).double()


def _ranked(maps: Tensor, *, absolute: bool = False) -> Tensor:
    return average_ranks((maps.abs() if absolute else maps).flatten(1))


def _ranked_hog(maps: Tensor) -> Tensor:
    return average_ranks(hog_descriptors(maps))


def _strongest(maps: Tensor, *, fraction: float) -> Tensor:
    """By how much each pixel belongs to the strongest: 1, 0, or a part where equals share the last places."""
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie strictly between 0 and 1; got {fraction}")
    values = maps.flatten(1)
    k = max(1, round(fraction * values.shape[1]))
    threshold = values.topk(k, dim=1).values[:, -1:]
    above, equal = values > threshold, values == threshold
    places_left = k - above.sum(dim=1, keepdim=True)
    membership = above.double() + equal.double() * places_left / equal.sum(dim=1, keepdim=True)
    undefined = (values == values[:, :1]).all(dim=1) | ~values.isfinite().all(dim=1)
    return membership.masked_fill(undefined[:, None], torch.nan)


def _overlap(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(dim=1) / first.sum(dim=1)


SIMILARITIES: dict[str, Similarity] = {
    "spearman": Similarity(_ranked, correlation),
    "spearman_abs": Similarity(partial(_ranked, absolute=True), correlation, absolute=True),
    "pearson": Similarity(_flat, correlation),
    "ssim": Similarity(scaled_to_unit, partial(ssim, scaled=False)),
    "ssim_paper": Similarity(scaled_to_unit, partial(ssim, scaled=False, data_range=2.0, sample_covariance=True)),
    "hog": Similarity(_ranked_hog, correlation),
    "top_10_percent": Similarity(partial(_strongest, fraction=0.1), _overlap),
}
"""By name; each maps two batches of maps (B, H, W) to (B,)."""


def why_undefined(
    name: str,
    first: Float[Tensor, "B H W"],
    second: Float[Tensor, "B H W"],
    *,
    whose: tuple[str, str] = ("trained model", "randomized model"),
) -> list[str]:
    """Say for each pair why the similarity called `name` has no value; "" where it has one.

    Parameters
    ----------
    name : str
        Key of `SIMILARITIES`.
    first, second : Tensor, shape (B, H, W)
        Maps, by default of the trained and of the randomized network.
    whose : (str, str)
        What to call the two in the reason.
    """
    if SIMILARITIES[name].absolute:
        first, second = first.abs(), second.abs()
    return why_either_undefined(first, second, whose=whose)
