import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from xaibench.statistics.agreement import concordance
from xaibench.statistics.reliability import krippendorff_alpha, reliability

NAN = math.nan
# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, sections A and C: two observers of binary data, and
# four observers with gaps
BINARY = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
FOUR = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


@pytest.mark.parametrize(
    ("ratings", "level", "published"),
    [(BINARY, "interval", 0.095), (BINARY, "ordinal", 0.095), (FOUR, "ordinal", 0.815), (FOUR, "interval", 0.849)],
)
def test_krippendorffs_own_examples(ratings, level, published):
    assert krippendorff_alpha(np.array(ratings, float), level=level) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("level", ["ordinal", "interval"])
@pytest.mark.parametrize("decimals", [6, 1])
def test_alpha_is_that_of_the_package(level, decimals):
    krippendorff = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(0)
    ratings = np.round(rng.random((7, 5)) + 0.2 * np.arange(5), decimals)
    ratings[rng.random((7, 5)) < 0.2] = math.nan
    expected = krippendorff.alpha(ratings, level_of_measurement=level)
    assert krippendorff_alpha(ratings, level=level) == pytest.approx(expected, rel=1e-9)


def test_alpha_without_anything_to_compare():
    assert math.isnan(krippendorff_alpha(np.array([[1.0, NAN], [NAN, 2.0]]), level="interval"))
    assert math.isnan(krippendorff_alpha(np.ones((3, 4)), level="ordinal"))


@pytest.mark.parametrize("decimals", [6, 0])
def test_the_three_coefficients(decimals):
    krippendorff = pytest.importorskip("krippendorff")
    values = np.round(np.random.default_rng(1).normal(0, 1.5, (9, 5)) + np.arange(5), decimals)
    found = reliability(pd.DataFrame(values))
    ranks = stats.rankdata(values, axis=1)
    assert found.alpha_ordinal.estimate == pytest.approx(krippendorff.alpha(ranks, level_of_measurement="ordinal"))
    assert found.alpha_interval.estimate == pytest.approx(krippendorff.alpha(values, level_of_measurement="interval"))
    assert found.kendalls_w.estimate == pytest.approx(concordance(pd.DataFrame(values)).kendalls_w, rel=1e-12)
    for one in (found.alpha_ordinal, found.alpha_interval, found.kendalls_w):
        assert one.low < one.estimate < one.high
    assert (found.n_images, found.n_arms, found.reason) == (9, 5, "")


def test_kendalls_own_kind_of_example():
    # Siegel and Castellan, "Nonparametric Statistics for the Behavioral Sciences": three executives rank six applicants
    ranks = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]], float)
    assert reliability(pd.DataFrame(ranks)).kendalls_w.estimate == pytest.approx(0.16, abs=5e-3)


def test_intervals_are_the_jackknife_by_loops():
    values = np.random.default_rng(2).random((8, 4)) + 0.3 * np.arange(4)
    found = reliability(pd.DataFrame(values))
    ranks = stats.rankdata(values, axis=1)

    def mean_spearman(rows: np.ndarray) -> float:
        return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in itertools.combinations(rows, 2)]))

    def by_loops(statistic, rows: np.ndarray) -> tuple[float, float]:
        estimate = statistic(rows)
        without = np.array([statistic(np.delete(rows, left_out, axis=0)) for left_out in range(8)])
        error = math.sqrt(7 / 8 * ((without - without.mean()) ** 2).sum())
        half = stats.t.ppf(0.975, 7) * error / (1 - estimate**2)
        return math.tanh(math.atanh(estimate) - half), math.tanh(math.atanh(estimate) + half)

    low, high = by_loops(lambda rows: krippendorff_alpha(rows, level="interval"), values)
    assert (found.alpha_interval.low, found.alpha_interval.high) == pytest.approx((low, high), rel=1e-9)
    low, high = by_loops(lambda rows: krippendorff_alpha(rows, level="ordinal"), ranks)
    assert (found.alpha_ordinal.low, found.alpha_ordinal.high) == pytest.approx((low, high), rel=1e-9)
    low, high = by_loops(mean_spearman, ranks)
    assert (found.kendalls_w.low, found.kendalls_w.high) == pytest.approx(
        (max((1 + 7 * low) / 8, 0), (1 + 7 * high) / 8), rel=1e-9
    )


def test_images_that_agree_entirely():
    found = reliability(pd.DataFrame(np.tile([0.1, 0.4, 0.2], (6, 1))))
    for one in (found.alpha_ordinal, found.alpha_interval, found.kendalls_w):
        assert (one.estimate, one.low, one.high) == pytest.approx((1, 1, 1))
        assert one.note == "all images agree entirely"
    assert found.halves.spearman_brown == pytest.approx(1)


def test_harder_images_disagree_in_scores_and_not_in_ranks():
    ease = np.linspace(0, 3, 10)[:, None]
    found = reliability(pd.DataFrame(ease + np.array([0.0, 0.1, 0.2])))
    assert found.alpha_ordinal.estimate == pytest.approx(1)
    assert found.alpha_interval.estimate < 0


def test_gaps_and_silent_arms_are_left_out():
    values = pd.DataFrame(np.random.default_rng(3).random((8, 4)))
    values.loc[2, 1] = math.nan
    expected = reliability(values.drop(index=2))
    found = reliability(values.assign(silent=math.nan))
    assert (found.n_images, found.n_arms) == (7, 4)
    assert found.alpha_ordinal.n_undefined == 1
    assert found.kendalls_w.low == expected.kendalls_w.low


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones((5, 2)), "2 arms"),
        (np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), "2 images"),
        (np.ones((5, 3)), "every image ties all arms"),
        (np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), "all images but one tie all arms"),
        (np.full((4, 3), math.nan), "0 arms"),
    ],
)
def test_undefined_with_a_reason(values, reason):
    found = reliability(pd.DataFrame(values))
    assert reason in found.reason
    for one in (found.alpha_ordinal, found.alpha_interval, found.kendalls_w):
        assert math.isnan(one.estimate)
        assert one.note == found.reason
    assert math.isnan(found.halves.spearman)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 6]))
def test_ranks_ignore_each_images_own_scale(seed, decimals):
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(6, 4)), decimals)
    stretched = np.exp(values) * rng.integers(1, 9, (6, 1)) + rng.integers(0, 9, (6, 1))
    one, other = (reliability(pd.DataFrame(table), n_splits=5) for table in (values, stretched))
    assert one.alpha_ordinal == other.alpha_ordinal or one.reason
    assert one.kendalls_w == other.kendalls_w or one.reason


def alpha_coverage(gap: float, *, n_images: int, runs: int) -> dict[str, float]:
    """Share of runs in which each interval holds the value of 200,000 images; 8 arms, skewed scores in [0, 1]."""
    effects = np.linspace(0, gap, 8)

    def draw(rng: np.random.Generator, n: int) -> pd.DataFrame:
        normal = 0.5 * rng.normal(size=(n, 1)) + rng.normal(size=(n, 8)) + effects
        return pd.DataFrame(stats.beta.ppf(stats.norm.cdf(normal), 0.5, 2))

    rng = np.random.default_rng(9)
    all_images = reliability(draw(rng, 200_000), n_splits=1)
    truths = {name: getattr(all_images, name).estimate for name in ("alpha_ordinal", "alpha_interval", "kendalls_w")}
    # W of n images by the mean rank correlation, which W of very many images is
    truths["kendalls_w"] = (1 + (n_images - 1) * truths["kendalls_w"]) / n_images
    held = dict.fromkeys(truths, 0)
    for _ in range(runs):
        found = reliability(draw(rng, n_images), n_splits=1)
        for name, truth in truths.items():
            held[name] += getattr(found, name).low <= truth <= getattr(found, name).high
    return {name: count / runs for name, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.8, 2.5, 6.0])
def test_coverage_of_alpha_and_w(gap):
    for name, found in alpha_coverage(gap, n_images=50, runs=2000).items():
        assert 0.93 <= found <= 0.97, (name, found)
