"""Stopping when settled: fair bets by enumeration, a slow re-implementation, and the error under continuous looking."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from xaibench.statistics.sequential import (
    STAKES,
    best_log_e_values,
    confidence_sequence,
    log_e_values,
    settle,
)

TWO_POINTS = [
    # (values, chances, width, null): the mean is the null
    ((-1.0, 1.0), (0.5, 0.5), 1.0, 0.0),
    ((-0.5, 1.0), (2 / 3, 1 / 3), 1.0, 0.0),
    ((0.05, -1.0), (20 / 21, 1 / 21), 1.0, 0.0),
    ((-2.0, 2.0), (0.25, 0.75), 2.0, 1.0),
    ((-0.4, 0.0), (0.5, 0.5), 1.0, -0.2),
]


def _paths(values, chances, n):
    """All sequences of n draws and their chances."""
    sequences = np.array(list(itertools.product(range(2), repeat=n)))
    return np.array(values)[sequences].T, np.prod(np.array(chances)[sequences], axis=1)


@pytest.mark.parametrize(("values", "chances", "width", "null"), TWO_POINTS)
def test_the_bet_is_fair_where_the_mean_is_the_null(values, chances, width, null):
    paths, probability = _paths(values, chances, 10)
    wealth = np.exp(log_e_values(paths, width=width, null=null))
    np.testing.assert_allclose(wealth @ probability, 1.0, rtol=1e-12)


def test_the_bet_loses_where_the_mean_is_below_the_null():
    paths, probability = _paths((-1.0, 1.0), (0.6, 0.4), 10)
    expected = np.exp(log_e_values(paths, width=1.0)) @ probability
    # by hand: the mean stake's product of independent factors
    by_hand = [(STAKES * -0.2 + 1) ** n for n in range(1, 11)]
    np.testing.assert_allclose(expected, np.mean(by_hand, axis=1), rtol=1e-12)
    assert (np.diff(expected) < 0).all()


@pytest.mark.parametrize(("values", "chances", "width", "null"), TWO_POINTS)
@pytest.mark.parametrize("alpha", [0.5, 0.2, 0.05])
def test_the_chance_of_ever_reaching_the_threshold_is_at_most_alpha(values, chances, width, null, alpha):
    """Ville's inequality, by enumeration of all paths."""
    paths, probability = _paths(values, chances, 12)
    ever = (log_e_values(paths, width=width, null=null) >= math.log(1 / alpha)).any(axis=0)
    assert probability[ever].sum() <= alpha


def test_a_lucky_coin_reaches_the_threshold_as_often_as_counted_by_hand():
    """Only four heads in a row earn mean((1 + stake)^4)."""
    paths, probability = _paths((-1.0, 1.0), (0.5, 0.5), 4)
    four_heads = float(np.mean((1 + STAKES) ** 4))
    ever = (np.exp(log_e_values(paths, width=1.0)) >= four_heads - 1e-9).any(axis=0)
    assert probability[ever].sum() == 1 / 16


def test_a_row_of_wins_multiplies_each_stake():
    found = np.exp(log_e_values(np.ones(5), width=1.0))
    np.testing.assert_allclose(found, [np.mean((1 + STAKES) ** n) for n in range(1, 6)], rtol=1e-12)


def test_a_loss_of_everything_leaves_the_smaller_stakes():
    found = np.exp(log_e_values(np.array([-1.0, 1.0]), width=1.0))
    np.testing.assert_allclose(found, [np.mean(1 - STAKES), np.mean((1 - STAKES) * (1 + STAKES))], rtol=1e-12)


def _slow_best(scores, width):
    """The definition in loops: bets on each rival, averaged."""
    n_images, n_arms = scores.shape
    found = np.zeros((n_images, n_arms))
    for arm in range(n_arms):
        for image in range(n_images):
            total = 0.0
            for rival in set(range(n_arms)) - {arm}:
                for stake in STAKES:
                    wealth = 1.0
                    for past in range(image + 1):
                        wealth *= 1 + stake * (scores[past, rival] - scores[past, arm]) / width
                    total += wealth / len(STAKES)
            found[image, arm] = total / (n_arms - 1)
    return found


@pytest.mark.parametrize(("n_arms", "width"), [(2, 1.0), (3, 1.0), (4, 2.5)])
def test_evidence_agrees_with_a_slow_reimplementation(n_arms, width):
    scores = width * np.random.default_rng(n_arms).beta(0.5, 1.5, (12, n_arms))
    np.testing.assert_allclose(np.exp(best_log_e_values(scores, width=width)), _slow_best(scores, width), rtol=1e-12)


def test_settle_is_what_the_paths_say_at_each_number_of_images():
    rng = np.random.default_rng(0)
    scores = np.clip(rng.beta(2, 2, (60, 1)) + rng.normal([0.0, 0.15, 0.4], 0.1, (60, 3)), 0, 1)
    largest = np.maximum.accumulate(best_log_e_values(scores, width=1.0))
    seen = set()
    for n in range(1, 61):
        found = settle(scores[:n], width=1.0)
        remaining = np.flatnonzero(largest[n - 1] < math.log(40))
        assert found.remaining == tuple(remaining)
        assert found.how == ("best" if len(remaining) == 1 else "")
        assert found.n == n
        np.testing.assert_allclose(found.log_e, largest[n - 1])
        seen.add(len(remaining))
    assert seen == {1, 2, 3}
    assert found.remaining == (2,)


def test_what_is_out_stays_out():
    won_then_lost = np.repeat([[0.0, 1.0], [1.0, 0.0]], [12, 8], axis=0)
    assert settle(won_then_lost[:12], width=1.0).remaining == (1,)
    assert settle(won_then_lost, width=1.0).remaining == (1,)


def test_arms_that_beat_each_other_in_turn_settle_nothing():
    scores = np.repeat([[0.0, 1.0], [1.0, 0.0]], [12, 60], axis=0)
    found = settle(scores, width=1.0)
    assert found.remaining == ()
    assert found.how == ""


def test_equal_arms_are_alike_within_a_margin_and_never_settled_without():
    scores = np.full((40, 3), 0.5)
    assert settle(scores, width=1.0).how == ""
    # each bet against "0.2 worse" wins 0.2 / 0.8 of the stake: by hand, until 3 / 0.05 * 2 rivals
    needed = next(n for n in range(1, 99) if np.mean((1 + STAKES / 4) ** n) >= 120)
    assert settle(scores[: needed - 1], width=1.0, margin=0.2).how == ""
    assert settle(scores[:needed], width=1.0, margin=0.2).how == "alike"
    assert settle(scores[:needed], width=1.0, margin=0.2).remaining == (0, 1, 2)


def test_a_clear_best_is_named_though_there_is_a_margin():
    scores = np.tile([0.1, 0.9], (20, 1))
    assert settle(scores, width=1.0, margin=0.05).how == "best"


def test_no_images_settle_nothing():
    found = settle(np.zeros((0, 2)), width=1.0)
    assert (found.how, found.remaining, found.n) == ("", (0, 1), 0)


@pytest.mark.parametrize(
    ("scores", "options", "told"),
    [
        (np.zeros((3, 1)), {"width": 1.0}, "two arms at least.*got 1"),
        (np.zeros((3, 2)), {"width": 1.0, "alpha": 0.0}, "alpha must lie between 0 and 1.*got 0"),
        (np.array([[0.0, 1.5]]), {"width": 1.0}, r"\[-1, 1\], the range of the test; got"),
        (np.array([[0.0, np.nan]]), {"width": 1.0}, "got nan"),
        (np.zeros((3, 2)), {"width": 1.0, "margin": 1.0}, r"null must lie inside.*got -1"),
    ],
)
def test_what_cannot_be_tested_is_refused(scores, options, told):
    with pytest.raises(ValueError, match=told):
        settle(scores, **options)


DIFFERENCES = arrays(np.float64, st.integers(1, 30), elements=st.floats(-1, 1, width=16))


@given(DIFFERENCES, st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
@settings(max_examples=50, deadline=None)
def test_a_higher_null_is_harder_to_refute(differences, one, other):
    low, high = sorted((one, other))
    easy, hard = (log_e_values(differences, width=1.0, null=null) for null in (low, high))
    assert (hard <= easy + 1e-9).all()


@given(DIFFERENCES, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_after_all_images_their_order_does_not_matter(differences, random):
    shuffled = differences.copy()
    random.shuffle(shuffled)
    one, other = (log_e_values(d, width=1.0)[-1] for d in (differences, shuffled))
    assert one == pytest.approx(other, abs=1e-9) or (np.isneginf(one) and np.isneginf(other))


@pytest.mark.slow
@given(DIFFERENCES)
@settings(max_examples=25, deadline=None)
def test_the_confidence_sequence_narrows_and_turns_with_the_differences(differences):
    looks = range(1, len(differences) + 1)
    low, high = confidence_sequence(differences, width=1.0, alpha=0.1, looks=looks)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    turned_low, turned_high = confidence_sequence(-differences, width=1.0, alpha=0.1, looks=looks)
    np.testing.assert_allclose(turned_low, -high, atol=1e-12)
    np.testing.assert_allclose(turned_high, -low, atol=1e-12)


def test_the_confidence_sequence_is_the_test_turned_round():
    differences = np.random.default_rng(3).normal(0.25, 0.2, 60).clip(-1, 1)
    (low,), (high,) = confidence_sequence(differences, width=1.0, alpha=0.05, looks=[60])
    for null, refuted in ((low - 1e-6, True), (low + 1e-6, False)):
        assert (log_e_values(differences, width=1.0, null=null)[-1] >= math.log(40)) == refuted
    for null, refuted in ((high + 1e-6, True), (high - 1e-6, False)):
        assert (log_e_values(-differences, width=1.0, null=-null)[-1] >= math.log(40)) == refuted
    assert low < differences.mean() < high


def test_bounds_of_a_constant_difference_by_hand():
    """After n equal differences d the lower bound solves mean((1 + stake (d - m) / (1 + m))^n) = 2 / alpha."""
    (low,), _ = confidence_sequence(np.full(30, 0.5), width=1.0, alpha=0.1, looks=[30])
    gain = (0.5 - low) / (1 + low)
    assert np.mean((1 + STAKES * gain) ** 30) == pytest.approx(20, rel=1e-6)


def test_before_anything_is_known_the_bounds_are_those_of_the_range():
    low, high = confidence_sequence(np.array([-1.0]), width=1.0, alpha=0.05, looks=[1])
    assert low[0] == -1.0
    assert high[0] > 0.5


# ── the error rate under continuous looking: figures in docs/statistics.md ───────────────────────────────────────


def _first_settled(scores, width=1.0, alpha=0.05):
    """Number of images and arm at the first look, after every image, at which one arm is left; (0, -1) if none is."""
    largest = np.maximum.accumulate(best_log_e_values(scores, width=width))
    remaining = largest < math.log(2 / alpha)
    settled = np.flatnonzero(remaining.sum(axis=1) == 1)
    return (int(settled[0]) + 1, int(remaining[settled[0]].argmax())) if len(settled) else (0, -1)


def _tied_coins(rng, n):
    return (rng.random((n, 2)) < 0.5).astype(float)


def _equal_skewed(rng, n):
    """Four equal arms on images of very different difficulty."""
    difficulty = rng.beta(0.4, 1.2, (n, 1))
    return np.clip(difficulty + 0.2 * rng.standard_normal((n, 4)) * difficulty, 0, 1)


def _rare_disaster(rng, n):
    """Equal means, but the second is a little better on 20 images of 21 and wholly wrong on the last."""
    disaster = rng.random(n) < 1 / 21
    return np.stack([np.where(disaster, 1.0, 0.0), np.where(disaster, 0.0, 0.05)], axis=1)


def _two_tied_at_the_top(rng, n):
    return rng.beta([0.5, 0.8, 1.5, 1.5], [1.5, 1.5, 1.0, 1.0], (n, 4))


def _sorted_classes_shuffled(rng, n):
    """Ten classes of n / 10 images, each favouring an arm, equal on the whole; the run's random order."""
    favour = np.repeat(np.linspace(-0.45, 0.45, 10), n // 10)
    scores = np.stack([0.5 + favour / 2, 0.5 - favour / 2], axis=1) + rng.uniform(-0.05, 0.05, (n, 2))
    return scores[rng.permutation(n)]


NULLS = {
    "coins": _tied_coins,
    "skewed": _equal_skewed,
    "rare disaster": _rare_disaster,
    "two tied at the top": _two_tied_at_the_top,
    "classes": _sorted_classes_shuffled,
}


@pytest.mark.slow
@pytest.mark.parametrize("null", NULLS)
def test_with_no_best_arm_at_most_five_percent_of_runs_name_one(null):
    rng = np.random.default_rng(0)
    named = np.mean([_first_settled(NULLS[null](rng, 300))[0] > 0 for _ in range(1000)])
    assert named <= 0.05


@pytest.mark.slow
def test_a_test_for_a_fixed_number_of_images_fails_the_same_trial():
    """The control: peeking with Student's t after every image finds differences that are not there."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        scores = _tied_coins(rng, 300)
        d = scores[:, 0] - scores[:, 1]
        n = np.arange(1, 301)
        mean = d.cumsum() / n
        with np.errstate(divide="ignore", invalid="ignore"):
            t = mean / np.sqrt(((d**2).cumsum() / n - mean**2) / (n - 1))
            found += (2 * stats.t.sf(np.abs(t[8:]), n[8:] - 1) < 0.05).any()
    assert found / 300 > 0.25


@pytest.mark.slow
def test_where_one_arm_is_best_hardly_any_run_names_another():
    """Skewed scores, paired by image; the best is 0.05 ahead of the second."""
    rng = np.random.default_rng(0)
    wrong, stopped = 0, 0
    for _ in range(400):
        base = rng.beta(0.6, 1.4, (1000, 1))
        scores = np.clip(base + rng.exponential(0.1, (1000, 4)) + [0.0, 0.05, 0.12, 0.2], 0, 1.6) / 1.6
        n, arm = _first_settled(scores)
        wrong, stopped = wrong + (n > 0 and arm != 3), stopped + (n > 0)
    assert wrong / 400 <= 0.05
    assert stopped / 400 > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("lead", "median", "runs", "n"), [(0.06, 110, 200, 1000), (0.01, 1390, 100, 10_000)])
def test_how_many_images_a_lead_takes(lead, median, runs, n):
    """Paired differences with standard deviation 0.15, on a scale from 0 to 1."""
    rng = np.random.default_rng(3)
    taken = []
    for _ in range(runs):
        differences = np.clip(rng.normal(lead, 0.15, n), -1, 1)
        taken.append(_first_settled(np.stack([0.5 - differences / 2, 0.5 + differences / 2], axis=1)))
    assert {arm for _, arm in taken} == {1}
    assert np.median([number for number, _ in taken]) == pytest.approx(median, rel=0.02)


@pytest.mark.slow
def test_confidence_sequences_hold_the_mean_at_all_looks_together():
    """Covered always is "never refuted": the sequence is the test turned round."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(1000):
        differences = rng.beta(0.3, 2.0, 400) - rng.beta(0.3, 0.9, 400)
        mean = 0.3 / 2.3 - 0.3 / 1.2
        above = log_e_values(differences, width=1.0, null=mean).max()
        below = log_e_values(-differences, width=1.0, null=-mean).max()
        missed += max(above, below) >= math.log(40)
    assert missed / 1000 <= 0.05


@pytest.mark.slow
def test_an_arm_at_the_margin_is_hardly_ever_called_alike():
    """The second arm is exactly the margin below: calling the two alike is false."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(300):
        better = rng.random(400) < 0.6
        scores = np.stack([better, better & (rng.random(400) < 5 / 6)], axis=1).astype(float)
        false += any(settle(scores[:n], width=1.0, margin=0.1).how == "alike" for n in range(20, 401, 20))
    assert false / 300 <= 0.05
