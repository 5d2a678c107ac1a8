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

from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.crossed import crossed_spread
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
        Nested where no image occurs under two seeds, crossed otherwise.
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


def crossed_interval(
    values: Float[np.ndarray, "seeds images"], *, confidence: float = 0.95, given_single: bool = False
) -> Interval:
    """Mean of the defined values over seeds and images that met each other; an interval of both together.

    Parameters
    ----------
    values : array, shape (seeds, images)
        NaN where undefined.
    confidence : float
        In (0, 1).
    given_single : bool
        Whether a single seed (or image) is taken as given, so that the interval is Student's of the images (or the
        seeds) alone; its bounds are NaN otherwise. The note tells which level is not seen.

    Returns
    -------
    Interval
        In simulation at or above its level as long as what the seeds add is not both most of the spread and very
        skewed, with gaps at random, too.
    """
    check_confidence(confidence)
    defined = np.isfinite(values)
    n, undefined = int(defined.sum()), int((~defined).sum())
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, undefined, "no value is defined")
    mean, spread = float(values[defined].mean()), crossed_spread(values)
    sizes = {"seed": spread.n_seeds, "image": spread.n_images}
    single = [level for level, size in sizes.items() if size == 1]
    note = " and ".join(f"one {level}: what it adds is not seen" for level in single)
    if len(single) == 2 or (single and not given_single):
        return Interval(mean, math.nan, math.nan, n, undefined, note)
    half = spread.half_width(confidence=confidence)
    return Interval(mean, mean - half, mean + half, n, undefined, note)


def _design(tables: Mapping[Hashable, pd.DataFrame]) -> Design:
    images = pd.Index([image for table in tables.values() for image in table.index])
    return "nested" if len(tables) > 1 and images.is_unique else "crossed"


def _crossed(columns: Mapping[Hashable, pd.Series], confidence: float) -> Interval:
    return crossed_interval(pd.concat(list(columns.values()), axis=1).to_numpy(float).T, confidence=confidence)


def _nested(columns: Mapping[Hashable, pd.Series], confidence: float) -> Interval:
    values = np.concatenate([column.to_numpy(float) for column in columns.values()])
    seeds = np.repeat(np.arange(len(columns)), [len(column) for column in columns.values()])
    return cluster_intervals(values[:, None], seeds, confidence=confidence, of="seed")[0]
