"""Random sets of pixels and the generators they come from: fixed by seed and image, never by the batch."""

from collections.abc import Iterator
from zlib import crc32

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.explainers.references import generator_of

PIECE = 32
"""Draws that are held at once: what bounds the memory. Part of the definition, as a generator's values depend on it."""


def generator_for(image: Float[Tensor, "C H W"], seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator for one image's draws.

    Parameters
    ----------
    image : Tensor, shape (C, H, W)
        Its values decide, not its place in a batch.
    seed : int
        At least 0.
    purpose : str
        What is drawn, so that two users of the same seed (a metric and a random map) do not draw alike.
    """
    return generator_of(image, seed + (crc32(purpose.encode()) << 32))


def pieces(count: int) -> Iterator[int]:
    """Cut `count` draws into pieces of `PIECE`, the last one shorter."""
    for start in range(0, count, PIECE):
        yield min(PIECE, count - start)


def random_subsets(count: int, size: int, n_features: int, generator: torch.Generator) -> Iterator[Bool[Tensor, "N P"]]:
    """Draw `count` sets of exactly `size` of `n_features` features, uniformly and independently, piece by piece.

    Yields
    ------
    Tensor of bool, shape (N, P), N at most `PIECE`
        True on the members.
    """
    for n in pieces(count):
        keys = torch.rand(n, n_features, generator=generator, dtype=torch.float64)
        yield keys <= keys.kthvalue(size, dim=1, keepdim=True).values
