"""What is a similarity worth? The same similarity between maps that have nothing to do with each other.

A 7 × 7 map upsampled to 224 × 224 has few degrees of freedom: two random ones correlate by ±0.5 where two maps of
white noise correlate by ±0.005. And maps of one explainer share what all images share, such as an object in the
middle. So a similarity with a randomized model's map is read against two bands: between random maps of the same
resolution after the same upsampling, and between the explainer's own maps of different images.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.upsample import upsample
from xaibench.metrics.similarity import SIMILARITIES
from xaibench.names import pick

PAIRS_AT_ONCE = 16
"""How many pairs of upsampled maps are held together; bounds the memory and changes no value."""


def random_map_pairs(
    map_size: tuple[int, int],
    image_size: tuple[int, int],
    *,
    similarities: Sequence[str],
    n_pairs: int,
    generator: torch.Generator,
    rectify: bool,
    upsampling: str = "bilinear",
) -> dict[str, Float[Tensor, " n_pairs"]]:
    """Compare pairs of independent random maps.

    Parameters
    ----------
    map_size : (int, int)
        Height and width at which standard normal values are drawn: the layer's own resolution.
    image_size : (int, int)
        Height and width at which they are compared.
    similarities : sequence of str
        Names from `SIMILARITIES`.
    n_pairs : int
        At least 1; the first pairs of a longer calibration are those of a shorter one.
    generator : torch.Generator
        On the CPU.
    rectify : bool
        Whether negative values are cut off before upsampling, as they are in the maps to be judged.
    upsampling : str
        The explainer's, see `upsample`.

    Returns
    -------
    dict of str to Tensor of float64, shape (n_pairs,)
        By similarity; NaN where one of the two maps is constant, which a small rectified map often is.
    """
    if n_pairs < 1:
        raise ValueError(f"n_pairs of a calibration must be at least 1; got {n_pairs}")
    values: dict[str, list[Tensor]] = {name: [] for name in similarities}
    for pairs in _drawn(map_size, n_pairs, generator):
        small = pairs.relu() if rectify else pairs
        first, second = (upsample(side, image_size, mode=upsampling) for side in small.unbind(dim=1))
        for name, found in values.items():
            found.append(pick("similarity", name, SIMILARITIES)(first, second))
    return {name: torch.cat(found) for name, found in values.items()}


def other_image_pairs(
    attributions: Float[Tensor, "B H W"], similarities: Sequence[str], *, n_partners: int = 1
) -> dict[str, tuple[Int[Tensor, "N 2"], Float[Tensor, " N"]]]:
    """Compare maps of different images.

    Parameters
    ----------
    attributions : Tensor, shape (B, H, W)
        One explainer's maps of B images.
    similarities : sequence of str
        Names from `SIMILARITIES`.
    n_partners : int, default 1
        Each image is compared with so many of those that follow it, the first following the last; no pair twice.

    Returns
    -------
    dict of str to (Tensor of int, shape (N, 2); Tensor of float64, shape (N,))
        By similarity: positions of the pair in the batch, and its value, NaN where a map is constant or not finite.
        Fewer than two images have no pair: N = 0.
    """
    pairs = _cyclic_pairs(len(attributions), n_partners).to(attributions.device)
    first, second = pairs.unbind(dim=1)
    found = {}
    for name in similarities:
        similarity = pick("similarity", name, SIMILARITIES)
        described = similarity.describe(attributions)
        found[name] = (pairs, similarity.compare(described[first], described[second]))
    return found


def _drawn(size: tuple[int, int], n_pairs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Draw maps (pairs, 2, h, w), pair by pair so that no pair depends on how many follow."""
    for start in range(0, n_pairs, PAIRS_AT_ONCE):
        count = min(PAIRS_AT_ONCE, n_pairs - start)
        yield torch.stack([torch.randn(2, *size, generator=generator) for _ in range(count)])


def _cyclic_pairs(count: int, n_partners: int) -> Tensor:
    if n_partners < 1:
        raise ValueError(f"n_partners of a calibration must be at least 1; got {n_partners}")
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for distance in range(1, min(n_partners, count - 1) + 1):
        for index in range(count):
            other = (index + distance) % count
            pairs.setdefault(frozenset((index, other)), (index, other))
    return torch.tensor(list(pairs.values()), dtype=torch.int64).reshape(-1, 2)
