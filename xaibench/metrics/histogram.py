"""Entropy of a map's values: how evenly they spread over a histogram's bins.

Rules for the number of bins count the map's P pixels. (Quantus 0.6, whose default of 100 bins is ours, counts array
dimensions in its rules and so ends with a handful of bins for any map.)
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.names import pick

Rule = Callable[[Tensor], Tensor]


def histogram_entropy(
    maps: Float[Tensor, "B H W"], *, bins: int | str | Int[Tensor, " B"] = 100
) -> Float[Tensor, " B"]:
    """Entropy of the histogram of each map's values, in nats; in [0, log(bins)].

    Parameters
    ----------
    maps : Tensor, shape (B, H, W)
        Signed, any scale: bins have equal width between the map's own extremes, each without its right edge but the
        last.
    bins : int, str, or Tensor of int, shape (B,)
        Their number, a rule from `BIN_RULES`, or a number for each map.

    Returns
    -------
    Tensor of float64, shape (B,)
        0 for a constant map, whose values lie in one bin; NaN for a map with NaN or infinity.
    """
    counts = (bins if isinstance(bins, Tensor) else bin_counts(maps, bins)).to(maps.device)[:, None]
    values = maps.flatten(1).double()
    low, span = values.amin(dim=1, keepdim=True), _span(values)[:, None]
    places = ((values - low) / span * counts).nan_to_num(0, 0, 0).long().minimum(counts - 1)
    histogram = values.new_zeros(len(values), int(counts.max()) if len(values) else 1)
    histogram.scatter_add_(1, places, torch.ones_like(values))
    entropy = torch.special.entr(histogram / values.shape[1]).sum(dim=1)
    return entropy.masked_fill(~values.isfinite().all(dim=1), torch.nan)


def bin_counts(maps: Float[Tensor, "B H W"], bins: int | str) -> Int[Tensor, " B"]:
    """Return the number of bins for each map: `bins` itself, or what the rule of that name says.

    A rule gives what `numpy.histogram_bin_edges` makes of it, but no more bins than pixels. Freedman–Diaconis gives one
    bin where over half of the values are equal, as in many rectified maps, and every rule does for a constant map.
    """
    checked_bins(bins)
    if isinstance(bins, int):
        return torch.full((len(maps),), bins, device=maps.device)
    values = maps.flatten(1).double()
    width = BIN_RULES[bins](values)
    counts = (_span(values) / width).nan_to_num(1, 1, 1)  # a width of zero
    return (counts - 1e-9).ceil().clamp(1, values.shape[1]).long()  # 100.00000000000001 bins are 100


def checked_bins(bins: int | str) -> None:
    """Raise a `ValueError` if `bins` is neither a number of at least 2 nor a rule's name."""
    if isinstance(bins, str):
        pick("rule for the number of bins", bins, BIN_RULES)
    elif bins < 2:
        raise ValueError(f"bins must be at least 2, or a rule: {', '.join(BIN_RULES)}; got {bins}")


def _span(values: Tensor) -> Tensor:
    return values.amax(dim=1) - values.amin(dim=1)


def _freedman_diaconis(values: Tensor) -> Tensor:
    ends = torch.tensor([0.25, 0.75], dtype=values.dtype, device=values.device)
    low, high = torch.stack([torch.quantile(row, ends) for row in values]).unbind(dim=1)  # by row: its size is limited
    return 2 * (high - low) / values.shape[1] ** (1 / 3)


def _scott(values: Tensor) -> Tensor:
    return (24 * math.sqrt(math.pi) / values.shape[1]) ** (1 / 3) * values.std(dim=1, correction=0)


BIN_RULES: dict[str, Rule] = {
    "freedman_diaconis": _freedman_diaconis,
    "scott": _scott,
    "sturges": lambda values: _span(values) / (math.log2(values.shape[1]) + 1),
    "rice": lambda values: _span(values) / (2 * values.shape[1] ** (1 / 3)),
    "square_root": lambda values: _span(values) / math.sqrt(values.shape[1]),
}
"""By name; each gives the bins' width for rows of values (B, P)."""
