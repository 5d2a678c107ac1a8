"""Bootstrap means of many columns at once: one matrix of resampling counts times the values."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Integer

_CHUNK = 2**22  # resampled values held at a time: 32 MiB
_KEPT = 2**26  # counts of one byte that are kept for the next table of as many images


def bootstrap_means(
    values: Float[np.ndarray, "images columns"], *, n_resamples: int, seed: int
) -> Float[np.ndarray, "resamples columns"]:
    """Mean of every column in every bootstrap sample of the rows; all columns share the samples.

    Parameters
    ----------
    values : array, shape (images, columns)
        Without NaN.
    n_resamples : int
        Number of bootstrap samples.
    seed : int
        Of the draw; the indices are those of ``scipy.stats.bootstrap`` with ``rng=numpy.random.default_rng(seed)``.
    """
    n_images = len(values)
    return (
        np.concatenate([chunk @ values for chunk in seeded_counts(n_images, n_resamples=n_resamples, seed=seed)])
        / n_images
    )


def resampling_counts(
    n_images: int, *, n_resamples: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "chunk images"]]:
    """How often each image occurs in each bootstrap sample, a chunk of samples at a time."""
    for chunk in _drawn(n_images, n_resamples, rng):
        yield chunk.astype(np.float64)


def seeded_counts(n_images: int, *, n_resamples: int, seed: int) -> Iterator[Float[np.ndarray, "chunk images"]]:
    """`resampling_counts` of a seed: drawn once for all tables of as many images, but where that takes much memory."""
    if n_images * n_resamples > _KEPT:
        return resampling_counts(n_images, n_resamples=n_resamples, rng=np.random.default_rng(seed))
    return (chunk.astype(np.float64) for chunk in _kept_counts(n_images, n_resamples, seed))


@lru_cache(maxsize=4)
def _kept_counts(n_images: int, n_resamples: int, seed: int) -> list[np.ndarray]:
    chunks = _drawn(n_images, n_resamples, np.random.default_rng(seed))
    return [chunk.astype(np.uint8 if chunk.max() < 2**8 else chunk.dtype) for chunk in chunks]


def _drawn(n_images: int, n_resamples: int, rng: np.random.Generator) -> Iterator[Integer[np.ndarray, "chunk images"]]:
    per_chunk = max(1, _CHUNK // n_images)
    for start in range(0, n_resamples, per_chunk):
        size = min(per_chunk, n_resamples - start)
        drawn = rng.integers(0, n_images, (size, n_images)) + np.arange(size)[:, None] * n_images
        yield np.bincount(drawn.ravel(), minlength=size * n_images).reshape(size, n_images)
