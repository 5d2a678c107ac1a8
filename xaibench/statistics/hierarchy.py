"""Intervals of means over images and seeds (or merged runs), where both are a sample of what there could be.

Seeds that all meet the same images are crossed with them: the squared half-widths of Student's intervals of the two
levels add up [1]_, the seeds' with what images and seeds have together, the images' without it (so that it counts
once). Seeds that meet images of their own hold them nested: then a seed is a cluster. Few seeds make a wide interval,
as they should: two seeds hardly say how seeds differ. Resampling two to five seeds instead is far too narrow
(docs/statistics.md).

.. [1] W. G. Howe, "Approximate Confidence Limits on the Mean of X + Y Where X and Y Are Two Tabled Independent Random
   Variables", JASA 69, 1974.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.intervals import Interval, check_confidence

Design = Literal["crossed", "nested"]


def seed_intervals(
    tables: Mapping[Hashable, pd.DataFrame], *, confidence: float = 0.95
) -> tuple[Design, dict[Hashable, Interval]]:
    """Mean of every arm over seeds and images, crossed or nested as the images' names say.

    Parameters
    ----------
    tables : mapping from seed (or run) to DataFrame
        One column an arm, one row an image by name; NaN where undefined.
    confidence : float
        In (0, 1).

    Returns
    -------
    design : "crossed" or "nested"
        Nested where no image occurs under two seeds, crossed otherwise: an image then counts where it has a value
        under every seed that has the arm.
    intervals : dict of arm to Interval
        Arms by first appearance.
    """
    design = _design(tables)
    arms: list[Hashable] = list(dict.fromkeys(arm for table in tables.values() for arm in table.columns))
    found = {}
    for arm in arms:
        columns = {seed: table[arm] for seed, table in tables.items() if arm in table.columns}
        found[arm] = (_crossed if design == "crossed" else _nested)(columns, confidence)
    return design, found


def crossed_interval(values: Float[np.ndarray, "seeds images"], *, confidence: float = 0.95) -> Interval:
    """Mean over seeds and images, each of which was met with each; an interval of both together.

    Parameters
    ----------
    values : array, shape (seeds, images)
        NaN where undefined: an image without a value under some seed is left out, and its values counted as undefined.
    confidence : float
        In (0, 1).

    Returns
    -------
    Interval
        Bounds are NaN, with a note, for a single seed or image. In simulation at or above its level as long as what
        the seeds add is not both most of the spread and very skewed.
    """
    check_confidence(confidence)
    complete = values[:, np.isfinite(values).all(axis=0)]
    n_seeds, n_images = complete.shape
    n, undefined = complete.size, values.size - complete.size
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, undefined, "no image has a value under every seed")
    mean = float(complete.mean())
    if n_seeds < 2 or n_images < 2:
        single = "seed" if n_seeds < 2 else "image"
        return Interval(mean, math.nan, math.nan, n, undefined, f"one {single}: what it adds is not seen")
    of_seeds, of_images, shared = _variances(complete)
    level = (1 + confidence) / 2
    gaps = values.shape[1] - n_images
    note = f"{gaps} images without a value under every seed are left out" if gaps else ""
    half = math.hypot(
        stats.t.ppf(level, n_seeds - 1) * math.sqrt(of_seeds),
        stats.t.ppf(level, n_images - 1) * math.sqrt(max(of_images - shared, 0.0)),
    )
    return Interval(mean, mean - half, mean + half, n, undefined, note)


def _variances(values: np.ndarray) -> tuple[float, float, float]:
    """What seeds, images and both together add to the variance of the mean; the first two contain the third."""
    n_seeds, n_images = values.shape
    seeds, images, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = values - seeds[:, None] - images[None, :] + mean
    shared = (rest**2).sum() / ((n_seeds - 1) * (n_images - 1)) / values.size
    return float(seeds.var(ddof=1) / n_seeds), float(images.var(ddof=1) / n_images), float(shared)


def _design(tables: Mapping[Hashable, pd.DataFrame]) -> Design:
    images = pd.Index([image for table in tables.values() for image in table.index])
    return "nested" if len(tables) > 1 and images.is_unique else "crossed"


def _crossed(columns: Mapping[Hashable, pd.Series], confidence: float) -> Interval:
    return crossed_interval(pd.concat(list(columns.values()), axis=1).to_numpy(float).T, confidence=confidence)


def _nested(columns: Mapping[Hashable, pd.Series], confidence: float) -> Interval:
    values = np.concatenate([column.to_numpy(float) for column in columns.values()])
    seeds = np.repeat(np.arange(len(columns)), [len(column) for column in columns.values()])
    return cluster_intervals(values[:, None], seeds, confidence=confidence, of="seed")[0]
