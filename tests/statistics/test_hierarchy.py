import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.crossed import crossed_spread
from xaibench.statistics.hierarchy import crossed_interval, seed_intervals


def test_against_sums_of_squares_by_loops():
    values = np.random.default_rng(0).beta(0.5, 2, (3, 7))
    n_seeds, n_images = values.shape
    mean = values.mean()
    between_seeds = sum(n_images * (row.mean() - mean) ** 2 for row in values) / (n_seeds - 1)
    between_images = sum(n_seeds * (column.mean() - mean) ** 2 for column in values.T) / (n_images - 1)
    rest = sum(
        (values[s, i] - values[s].mean() - values[:, i].mean() + mean) ** 2
        for s in range(n_seeds)
        for i in range(n_images)
    ) / ((n_seeds - 1) * (n_images - 1))
    half = math.sqrt(
        stats.t.ppf(0.975, n_seeds - 1) ** 2 * between_seeds / 21
        + stats.t.ppf(0.975, n_images - 1) ** 2 * max(between_images - rest, 0) / 21
    )
    found = crossed_interval(values)
    assert found.estimate == pytest.approx(mean, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-12)
    assert (found.n, found.n_undefined, found.note) == (21, 0, "")


def test_seeds_that_agree_add_nothing():
    images = np.random.default_rng(1).random(20)
    expected = stats.ttest_1samp(images, 0).confidence_interval(0.95)
    found = crossed_interval(np.tile(images, (4, 1)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_images_that_agree_add_nothing():
    seeds = np.random.default_rng(2).random(6)
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    found = crossed_interval(np.tile(seeds[:, None], (1, 30)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_every_defined_value_counts():
    values = np.random.default_rng(3).random((2, 6))
    values[1, 4] = math.nan
    found = crossed_interval(values)
    assert found.estimate == pytest.approx(np.nanmean(values), rel=1e-12)
    half = crossed_spread(values).half_width(confidence=0.95)
    assert found.high - found.estimate == pytest.approx(half, rel=1e-12)
    assert (found.n, found.n_undefined, found.note) == (11, 1, "")


@pytest.mark.parametrize(("shape", "what"), [((1, 5), "one seed"), ((3, 1), "one image"), ((1, 1), "one seed")])
def test_a_single_seed_or_image_has_no_interval(shape, what):
    found = crossed_interval(np.random.default_rng(4).random(shape))
    assert math.isfinite(found.estimate)
    assert math.isnan(found.low)
    assert what in found.note


def test_a_single_seed_or_image_can_be_taken_as_given():
    values = np.array([0.1, 0.4, 0.2, math.nan, 0.9])
    expected = stats.ttest_1samp(values, 0, nan_policy="omit").confidence_interval(0.9)
    for table, level in ((values[None, :], "seed"), (values[:, None], "image")):
        found = crossed_interval(table, confidence=0.9, given_single=True)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
        assert found.note == f"one {level}: what it adds is not seen"
    alone = crossed_interval(np.array([[0.4]]), given_single=True)
    assert (alone.estimate, math.isnan(alone.low)) == (0.4, True)
    assert alone.note == "one seed: what it adds is not seen and one image: what it adds is not seen"


def test_seeds_without_a_value_are_none():
    values = np.array([[0.1, 0.4, 0.2], [math.nan] * 3])
    assert "one seed" in crossed_interval(values).note
    assert crossed_interval(values, given_single=True).low == crossed_interval(values[:1], given_single=True).low


@pytest.mark.parametrize("shape", [(2, 2), (1, 3), (0, 0)])
def test_nothing_defined(shape):
    found = crossed_interval(np.full(shape, math.nan))
    assert math.isnan(found.estimate)
    assert (found.n, found.n_undefined, found.note) == (0, shape[0] * shape[1], "no value is defined")


def _tables(images: dict[int, list[str]]) -> dict[int, pd.DataFrame]:
    rng = np.random.default_rng(5)
    arms = pd.Index([("cam", "a"), ("cam", "b")], tupleize_cols=False)
    return {
        seed: pd.DataFrame(rng.random((len(names), 2)), index=names, columns=arms) for seed, names in images.items()
    }


def test_same_images_are_crossed_in_whatever_order():
    tables = _tables({0: ["x", "y", "z"], 1: ["z", "x", "y"]})
    design, found = seed_intervals(tables)
    values = np.stack([table.loc[["x", "y", "z"]].to_numpy()[:, 1] for table in tables.values()])
    assert design == "crossed"
    assert found["cam", "b"] == crossed_interval(values)


def test_other_images_are_nested():
    tables = _tables({0: ["x", "y", "z"], 1: ["u", "v"], 2: ["p", "q"]})
    design, found = seed_intervals(tables)
    values = np.concatenate([table.to_numpy() for table in tables.values()])
    expected = cluster_intervals(values, [0, 0, 0, 1, 1, 2, 2], of="seed")
    assert design == "nested"
    for one, other in zip(found.values(), expected, strict=True):
        assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high), rel=1e-12)
        assert one.note == other.note == "3 of them are few: each seed weighs much"


def test_images_met_by_some_seeds_alone_are_gaps_where_others_are_shared():
    tables = _tables({0: ["x", "y", "z"], 1: ["x", "y"]})
    design, found = seed_intervals(tables)
    values = np.stack([table.reindex(["x", "y", "z"]).to_numpy()[:, 0] for table in tables.values()])
    assert design == "crossed"
    assert found["cam", "a"] == crossed_interval(values)
    assert (found["cam", "a"].n, found["cam", "a"].n_undefined) == (5, 1)


def test_an_arm_that_one_seed_lacks_has_the_others():
    tables = _tables({0: ["x", "y"], 1: ["x", "y"], 2: ["x", "y"]})
    tables[1] = tables[1].iloc[:, :1]
    _, found = seed_intervals(tables)
    assert (found["cam", "a"].n, found["cam", "b"].n) == (6, 4)


def test_one_seed_says_so():
    design, found = seed_intervals(_tables({0: ["x", "y"]}))
    assert design == "crossed"
    assert "one seed" in found["cam", "a"].note


SHARES = {"seeds alike": (0.0, 0.6), "seeds 1 %": (0.01, 0.6), "seeds 5 %": (0.05, 0.6), "seeds 20 %": (0.2, 0.5)}
"""Shares of seeds and images in the variance of the normal scores; what both have together is the rest."""


def crossed_coverage(n_seeds: int, of_seeds: float, of_images: float, a: float, b: float, *, runs: int = 3000) -> float:
    """Share of runs of beta-distributed scores of 50 images in which the interval holds the mean."""
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(runs):
        normal = (
            math.sqrt(of_seeds) * rng.normal(size=(n_seeds, 1))
            + math.sqrt(of_images) * rng.normal(size=(1, 50))
            + math.sqrt(1 - of_seeds - of_images) * rng.normal(size=(n_seeds, 50))
        )
        found = crossed_interval(stats.beta.ppf(stats.norm.cdf(normal), a, b))
        held += found.low <= a / (a + b) <= found.high
    return held / runs


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize(("a", "b"), [(0.5, 2), (5, 1)])
def test_coverage_of_crossed_seeds_and_images(n_seeds, shares, a, b):
    found = crossed_coverage(n_seeds, *SHARES[shares], a, b)
    # two or three seeds buy their level with a wider interval than needed
    assert 0.93 <= found <= (0.97 if n_seeds >= 5 else 0.99), found


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
@pytest.mark.parametrize(("a", "b"), [(0.5, 2), (5, 1)])
def test_coverage_of_seeds_with_images_of_their_own(n_seeds, share, a, b):
    rng = np.random.default_rng(7)
    seeds = np.repeat(np.arange(n_seeds), 50)
    of_seeds = rng.normal(size=(n_seeds, 3000))[seeds]
    normal = math.sqrt(share) * of_seeds + math.sqrt(1 - share) * rng.normal(size=of_seeds.shape)
    values = stats.beta.ppf(stats.norm.cdf(normal), a, b)
    found = np.mean([one.low <= a / (a + b) <= one.high for one in cluster_intervals(values, seeds)])
    # three skewed means of seeds are few for Student's interval
    assert (0.93 if n_seeds >= 5 else 0.92) <= found <= 0.97, found
