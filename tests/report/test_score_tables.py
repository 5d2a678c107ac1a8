import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import ARMS, as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.scores import analyse, comparisons, summary
from xaibench.report.verdicts import verdict
from xaibench.statistics.intervals import mean_interval
from xaibench.statistics.paired import holm


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic_records()


@pytest.fixture(scope="module")
def analysis(records):
    return analyse(records, n_resamples=999)


def _row(table: pd.DataFrame, **keys: str) -> pd.Series:
    chosen = table
    for column, value in keys.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_one_row_per_metric_and_arm(analysis):
    table = summary(analysis)
    assert not table.duplicated(["metric", "variant", "arm"]).any()
    assert list(dict.fromkeys(table["metric"])) == [
        "confidence", "correct", "deletion", "insertion", "average_drop", "increase_in_confidence", "pointing_game",
        "energy_in_mask", "best_iou", "tied_fraction",
    ]  # fmt: skip
    of_deletion = table[table["metric"] == "deletion"]
    assert list(zip(of_deletion["explainer"], of_deletion["layer"], strict=True)) == list(ARMS)
    assert set(of_deletion["direction"]) == {"lower"}


def test_a_row_is_the_mean_of_the_images(records, analysis):
    row = _row(summary(analysis), metric="deletion", arm="grad_cam @ layer3.5")
    own = records[(records["metric"] == "deletion") & (records["layer"] == "layer3.5")].sort_values("image")
    expected = mean_interval(own["value"].to_numpy(), n_resamples=999)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-12
    )
    assert row["median"] == own["value"].median()
    assert row["n"] == 11
    assert row["forward_passes"] == own["forward_passes"].sum()


def test_undefined_values_are_counted_and_in_no_mean(records, analysis):
    row = _row(summary(analysis), metric="energy_in_mask", arm="grad_cam @ layer1.2")
    own = records[(records["metric"] == "energy_in_mask") & (records["layer"] == "layer1.2")]
    assert (row["n"], row["undefined"], row["failed"]) == (10, 1, 0)
    assert row["mean"] == pytest.approx(own["value"].dropna().mean())


def test_zero_or_one_scores_get_wilsons_interval(analysis):
    row = _row(summary(analysis), metric="pointing_game", arm="random")
    assert (row["low"], row["high"]) == pytest.approx(
        tuple(
            vars(
                mean_interval([1.0] * round(row["mean"] * 11) + [0.0] * round((1 - row["mean"]) * 11), proportion=True)
            )[k]
            for k in ("low", "high")
        )
    )


def test_the_best_set_follows_the_tests(analysis):
    table = summary(analysis)
    of_deletion = table[table["metric"] == "deletion"].set_index("arm")
    assert set(of_deletion.index[of_deletion["in_best_set"]]) == {"grad_cam @ layer3.5", "grad_cam @ layer4.2"}
    left_out = of_deletion[~of_deletion["in_best_set"]]
    assert (left_out["p_against_best"] < 0.05).all()
    assert not table.loc[table["direction"] == "", "in_best_set"].any()


def test_one_level_follows_from_the_confidence():
    rng = np.random.default_rng(2)
    ease = rng.normal(0, 1, 12)
    rows = [
        Record(
            "insertion",
            float(ease[i] + shift + rng.normal(0, 0.1)),
            image=f"{i:02d}",
            explainer="grad_cam",
            layer=layer,
        )
        for layer, shift in (("a", 0.0), ("b", 0.09))
        for i in range(12)
    ]
    strict, usual, lenient = (analyse(as_frame(rows), confidence=c, n_resamples=999)[0] for c in (0.9999, 0.95, 0.8))
    p = usual.best.p["grad_cam", "a"]
    assert strict.alpha < p < lenient.alpha == 0.2
    assert len(strict.best.members) == len(verdict(strict).undecided) + 1 == 2
    assert len(lenient.best.members) == len(verdict(lenient).beaten) == 1
    assert strict.comparisons["images_80"].item() > usual.comparisons["images_80"].item()


def test_all_pairs_are_one_family(analysis):
    table = comparisons(analysis)
    of_insertion = table[table["metric"] == "insertion"]
    assert len(of_insertion) == 7 * 6 // 2
    assert set(of_insertion["family"]) == {21}
    np.testing.assert_allclose(of_insertion["p_adjusted"], holm(of_insertion["p"]))
    assert not set(table["metric"]) & {"confidence", "correct", "tied_fraction"}
    assert (of_insertion["images_95"].dropna() >= of_insertion["images_80"].dropna()).all()


def test_the_order_of_records_does_not_matter(records, analysis):
    shuffled = records.sample(frac=1, random_state=0).sort_values(["metric", "explainer", "layer"], kind="stable")
    layers = ["layer1.2", "layer2.3", "layer3.5", "layer4.2"]
    key = ["metric", "arm"]
    ours = summary(analysis).sort_values(key, ignore_index=True)
    theirs = summary(analyse(shuffled, layers=layers, n_resamples=999)).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(ours, theirs)


def test_seeds_of_an_image_are_averaged_before_images():
    rows = [
        Record("insertion", value, image=image, explainer="random", seed=seed)
        for image, seed, value in [("a", 0, 0.2), ("a", 1, 0.4), ("b", 0, 0.9)]
    ]
    table = summary(analyse(as_frame(rows)))
    assert table["mean"][0] == pytest.approx((0.3 + 0.9) / 2)
    assert table["n"][0] == 2


def test_variants_are_metrics_of_their_own():
    rows = [
        Record("insertion", value, image=image, explainer="grad_cam", layer=layer, variant=variant)
        for variant in ("blur", "zero")
        for image, value in (("a", 0.1), ("b", 0.3))
        for layer in ("x", "y")
    ]
    analysis = analyse(as_frame(rows))
    assert [one.title for one in analysis] == ["Insertion, blur", "Insertion, zero"]
    assert len(summary(analysis)) == 4


def test_no_rows_give_empty_tables_with_their_columns():
    nothing = analyse(as_frame([]))
    assert summary(nothing).empty
    assert "p_adjusted" in comparisons(nothing).columns


def test_everything_undefined():
    rows = [
        Record(
            "insertion", math.nan, image=image, explainer="grad_cam", layer=layer, status="undefined", reason="constant"
        )
        for image in "ab"
        for layer in "xy"
    ]
    table = summary(analyse(as_frame(rows)))
    assert table["mean"].isna().all()
    assert list(table["undefined"]) == [2, 2]
    assert not table["in_best_set"].any()
