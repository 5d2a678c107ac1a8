import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.convergence import convergence, numbers_of_images
from xaibench.statistics.intervals import wilson_interval


@pytest.fixture
def values():
    rng = np.random.default_rng(1)
    return np.array([0.2, 0.5, 0.6]) + rng.normal(0, 0.2, (40, 3))


def _reference(values, n_orders, seed):
    """Every number of images in loops, from the images themselves."""
    rng = np.random.default_rng(seed)
    orders = [values[rng.permutation(len(values))] for _ in range(n_orders)]
    points = numbers_of_images(len(values))
    widths = np.array([[_t_width(order[:n]) for n in points] for order in orders])
    taus = [[stats.kendalltau(order[:n].mean(0), values.mean(0)).statistic for n in points] for order in orders]
    samples = [values[rng.integers(0, len(values), len(values))] for _ in range(30)]
    best = [[sample[:n].mean(0).argmax() == values.mean(0).argmax() for n in points] for sample in samples]
    return widths, np.array(taus), np.array(best)


def _t_width(part):
    ends = [stats.t.interval(0.95, len(part) - 1, column.mean(), stats.sem(column)) for column in part.T]
    return [high - low for low, high in ends]


def test_agrees_with_scipy_on_every_part(values):
    found = convergence(values, higher_is_better=True, n_orders=20, n_bootstrap=30, seed=3)
    widths, taus, best = _reference(values, 20, 3)
    np.testing.assert_allclose(found.widths, np.median(widths, axis=0))
    np.testing.assert_allclose(found.width_low, np.quantile(widths, 0.05, axis=0))
    np.testing.assert_allclose(found.rank_correlation, taus.mean(axis=0))
    np.testing.assert_allclose(found.rank_low, np.quantile(taus, 0.05, axis=0))
    np.testing.assert_allclose(found.same_best, best.mean(axis=0))


def test_all_images_give_one_width_and_the_final_ranking(values):
    found = convergence(values, higher_is_better=True)
    assert found.n[-1] == 40
    np.testing.assert_allclose(found.width_low[-1], found.width_high[-1])
    assert found.rank_correlation[-1] == found.rank_low[-1] == 1.0
    assert found.rank_low[0] < 1


def test_arms_far_apart_are_settled_from_the_start_and_arms_alike_never():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1e-3, (30, 2))
    apart = convergence(noise + np.array([0.0, 1.0]), higher_is_better=True)
    assert (apart.same_best == 1).all()
    assert (apart.rank_low == 1).all()
    alike = convergence(noise - noise.mean(axis=0) + [1e-6, 0], higher_is_better=True)
    assert (abs(alike.same_best - 0.5) < 0.12).all()


def test_direction_turns_the_ranking(values):
    lower = convergence(-values, higher_is_better=False, seed=2)
    higher = convergence(values, higher_is_better=True, seed=2)
    np.testing.assert_allclose(lower.same_best, higher.same_best)
    np.testing.assert_allclose(lower.rank_correlation, higher.rank_correlation)


def test_proportions_have_wilsons_width():
    values = np.array([[1.0, 0.0]] * 6 + [[0.0, 0.0]] * 2)
    found = convergence(values, higher_is_better=True, proportion=True)
    low, high = wilson_interval(0.75, 8)
    assert found.widths[-1, 0] == pytest.approx(high - low)
    low, high = wilson_interval(0.0, 8)
    assert found.widths[-1, 1] == pytest.approx(high - low)


def test_rankings_of_arms_that_always_tie_are_undefined():
    found = convergence(np.ones((8, 3)), higher_is_better=True)
    assert np.isnan(found.rank_correlation).all()


def test_too_little_to_show():
    assert convergence(np.ones((4, 3)), higher_is_better=True) is None
    assert convergence(np.ones((40, 1)), higher_is_better=True) is None


@pytest.mark.parametrize("n", [5, 6, 32, 1000])
def test_numbers_go_from_five_to_all(n):
    points = numbers_of_images(n)
    assert points[0] == 5
    assert points[-1] == n
    assert (np.diff(points) > 0).all()
