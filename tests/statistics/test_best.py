import itertools
import math

import numpy as np
import pandas as pd
import pytest

from xaibench.statistics.best import best_set, level
from xaibench.statistics.paired import compare_pairs, holm, sign_flip_p


def _best(values: pd.DataFrame, *, higher_is_better: bool = True, **options):
    compared = compare_pairs(
        values, higher_is_better=higher_is_better, n_resamples=options.pop("n_resamples", 999), **options
    )
    return best_set(values, compared, higher_is_better=higher_is_better)


@pytest.fixture
def values() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ease = rng.normal(0, 1, 20)
    return pd.DataFrame({"bad": ease - 2, "good": ease + rng.normal(0, 0.1, 20), "twin": ease + rng.normal(0, 0.1, 20)})


def test_what_cannot_be_told_from_the_best_is_a_member(values):
    found = _best(values)
    assert set(found.members) == {"good", "twin"}
    assert found.best == values.mean().idxmax()
    assert found.p["bad"] < 0.05
    assert found.n == 20


def test_direction(values):
    found = _best(values, higher_is_better=False)
    assert found.best == "bad"
    assert found.members == ("bad",)


def test_the_best_is_picked_on_images_that_all_share(values):
    # "easy" has values on the easiest image alone: the highest mean of its own, but not on that image
    easiest = values["good"].idxmax()
    values["easy"] = math.nan
    values.loc[easiest, "easy"] = values.loc[easiest, "good"] - 0.5
    assert values.mean().idxmax() == "easy"
    found = _best(values)
    assert found.best in ("good", "twin")
    assert found.n == 1
    assert "easy" in found.members  # one image tells nothing


def test_what_is_better_on_shared_images_is_never_left_out():
    values = pd.DataFrame({"a": [1.0] * 10 + [2.0], "b": [2.0] * 10 + [1.9], "c": [math.nan] * 10 + [0.0]})
    found = _best(values)
    assert found.best == "a"
    assert found.p["b"] < 0.05
    assert "b" in found.members


def test_without_a_shared_image_there_is_no_best():
    values = pd.DataFrame({"a": [1.0, math.nan], "b": [math.nan, 2.0]})
    found = _best(values)
    assert found.best is None
    assert found.members == ()
    assert found.note == "no image on which all arms are defined"


def test_arms_without_values_take_no_part(values):
    values["silent"] = math.nan
    found = _best(values)
    assert "silent" not in found.members
    assert found.note == "no value is defined for silent"
    assert _best(values[["silent"]]).note == "no value is defined"


def test_one_arm_is_the_best_set(values):
    assert _best(values[["bad"]]).members == ("bad",)


def _best_by_p_alone(values: pd.DataFrame, *, seed: int):
    """`_best` without the intervals, which take most of its time."""
    pairs = list(itertools.combinations(values.columns, 2))
    differences = np.column_stack([values[first] - values[second] for first, second in pairs])
    compared = pd.DataFrame(pairs, columns=["first", "second"])
    compared["p_adjusted"] = holm(sign_flip_p(differences, n_resamples=999, seed=seed))
    return best_set(values, compared, higher_is_better=True)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_under_the_null_some_arm_is_left_out_in_at_most_five_percent_of_runs(correlation):
    rng = np.random.default_rng(7)
    runs, n_images, n_arms = 1000, 20, 6
    errors = 0
    for run in range(runs):
        ease = rng.normal(size=(n_images, 1))
        own = rng.exponential(size=(n_images, n_arms))
        values = pd.DataFrame(math.sqrt(correlation) * ease + math.sqrt(1 - correlation) * own)
        errors += len(_best_by_p_alone(values, seed=run).members) < n_arms
    assert errors / runs <= 0.05, errors / runs  # the draw is fixed: no room for the simulation's error is needed


@pytest.mark.slow
@pytest.mark.parametrize("n_images", [20, 50])
def test_arms_of_one_mean_and_unlike_shapes_are_left_out_about_as_seldom(n_images):
    """The mean is 0.2 in all six, from nearly all zeros to a bell: the differences are skewed, which no theorem covers."""
    rng = np.random.default_rng(7)
    shapes = np.array([0.1, 0.2, 0.5, 1, 2, 5])
    runs, errors = 1000, 0
    for run in range(runs):
        values = pd.DataFrame(rng.beta(shapes, 4 * shapes, (n_images, len(shapes))))
        errors += len(_best_by_p_alone(values, seed=run).members) < len(shapes)
    assert errors / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs), errors / runs


def test_the_level_is_what_a_confidence_leaves():
    assert [level(confidence) for confidence in (0.9, 0.95, 0.99)] == [0.1, 0.05, 0.01]
