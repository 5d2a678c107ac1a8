import numpy as np
import pandas as pd
import pytest
from evaluator_records import ARMS, UPWARDS, evaluator_records
from synthetic_records import as_frame, synthetic_records
from synthetic_run import synthetic_run

from xaibench.records.record import Record
from xaibench.report import redraw
from xaibench.report.evaluator.sensitivity import evaluator_sensitivity
from xaibench.report.evaluator.words import rank_table, sensitivity_sentences, sensitivity_table, sensitivity_tables
from xaibench.report.figures.evaluator_sensitivity import plot_ranks, plot_taus, sensitivity_figure
from xaibench.report.page.evaluator_view import sensitivity_view
from xaibench.report.scores import analyse
from xaibench.report.tables import make_tables

DOWNWARDS = UPWARDS[::-1]
SWAPPED = (0.3, 0.1, 0.5, 0.7, 0.9)
NEAR = (0.5, 0.5001, 0.5002, 0.5003, 0.5004)
LABELS = {arm: "".join(arm) for arm in ARMS}


def analysed(variations, **options):
    records = evaluator_records(variations, **options)
    return evaluator_sensitivity(analyse(records, n_resamples=199), n_resamples=999)


@pytest.fixture(scope="module")
def found():
    return analysed(
        {
            "deletion": ({}, UPWARDS),
            "reversed": ({"baseline": "Blur(sigma=5)"}, DOWNWARDS),
            "same": ({"score": "logit"}, UPWARDS),
            "inserted": ({"name": "insertion", "direction": "insertion"}, UPWARDS),
            "swapped": ({"ties": "raster"}, SWAPPED),
        }
    )


def rows_of(found):
    return {(row.variation.metric, row.variation.value): row for row in found[0].rows}


def test_known_rankings_give_known_taus(found):
    assert len(found) == 1
    by_metric = {row.variation.metric: row.tau for row in found[0].rows if not row.variation.recomputed}
    expected = {"deletion": 1.0, "reversed": -1.0, "same": 1.0, "inserted": 1.0, "swapped": 0.8}
    assert {metric: tau.estimate for metric, tau in by_metric.items()} == pytest.approx(expected)
    assert all(tau.low == tau.high == pytest.approx(tau.estimate) for tau in by_metric.values())


def test_no_area_rule_moves_curves_with_common_ends(found):
    areas = [row for row in found[0].rows if row.variation.recomputed]
    rules = ["trapezoid", "span_trapezoid", "unit_trapezoid", "point_trapezoid", "mean", "mean_drop"]
    assert [row.variation.value for row in areas] == rules
    assert all((row.tau.estimate, row.tau.low, row.best_changes.estimate) == (1.0, 1.0, 0.0) for row in areas)


def test_an_area_rule_that_must_move_the_ranking_does():
    """Where curves start apart, `mean` counts the first point twice as much as the trapezoids do."""
    rows = []
    for index in range(4):
        for arm, curve in (("a", (1.0, 0.3, 0.3)), ("b", (0.0, 0.85, 0.3))):
            value = (curve[0] / 2 + curve[1] + curve[2] / 2) / 2
            for key, score in (("deletion", "probability"), ("other", "logit")):
                settings = f'{{"name":"deletion","baseline":"Zero()","score":"{score}","area":"uniform_trapezoid"}}'
                rows.append(
                    Record(
                        key, value, image=str(index), explainer=arm, settings=settings,
                        curve_x=(0.0, 0.5, 1.0), curve_y=curve,
                    )
                )  # fmt: skip
    found = evaluator_sensitivity(analyse(as_frame(rows), n_resamples=99), n_resamples=99)
    taus = {row.variation.value: row.tau.estimate for row in found[0].rows if row.variation.recomputed}
    assert taus["trapezoid"] == 1
    assert taus["mean"] == -1  # 0.53 against 0.38, where the trapezoids say 0.475 against 0.5


def test_ranks_moves_and_best_arms(found):
    reverse = rows_of(found)["reversed", "Blur"]
    assert list(reverse.ranks.values()) == [1, 2, 3, 4, 5]
    assert list(found[0].rows[0].ranks.values()) == [5, 4, 3, 2, 1]
    assert reverse.moves == dict(zip(ARMS, (4, 2, 0, -2, -4), strict=True))
    assert reverse.best_changes.estimate == 1
    assert rows_of(found)["swapped", "raster"].best_changes.estimate == 0
    assert reverse.means[ARMS[0]] < reverse.means[ARMS[-1]]  # as recorded: deletion is better low
    assert rows_of(found)["swapped", "raster"].tau_candidates == pytest.approx(1 - 2 / 6)


def test_settled_swaps_are_those_that_were_made(found):
    assert rows_of(found)["swapped", "raster"].swaps == [(ARMS[0], ARMS[1])]
    assert len(rows_of(found)["reversed", "Blur"].swaps) == 10
    assert rows_of(found)["same", "logit"].swaps == []


def test_noise_settles_nothing():
    found = analysed({"deletion": ({}, NEAR), "other": ({"score": "logit"}, NEAR[::-1])}, noise=0.1)
    row = found[0].rows[1]
    assert row.swaps == []
    assert row.tau.low < row.tau.high
    assert "no choice turns over" in sensitivity_sentences(found)[-1]


def test_sentences_say_what_the_numbers_say(found):
    sentences = sensitivity_sentences(found)
    assert sentences[0] == (
        "The baseline moves the ranking most: Kendall's tau with the ranking by deletion falls to -1.00 [-1.00, -1.00] "
        "with “baseline: Blur”."
    )
    assert sentences[1].startswith("The direction, the score and the area rule move nothing")
    assert "“baseline: Blur” turns over a settled order: Grad-CAM at layer1 beats Grad-CAM at layer2" in sentences[2]


def test_a_close_race_is_called_open():
    close = {
        "deletion": ({}, UPWARDS),
        "blur": ({"baseline": "Blur(sigma=5)"}, NEAR),
        "logit": ({"score": "logit"}, NEAR),
    }
    sentences = sensitivity_sentences(analysed(close, noise=0.1))
    assert sentences[0].startswith("In this sample")


def test_few_images_settle_no_choice():
    two = {"deletion": ({}, UPWARDS), "blur": ({"baseline": "Blur(sigma=5)"}, DOWNWARDS)}
    sentences = sensitivity_sentences(analysed(two, n_images=4))
    assert sentences[0].endswith("That is open: 4 images are too few to tell.")
    assert sentences[1].startswith("The area rule leaves this sample's ranking as it is")
    assert "no choice turns over" in sentences[2]


def test_variants_of_the_base_are_no_scores_of_their_own(found):
    assert found[0].variants == ["reversed", "same", "swapped"]
    records = evaluator_records({"deletion": ({}, UPWARDS), "logit": ({"score": "logit"}, DOWNWARDS)})
    tables = make_tables(records, n_resamples=99)
    assert [one.metric for one in tables.ranking] == ["deletion"]
    assert set(tables.summary["metric"]) == {"deletion", "logit"}


def test_tables_hold_every_arm_and_round_trip_without_groups(found):
    table, ranks = sensitivity_table(found), rank_table(found)
    assert len(ranks) == len(table) * len(ARMS) == 11 * 5
    assert table.loc[table["metric"] == "reversed", "largest_move"].item() == 4
    assert table.loc[table["metric"] == "reversed", "moved"].item() == "grad_cam @ layer1, sobel"
    assert table["largest_move"].isna().tolist() == [True] + [False] * 10
    assert sensitivity_tables([]) == {}


def test_undefined_images_are_left_out_for_all():
    records = evaluator_records({"deletion": ({}, UPWARDS), "logit": ({"score": "logit"}, DOWNWARDS)})
    gone = (records["metric"] == "logit") & (records["image"] == "image-0") & (records["layer"] == "layer2")
    records.loc[gone, ["value", "status", "reason"]] = [np.nan, "undefined", "a constant map"]
    records.loc[gone, "curve_x"] = records.loc[gone, "curve_x"].map(lambda _: ())
    found = evaluator_sensitivity(analyse(records, n_resamples=99), n_resamples=99)
    assert (found[0].n_images, found[0].n_dropped) == (11, 1)
    assert found[0].rows[1].tau.estimate == -1


def test_an_arm_without_any_value_takes_no_part():
    records = evaluator_records({"deletion": ({}, UPWARDS), "logit": ({"score": "logit"}, DOWNWARDS)})
    gone = (records["metric"] == "logit") & (records["layer"] == "layer2")
    records.loc[gone, ["value", "status", "reason"]] = [np.nan, "undefined", "a constant map"]
    found = evaluator_sensitivity(analyse(records, n_resamples=99), n_resamples=99)
    assert found[0].arms == [arm for arm in ARMS if arm[1] != "layer2"]
    assert found[0].n_images == 12


def test_a_value_that_is_no_area_is_no_variation():
    records = evaluator_records({"deletion": ({}, UPWARDS), "flip_fraction": ({"score": "logit"}, DOWNWARDS)})
    records.loc[records["metric"] == "flip_fraction", "value"] = 0.77
    assert evaluator_sensitivity(analyse(records, n_resamples=99)) == []


def test_a_run_without_variations_has_none():
    assert "evaluator_sensitivity" not in make_tables(synthetic_records(4), n_resamples=99).frames()
    view = sensitivity_view([], labels=LABELS)
    assert (view.sentences, view.matrices) == ([], [])


def test_the_figure_shows_ranks_and_marks_moves(found):
    figure = sensitivity_figure(found, labels=LABELS)
    ranks, taus = figure.axes
    texts = {text.get_text() for text in ranks.texts}
    assert {"1", "5", "1 ▲4", "5 ▼4"} <= texts
    assert ranks.get_yticklabels()[0].get_text() == "deletion (base)"
    assert [text.get_text() for text in taus.texts].count("-1.00") == 1
    assert len(taus.texts) == len(found[0].rows) - 1
    assert plot_ranks(ranks, found[0], labels=LABELS) is ranks
    assert plot_taus(taus, found[0]) is taus


def test_page_tables_and_figure_of_a_run(tmp_path):
    records = evaluator_records({"deletion": ({}, UPWARDS), "blur": ({"baseline": "Blur(sigma=5)"}, DOWNWARDS)})
    used = as_frame([Record("image", 1.0, image=f"image-{index}") for index in range(12)])
    run = synthetic_run(tmp_path / "run", records=pd.concat([records, used], ignore_index=True), maps=False)
    redraw.write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert '<section id="evaluator"' in page
    assert "1 ▲4" in page
    assert "The baseline moves the ranking most" in page
    for name in ("figures/evaluator_sensitivity.png", "tables/evaluator_sensitivity.csv", "tables/evaluator_ranks.md"):
        assert (run / name).stat().st_size > 100
