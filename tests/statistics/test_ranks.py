import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.statistics.best import best_set
from xaibench.statistics.paired import compare_pairs, holm, sign_flip_p
from xaibench.statistics.ranks import RankInterval, bootstrap_rank_intervals, rank_intervals


def _compared(values: pd.DataFrame, p: dict[tuple[str, str], float]) -> pd.DataFrame:
    rows = [(one, other, (values[one] - values[other]).mean(), p.get((one, other), 1.0)) for one, other in
            itertools.combinations(values.columns, 2)]  # fmt: skip
    return pd.DataFrame(rows, columns=["first", "second", "difference", "p_adjusted"])


def _rank(rank: float, low: float, high: float) -> RankInterval:
    return RankInterval(float(rank), float(low), float(high))


def test_an_arm_ranks_behind_what_beats_it_and_before_what_it_beats():
    values = pd.DataFrame({"a": [4.0], "b": [3.0], "c": [2.0], "d": [1.0]})
    compared = _compared(values, {("a", "c"): 0.01, ("a", "d"): 0.01, ("b", "d"): 0.049, ("c", "d"): 0.05})
    found = rank_intervals(values, compared, higher_is_better=True)
    assert found == {
        "a": _rank(1, 1, 2), "b": _rank(2, 1, 3), "c": _rank(3, 2, 4), "d": _rank(4, 3, 4),
    }  # fmt: skip
    lower = rank_intervals(values, compared, higher_is_better=False)
    assert {arm: (5 - one.rank, 5 - one.high, 5 - one.low) for arm, one in lower.items()} == {
        arm: (one.rank, one.low, one.high) for arm, one in found.items()
    }


def test_equal_means_share_their_rank():
    values = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [0.0, 0.0]})
    found = rank_intervals(values, _compared(values, {}), higher_is_better=True)
    assert [found[arm].rank for arm in "abc"] == [1.5, 1.5, 3]
    assert {(one.low, one.high) for one in found.values()} == {(1.0, 3.0)}


def test_what_the_shared_images_contradict_orders_nothing():
    # b is ahead of a where both are defined, but behind on the one image that all three share
    values = pd.DataFrame({"a": [1.0] * 10 + [2.0], "b": [2.0] * 10 + [1.9], "c": [math.nan] * 10 + [0.0]})
    found = rank_intervals(values, _compared(values, {("a", "b"): 0.001}), higher_is_better=True)
    assert found["a"] == _rank(1, 1, 3)
    assert found["b"] == _rank(2, 1, 3)


def test_the_rank_lies_in_its_interval_and_the_best_set_has_rank_one():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.random((25, 7)) + rng.random((25, 1)) + np.array([0, 0.1, 0.1, 0.6, 0.9, 0.9, 1.0]))
    compared = compare_pairs(values, higher_is_better=True, n_resamples=1999)
    found = rank_intervals(values, compared, higher_is_better=True)
    assert all(one.low <= one.rank <= one.high for one in found.values())
    best = best_set(values, compared, higher_is_better=True)
    assert 1 < len(best.members) < 7
    assert all(found[arm].low > 1 for arm in values.columns if arm not in best.members)
    assert found[best.best].rank == 1


@pytest.mark.parametrize("function", [bootstrap_rank_intervals, rank_intervals])
def test_silent_arms_and_unshared_images_have_no_rank(function):
    def ranks(values):
        extra = {} if function is bootstrap_rank_intervals else {"comparisons": _compared(values, {})}
        return function(values, higher_is_better=True, **extra)

    found = ranks(pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0], "c": [math.nan] * 2}))
    assert (found["a"].rank, found["b"].rank) == (1, 2)
    assert math.isnan(found["c"].rank)
    assert math.isnan(found["c"].low)
    apart = ranks(pd.DataFrame({"a": [1.0, math.nan], "b": [math.nan, 1.0]}))
    assert all(math.isnan(one.rank) for one in apart.values())


def test_bootstrap_ranks_by_loops():
    values = pd.DataFrame(np.random.default_rng(1).integers(0, 2, (12, 4)) + np.array([0, 0, 0.2, 0.4]))
    found = bootstrap_rank_intervals(values, higher_is_better=False, n_resamples=400, seed=3)
    picks = np.random.default_rng(3).integers(0, 12, (400, 12))
    drawn = np.array([stats.rankdata(values.to_numpy()[pick].mean(axis=0).round(9)) for pick in picks])
    for column, one in found.items():
        ends = np.quantile(drawn[:, column], [0.025, 0.975], method="inverted_cdf")
        assert (one.low, one.high) == tuple(ends)
        assert one.rank == values.mean().round(9).rank()[column]


def test_copies_of_an_arm_tie_in_every_sample():
    own = np.random.default_rng(2).random(9)
    values = pd.DataFrame({"a": own, "b": own, "c": own, "d": own - 1})
    found = bootstrap_rank_intervals(values, higher_is_better=True, n_resamples=200)
    assert {found[arm] for arm in "abc"} == {_rank(2, 2, 2)}
    assert found["d"] == _rank(4, 4, 4)


def test_alpha_is_a_share():
    values = pd.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(ValueError, match="alpha is a share"):
        rank_intervals(values, _compared(values, {}), higher_is_better=True, alpha=5.0)


SETTINGS = {
    "all equal": np.zeros(6),
    "three pairs": np.array([0.0, 0.0, 0.5, 0.5, 1.0, 1.0]),
    "nearly equal": np.linspace(0, 0.25, 6),
    "far apart": np.linspace(0, 4.0, 6),
}


def true_ranks(effects: np.ndarray) -> list[tuple[int, int]]:
    """Best and worst rank that arms with equal means may be given."""
    return [(1 + int((effects > one).sum()), int((effects >= one).sum())) for one in effects]


def rank_coverage(effects: np.ndarray, *, runs: int, n_images: int = 50) -> tuple[float, float]:
    """Share of runs in which the tests', and the bootstrap's, intervals hold all true ranks of every arm."""
    rng = np.random.default_rng(8)
    pairs = list(itertools.combinations(range(len(effects)), 2))
    held = np.zeros(2)
    for run in range(runs):
        normal = rng.normal(size=(n_images, 1)) + rng.normal(size=(n_images, len(effects))) + effects
        values = pd.DataFrame(stats.beta.ppf(stats.norm.cdf(normal / math.sqrt(2)), 0.5, 2))
        matrix = values.to_numpy()
        differences = np.column_stack([matrix[:, one] - matrix[:, other] for one, other in pairs])
        compared = pd.DataFrame(pairs, columns=["first", "second"]).assign(
            difference=differences.mean(axis=0), p_adjusted=holm(sign_flip_p(differences, n_resamples=999, seed=run))
        )
        both = (
            rank_intervals(values, compared, higher_is_better=True),
            bootstrap_rank_intervals(values, higher_is_better=True, n_resamples=499, seed=run),
        )
        held += [
            all(one.low <= best and one.high >= worst for one, (best, worst) in zip(found.values(), true_ranks(effects),
                strict=True)) for found in both
        ]  # fmt: skip
    return held[0] / runs, held[1] / runs


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_all_true_ranks_are_held_together(name):
    of_tests, of_bootstrap = rank_coverage(SETTINGS[name], runs=1000)
    assert of_tests >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / 1000), of_tests
    assert of_tests >= of_bootstrap
