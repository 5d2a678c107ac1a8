import math
import re

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.bounds import images_to_clear, is_below
from xaibench.statistics.crossed import CrossedSpread, crossed_spread
from xaibench.statistics.hierarchy import crossed_interval
from xaibench.statistics.intervals import Interval
from xaibench.statistics.paired import images_p, sign_flip_p

NAN = math.nan


@pytest.mark.parametrize(
    ("ends", "bound", "outcome"),
    [
        ((0.2, 0.1, 0.3), 0.4, "met"),
        ((0.2, 0.1, 0.3), 0.3, "undecided"),
        ((0.2, 0.1, 0.3), 0.15, "undecided"),
        ((0.2, 0.1, 0.3), 0.1, "not met"),
        ((1.0, 1.0, 1.0), 0.5, "not met"),
        ((0.2, NAN, NAN), 0.9, "undecided"),
        ((NAN, NAN, NAN), 0.9, "undefined"),
        ((0.2, 0.1, 0.3), NAN, "undefined"),
    ],
)
def test_what_an_interval_allows_to_say(ends, bound, outcome):
    assert is_below(Interval(*ends, 9, 0), bound) == outcome


def half_of(values: np.ndarray) -> float:
    found = crossed_interval(values, given_single=True)
    return found.high - found.estimate


def grown(spread: CrossedSpread, **numbers: int) -> float:
    return spread.half_width(confidence=0.95, **numbers)


def test_one_seed_needs_what_students_interval_needs():
    values = np.random.default_rng(0).normal(0.45, 0.3, (1, 10))
    for bound in (values.mean() + 0.05, values.mean() - 0.05):
        n = images_to_clear(values, bound).n
        needs = lambda n: stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)  # noqa: E731
        assert needs(n) < 0.05 <= needs(n - 1)


@pytest.mark.parametrize("side", [-1, 1])
def test_so_many_images_of_the_same_spread_clear_the_bound_and_no_fewer(side):
    values = np.random.default_rng(1).normal(0.4, 0.3, (1, 12)) + np.random.default_rng(2).normal(0, 0.02, (3, 12))
    bound = values.mean() + side * 0.05
    assert is_below(crossed_interval(values), bound) == "undecided"
    n, spread = int(images_to_clear(values, bound).n), crossed_spread(values)
    assert grown(spread, n_images=n) < 0.05 <= grown(spread, n_images=n - 1)


def test_images_made_to_spread_alike_do_clear_the_bound():
    rng = np.random.default_rng(1)
    values = rng.normal(0.4, 0.3, 12)[None, :] + rng.normal(0, 0.004, (3, 1))
    bound = crossed_interval(values).estimate + 0.05
    n = int(images_to_clear(values, bound).n)
    more = rng.normal(0, 1, n)
    more = (more - more.mean()) / more.std(ddof=1) * values.mean(axis=0).std(ddof=1) + values.mean()
    seeds = values.mean(axis=1, keepdims=True) - values.mean()
    found = crossed_interval(more[None, :] + seeds)
    assert is_below(found, bound) == "met"
    assert found.high == pytest.approx(bound, abs=1e-3)


def test_where_the_seeds_alone_are_too_wide_more_of_both_are_named():
    values = np.array([0.0, 0.2, 0.3])[:, None] + np.array([0.0, 0.3, 0.6, 0.2])
    bound = values.mean() + 0.15
    found, spread = images_to_clear(values, bound), crossed_spread(values)
    assert grown(spread, n_images=10**9) > 0.15
    assert math.isnan(found.n)
    seeds, images = (int(word) for word in re.findall(r"(\d+) seeds and (\d+) images", found.reason)[0])
    assert images == math.ceil(4 * seeds / 3)
    assert grown(spread, n_seeds=seeds, n_images=images) < 0.15
    assert grown(spread, n_seeds=seeds - 1, n_images=math.ceil(4 * (seeds - 1) / 3)) >= 0.15


def test_one_image_needs_more_seeds_and_images():
    assert "seeds and" in images_to_clear(np.array([[0.1], [0.3], [0.9]]), 0.5).reason


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_a_hair_from_the_bound_names_a_number_or_none(n_seeds):
    values = np.random.default_rng(3).random((n_seeds, 50))
    half, mean = half_of(values), values.mean()
    assert "on the bound" in images_to_clear(values, mean + 1e-6 * half).reason
    found = images_to_clear(values, mean + 2e-5 * half)
    assert found.n > 10**9 or "more images alone would not do" in found.reason


def test_nothing_settles_an_estimate_on_the_bound_or_without_spread():
    assert "on the bound" in images_to_clear(np.array([[0.0, 1.0], [0.0, 1.0]]), 0.5).reason
    assert "on the bound" in images_to_clear(np.ones((2, 2)), 1.0).reason
    assert "spread" in images_to_clear(np.array([[0.5]]), 0.6).reason


def test_p_over_images_averages_seeds_first():
    differences = np.array([[1.0, 2.0, np.nan, 4.0], [3.0, np.nan, np.nan, 0.0]])
    assert images_p(differences) == sign_flip_p(np.array([[2.0], [2.0], [2.0]]))[0] == 0.25
    assert math.isnan(images_p(np.full((2, 3), np.nan)))
    assert math.isnan(images_p(np.empty((0, 0))))
