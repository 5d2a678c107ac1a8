"""Paired comparisons of all arms on the images where both are defined.

The test flips the signs of the paired differences [1]_: under the null hypothesis that two arms are exchangeable on
every image, all 2^n patterns are equally likely. Up to 13 images all are looked at, beyond that a fixed draw of them.
Adjusted p-values are Holm's [2]_, over the family of all comparisons made together. What is tested is more than that the
means are equal: exact is the test for differences that are symmetric around 0. Of two arms with the same mean and unlike
shapes, whose differences are skewed, p holds only about, the better the more images there are.

.. [1] R. A. Fisher, "The Design of Experiments", 1935, section 21.
.. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
"""

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from xaibench.names import unknown
from xaibench.statistics.intervals import N_RESAMPLES, mean_intervals, wilson_interval

COLUMNS = [
    "first", "second", "n", "difference", "low", "high", "superiority", "superiority_low", "superiority_high",
    "p", "p_adjusted", "family", "test", "note",
]  # fmt: skip
EXACT_UP_TO = 13  # 2 ** 13 patterns are fewer than the default draw
_CHUNK = 2**22
_KEPT = 2**26  # signs of one byte that are kept for the next table of as many images

TESTS = ("sign_flip", "wilcoxon")


def compare_pairs(
    values: pd.DataFrame,
    *,
    higher_is_better: bool,
    pairs: Sequence[tuple[Hashable, Hashable]] | None = None,
    test: str = "sign_flip",
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Difference of means, effect size and test for every pair of columns.

    Parameters
    ----------
    values : DataFrame
        One column an arm, one row an image; NaN where undefined. A pair is compared on the images where both are
        defined.
    higher_is_better : bool
        The metric's direction: says which of two arms is superior on an image.
    pairs : sequence of pairs of column names, optional
        The family to look at; all pairs, in the columns' order, by default.
    test : "sign_flip" or "wilcoxon"
        Test of the paired differences; SciPy's signed-rank test drops zero differences.
    confidence, n_resamples, seed
        Of the intervals and of the draw of sign patterns.

    Returns
    -------
    DataFrame
        One row a pair: `difference` is the mean of first minus second with its BCa interval `low` to `high`;
        `superiority` the share of images on which first is the better one, ties counting half, with Wilson's
        interval; `p` two-sided, `p_adjusted` by Holm over the `family` comparisons that have a p; `test` what was
        done. NaN with a `note` where no image is shared.
    """
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    pairs = list(itertools.combinations(values.columns, 2)) if pairs is None else list(pairs)
    if not pairs:
        return pd.DataFrame(columns=COLUMNS)
    differences = np.column_stack(
        [values[first].to_numpy(float) - values[second].to_numpy(float) for first, second in pairs]
    )
    table = pd.DataFrame(pairs, columns=["first", "second"], dtype=object)
    intervals = mean_intervals(differences, confidence=confidence, n_resamples=n_resamples, seed=seed)
    table["n"] = [interval.n for interval in intervals]
    for name, field in (("difference", "estimate"), ("low", "low"), ("high", "high"), ("note", "note")):
        table[name] = [getattr(interval, field) for interval in intervals]
    wins = [superiority(column if higher_is_better else -column, confidence=confidence) for column in differences.T]
    table[["superiority", "superiority_low", "superiority_high"]] = wins
    table["p"], table["test"] = _test(differences, test, n_resamples, seed)
    table["p_adjusted"] = holm(table["p"].to_numpy(float))
    table["family"] = int(table["p"].notna().sum())
    return table[COLUMNS]


def sign_flip_p(
    differences: Float[np.ndarray, "images pairs"], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Float[np.ndarray, " pairs"]:
    """Two-sided p of the sign-flip test on the mean of every column.

    NaN differences take no part: a zero does not change whichever way its sign is flipped. All pairs share the
    patterns. Drawn patterns give (hits + 1) / (patterns + 1), which is valid at every level. A column without values
    has p = NaN.
    """
    defined = np.isfinite(differences)
    filled = np.where(defined, differences, 0.0)
    observed = np.abs(filled.sum(axis=0)) - 1e-12 * np.abs(filled).sum(axis=0)  # sums equal but for rounding are hits
    n_images, n_pairs = filled.shape
    hits, n_patterns = np.zeros(n_pairs), 0
    for signs in sign_patterns(n_images, n_resamples, seed):
        hits += (np.abs(signs @ filled) >= observed).sum(axis=0)
        n_patterns += len(signs)
    p = hits / n_patterns if n_images <= EXACT_UP_TO else (hits + 1) / (n_patterns + 1)
    return np.where(defined.any(axis=0), p, math.nan)


def images_p(differences: Float[np.ndarray, "seeds images"], *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> float:
    """`sign_flip_p` over images, each averaged over the seeds in which it is defined; NaN where none is.

    The seeds are taken as given: what others would add is in an interval that resamples them, not in this p.
    """
    known = np.isfinite(differences)
    counts = known.sum(axis=0)
    means = np.where(known, differences, 0.0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return float(sign_flip_p(means[:, None], n_resamples=n_resamples, seed=seed)[0]) if len(means) else math.nan


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjusted p-values in the order given; NaN stays NaN and does not count as a comparison."""
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p_values, math.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def superiority(differences: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Share of images with a positive difference, ties counting half, and its Wilson interval.

    The interval is conservative under ties.
    """
    differences = np.asarray(differences, dtype=np.float64)
    kept = differences[np.isfinite(differences)]
    if not len(kept):
        return math.nan, math.nan, math.nan
    share = float((kept > 0).mean() + (kept == 0).mean() / 2)
    return share, *wilson_interval(share, len(kept), confidence=confidence)


def sign_patterns(n_images: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Patterns of signs over images, (patterns, images), in chunks: all there are, or a draw of them for many images."""
    if n_images <= EXACT_UP_TO:
        bits = np.arange(2**n_images)[:, None] >> np.arange(n_images) & 1
        yield 1.0 - 2.0 * bits
        return
    few = n_images * n_resamples <= _KEPT
    for chunk in (_kept_bits if few else _drawn_bits)(n_images, n_resamples, seed):
        yield 1.0 - 2.0 * chunk


@lru_cache(maxsize=4)
def _kept_bits(n_images: int, n_resamples: int, seed: int) -> list[np.ndarray]:
    return list(_drawn_bits(n_images, n_resamples, seed))


def _drawn_bits(n_images: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    per_chunk = max(1, _CHUNK // n_images)
    for start in range(0, n_resamples, per_chunk):
        size = min(per_chunk, n_resamples - start)
        yield rng.integers(0, 2, (size, n_images)).astype(np.int8)


def _test(differences: np.ndarray, test: str, n_resamples: int, seed: int) -> tuple[np.ndarray, str]:
    if test == "wilcoxon":
        return np.array([_wilcoxon(column[np.isfinite(column)]) for column in differences.T]), "Wilcoxon signed-rank"
    p = sign_flip_p(differences, n_resamples=n_resamples, seed=seed)
    exact = len(differences) <= EXACT_UP_TO
    return p, "exact sign flip" if exact else f"sign flip, {n_resamples} patterns"


def _wilcoxon(differences: np.ndarray) -> float:
    if not len(differences):
        return math.nan
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0
