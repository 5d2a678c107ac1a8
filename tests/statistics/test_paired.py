import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xaibench.names import UnknownName
from xaibench.statistics.paired import compare_pairs, holm, sign_flip_p, superiority


def _brute_force_sign_flip(differences: np.ndarray) -> float:
    observed = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(one >= observed - 1e-12 for one in sums) / len(sums)


@pytest.mark.parametrize("n", range(1, 9))
def test_exact_p_by_enumeration(n):
    differences = np.round(np.random.default_rng(n).normal(0.3, 1, n), 1)  # rounded, so that patterns tie
    assert sign_flip_p(differences[:, None])[0] == _brute_force_sign_flip(differences)


@pytest.mark.parametrize("n", [6, 10, 13])
def test_exact_p_is_scipys(n):
    rng = np.random.default_rng(n)
    one, other = rng.normal(0.5, 1, n), rng.normal(0, 1, n)
    expected = stats.permutation_test(
        (one, other),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=math.inf,
    )
    assert sign_flip_p((one - other)[:, None])[0] == pytest.approx(expected.pvalue, rel=1e-12)


def test_drawn_patterns_come_near_the_normal_limit():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.12, 1, 400)
    z = differences.sum() / math.sqrt((differences**2).sum())
    expected = 2 * stats.norm.sf(abs(z))
    # the draw's standard error at p ~ 0.02 with 20,000 patterns is 0.001
    assert sign_flip_p(differences[:, None], n_resamples=20_000)[0] == pytest.approx(expected, abs=0.003)


def test_a_drawn_p_is_never_zero():
    assert sign_flip_p(np.ones((50, 1)), n_resamples=999)[0] == 1 / 1000


def test_undefined_differences_take_no_part():
    differences = np.array([0.4, math.nan, 0.1, 0.3, math.nan])
    whole = np.column_stack([differences, np.full(5, math.nan)])
    found = sign_flip_p(whole)
    assert found[0] == sign_flip_p(differences[np.isfinite(differences)][:, None])[0] == 2 / 2**3
    assert math.isnan(found[1])


def test_chunks_do_not_change_the_patterns(monkeypatch):
    differences = np.random.default_rng(0).normal(0.3, 1, (40, 2))
    whole = sign_flip_p(differences, n_resamples=500)
    monkeypatch.setattr("xaibench.statistics.paired._CHUNK", 40 * 9)
    np.testing.assert_array_equal(sign_flip_p(differences, n_resamples=500), whole)


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        # pingouin's documentation of its function `holm`
        ([0.50, 0.003, 0.32, 0.054, 0.0003], [0.64, 0.012, 0.64, 0.162, 0.0015]),
        # stdlib's documentation of `padjust`
        ([0.319, 0.201, 0.4, 0.374, 0.113], [0.957, 0.804, 0.957, 0.957, 0.565]),
        # the example of the article "Holm-Bonferroni method" in Wikipedia: H1 and H4 are rejected at 5 %
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([], []),
        ([0.6, 0.7], [1.0, 1.0]),
    ],
)
def test_holm_on_published_examples(raw, adjusted):
    np.testing.assert_allclose(holm(raw), adjusted, rtol=1e-12)


def test_holm_does_not_count_what_has_no_p():
    np.testing.assert_allclose(holm([0.01, math.nan, 0.04]), [0.02, math.nan, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(raw):
    p, adjusted = np.array(raw), holm(raw)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_superiority_counts_ties_half():
    share, low, high = superiority([1.0, 2.0, -1.0, 0.0, math.nan])
    assert share == (2 + 0.5) / 4
    assert 0 < low < share < high < 1
    assert all(math.isnan(one) for one in superiority([math.nan]))


@pytest.fixture
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 12)
    table = pd.DataFrame({"a": base + 1, "b": base + rng.normal(0, 0.1, 12), "c": base + rng.normal(0, 0.1, 12)})
    table.loc[3, "b"] = math.nan
    return table


def test_every_pair_once_with_its_own_images(scores):
    table = compare_pairs(scores, higher_is_better=True)
    assert list(zip(table["first"], table["second"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert list(table["n"]) == [11, 12, 11]
    assert table["difference"][0] == pytest.approx((scores["a"] - scores["b"]).mean())
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()
    np.testing.assert_array_equal(table["p_adjusted"], holm(table["p"]))
    assert set(table["family"]) == {3}
    assert set(table["test"]) == {"exact sign flip"}


def test_direction_decides_who_is_superior(scores):
    up, down = (compare_pairs(scores, higher_is_better=better) for better in (True, False))
    assert up["superiority"][0] == 1
    np.testing.assert_allclose(up["superiority"] + down["superiority"], 1)
    np.testing.assert_array_equal(up["p"], down["p"])


def test_a_chosen_family_is_corrected_for_itself(scores):
    table = compare_pairs(scores, higher_is_better=True, pairs=[("c", "a")])
    assert len(table) == 1
    assert table["p_adjusted"][0] == table["p"][0]
    assert table["difference"][0] < 0


def test_wilcoxon_is_scipys(scores):
    table = compare_pairs(scores, higher_is_better=True, test="wilcoxon")
    assert table["p"][1] == stats.wilcoxon(scores["a"] - scores["c"]).pvalue
    same = pd.DataFrame({"a": [0.1, 0.2], "b": [0.1, 0.2]})
    assert compare_pairs(same, higher_is_better=True, test="wilcoxon")["p"][0] == 1


def test_unknown_test_is_named(scores):
    with pytest.raises(UnknownName, match="sign_flip"):
        compare_pairs(scores, higher_is_better=True, test="signflip")


def test_no_pair_and_no_shared_image():
    assert compare_pairs(pd.DataFrame({"a": [1.0]}), higher_is_better=True).empty
    apart = pd.DataFrame({"a": [1.0, math.nan], "b": [math.nan, 1.0]})
    table = compare_pairs(apart, higher_is_better=True)
    assert table["n"][0] == 0
    assert math.isnan(table["p"][0])
    assert math.isnan(table["p_adjusted"][0])
    assert table["family"][0] == 0
    assert table["note"][0] == "no value is defined"


def test_same_seed_same_table():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    first, second = (compare_pairs(values, higher_is_better=True, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert not first["p"].equals(compare_pairs(values, higher_is_better=True, seed=4)["p"])
