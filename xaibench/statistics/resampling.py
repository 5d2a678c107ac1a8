"""Bootstrap means of many columns at once: one matrix of resampling counts times the values."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

_CHUNK = 2**22  # resampled values held at a time: 32 MiB


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
    counts = resampling_counts(n_images, n_resamples=n_resamples, rng=np.random.default_rng(seed))
    return np.concatenate([chunk @ values for chunk in counts]) / n_images


def resampling_counts(
    n_images: int, *, n_resamples: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "chunk images"]]:
    """How often each image occurs in each bootstrap sample, a chunk of samples at a time."""
    per_chunk = max(1, _CHUNK // n_images)
    for start in range(0, n_resamples, per_chunk):
        size = min(per_chunk, n_resamples - start)
        drawn = rng.integers(0, n_images, (size, n_images)) + np.arange(size)[:, None] * n_images
        yield np.bincount(drawn.ravel(), minlength=size * n_images).reshape(size, n_images).astype(np.float64)
