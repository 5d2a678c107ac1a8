import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.estimates import ESTIMATE_COLUMNS, RELIABILITY_COLUMNS, by_seed, estimates, reliabilities
from xaibench.report.scores import analyse
from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.hierarchy import crossed_interval
from xaibench.statistics.intervals import median_interval
from xaibench.statistics.ranks import rank_intervals
from xaibench.statistics.reliability import reliability


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic_records()


@pytest.fixture(scope="module")
def analysis(records):
    return analyse(records, n_resamples=299)


@pytest.fixture(scope="module")
def table(analysis, records) -> pd.DataFrame:
    return estimates(analysis, records)


def test_one_row_per_metric_and_arm(table, analysis):
    assert list(table.columns) == ESTIMATE_COLUMNS
    assert len(table) == sum(len(one.arms) for one in analysis)
    assert not table.duplicated(["metric", "variant", "arm"]).any()


def test_a_row_holds_the_intervals_of_its_arm(table, analysis, records):
    of_deletion = next(one for one in analysis if one.metric == "deletion")
    arm = ("grad_cam", "layer3.5")
    row = table[(table["metric"] == "deletion") & (table["arm"] == "grad_cam @ layer3.5")].iloc[0]
    values = of_deletion.values[arm]
    mean, median = of_deletion.intervals[arm], median_interval(values)
    labels = records.drop_duplicates("image").set_index("image")["label"].reindex(of_deletion.values.index)
    classes = cluster_intervals(values.to_numpy()[:, None], labels.to_list())[0]
    rank = rank_intervals(of_deletion.values, of_deletion.comparisons, higher_is_better=False)[arm]
    assert tuple(row[["mean", "low", "high"]]) == (mean.estimate, mean.low, mean.high)
    assert tuple(row[["median", "median_low", "median_high"]]) == (median.estimate, median.low, median.high)
    assert tuple(row[["class_low", "class_high"]]) == pytest.approx((classes.low, classes.high), rel=1e-12)
    assert tuple(row[["rank", "rank_low", "rank_high"]]) == (rank.rank, rank.low, rank.high)
    assert row["classes"] == labels.nunique()
    assert (row["seeds"], row["design"]) == (1, "")
    assert math.isnan(row["seed_low"])


def test_all_intervals_are_of_the_analysis_confidence(records, table):
    few = records[records["metric"] == "energy_in_mask"]
    at_80 = estimates(analyse(few, confidence=0.8, n_resamples=299), few)
    table = table[table["metric"] == "energy_in_mask"].reset_index(drop=True)
    for low, high in (("low", "high"), ("median_low", "median_high"), ("class_low", "class_high")):
        wide, narrow = (one[high] - one[low] for one in (table, at_80))
        compared = narrow.notna() & (wide > 0)
        assert compared.any()
        assert (narrow <= wide)[compared].all()
        assert (narrow < wide)[compared].any()


def test_undefined_values_are_a_share(table):
    row = table[(table["metric"] == "energy_in_mask") & (table["arm"] == "grad_cam @ layer1.2")].iloc[0]
    assert (row["n"], row["undefined_share"]) == (10, pytest.approx(1 / 11))


def test_metrics_without_direction_have_no_rank(table):
    of_ties = table[table["metric"] == "tied_fraction"]
    assert of_ties["rank"].isna().all()
    assert of_ties["mean"].notna().all()


def test_values_of_0_or_1_have_no_median_and_bounds_within():
    rows = [
        Record("pointing_game", float(index > 0), image=f"{index}", label=index % 3, explainer="cam", layer=layer)
        for index in range(9)
        for layer in "xy"
    ]
    row = estimates(analyse(as_frame(rows)), as_frame(rows)).iloc[0]
    raw = cluster_intervals(np.array([[0.0]] + [[1.0]] * 8), [index % 3 for index in range(9)])[0]
    assert raw.high > 1
    assert (row["class_low"], row["class_high"]) == (pytest.approx(raw.low), 1.0)
    assert math.isnan(row["median"])


@pytest.mark.parametrize("labels", [[3] * 6, [0, 1, 0, 1, 0, -1]])
def test_one_class_or_a_missing_label_gives_no_interval_over_classes(labels):
    rows = [
        Record("insertion", 0.1 * index, image=f"{index}", label=label, explainer="cam")
        for index, label in enumerate(labels)
    ]
    row = estimates(analyse(as_frame(rows)), as_frame(rows)).iloc[0]
    assert math.isnan(row["class_low"])
    assert math.isfinite(row["low"])


def _seeded(n_seeds: int, *, shared: bool) -> list[Record]:
    rng = np.random.default_rng(0)
    return [
        Record(
            "insertion", rng.random(), image=f"{index}" if shared else f"{seed}-{index}", explainer="random", seed=seed
        )
        for seed in range(n_seeds)
        for index in range(5)
    ]


def test_several_seeds_are_crossed_where_they_share_images():
    records = as_frame(_seeded(3, shared=True))
    row = estimates(analyse(records), records).iloc[0]
    expected = crossed_interval(records["value"].to_numpy().reshape(3, 5))
    assert (row["seeds"], row["design"]) == (3, "crossed")
    assert (row["seed_low"], row["seed_high"]) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert row["mean"] == pytest.approx(expected.estimate, rel=1e-12)


def test_several_seeds_are_nested_where_each_has_its_own_images():
    records = as_frame(_seeded(3, shared=False))
    row = estimates(analyse(records), records).iloc[0]
    expected = cluster_intervals(records["value"].to_numpy()[:, None], [0] * 5 + [1] * 5 + [2] * 5)[0]
    assert row["design"] == "nested"
    assert (row["seed_low"], row["seed_high"]) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert "each seed weighs much" in row["note"]


def test_an_arm_of_one_seed_beside_one_of_several_has_no_interval_over_seeds():
    records = as_frame(
        [*_seeded(3, shared=True), *(Record("insertion", 0.1 * i, image=f"{i}", explainer="sobel") for i in range(5))]
    )
    table = estimates(analyse(records), records).set_index("arm")
    assert list(table.loc[["random", "sobel"], "seeds"]) == [3, 1]
    assert list(table.loc[["random", "sobel"], "design"]) == ["crossed", ""]
    assert table["seed_low"].isna().to_dict() == {"random": False, "sobel": True}
    assert not table.loc["sobel", "note"].count("seed")


def test_runs_go_before_seeds():
    one, other = (as_frame(_seeded(2, shared=True)).assign(run=name) for name in ("a", "b"))
    scores = analyse(pd.concat([one, other], ignore_index=True))[0]
    assert list(by_seed(scores)) == ["a", "b"]
    means = one.groupby("image")["value"].mean()
    np.testing.assert_allclose(by_seed(scores)["a"][("random", "")], means, rtol=1e-12)


def test_reliability_of_metrics_that_rank(analysis):
    table = reliabilities(analysis)
    assert list(table.columns) == RELIABILITY_COLUMNS
    assert list(table["metric"]) == [one.metric for one in analysis if one.higher_is_better is not None]
    of_insertion = next(one for one in analysis if one.metric == "insertion")
    row = table[table["metric"] == "insertion"].iloc[0]
    found = reliability(of_insertion.values)
    expected = (found.alpha_ordinal.estimate, found.alpha_ordinal.low, found.alpha_ordinal.high)
    assert tuple(row[["alpha_ordinal", "alpha_ordinal_low", "alpha_ordinal_high"]]) == expected
    assert row["kendalls_w"] == pytest.approx(of_insertion.agreement.kendalls_w, rel=1e-12)
    assert (row["split_half"], row["spearman_brown"]) == (found.halves.spearman, found.halves.spearman_brown)
    assert (row["n_images"], row["n_arms"], row["reason"]) == (11, 7, "")


def test_reliability_says_why_not():
    rows = [Record("insertion", 0.1 * index, image=f"{index}", explainer="cam") for index in range(4)]
    row = reliabilities(analyse(as_frame(rows))).iloc[0]
    assert math.isnan(row["alpha_ordinal"])
    assert "1 arms" in row["reason"]


def test_nothing_gives_empty_tables_with_their_columns():
    nothing = as_frame([])
    assert list(estimates(analyse(nothing), nothing).columns) == ESTIMATE_COLUMNS
    assert list(reliabilities(analyse(nothing)).columns) == RELIABILITY_COLUMNS
