"""Whether metrics can be trusted, where the answer is known: agreement 1, -1 and about 0, and falls of each kind."""

import numpy as np
import pandas as pd
import pytest
from synthetic_run import IDENTITY, PROVENANCE
from trust_records import CHAIN, EXPLAINERS, SHARES, corruption_records, trust_records

from xaibench.report.answer import answer
from xaibench.report.figures.corruption import corruption_figure
from xaibench.report.figures.metric_agreement import agreement_colour, agreement_figure, agreement_matrix
from xaibench.report.figures.validity import validity_figure
from xaibench.report.page.trust_view import trust_view
from xaibench.report.tables import make_tables
from xaibench.report.trust.corruption import EVERY_STEP, NO_FALL, OVERALL, RISES, UNTESTED, reactions
from xaibench.report.trust.corruption_chains import chains_of
from xaibench.report.trust.corruption_words import corruption_sentences
from xaibench.report.trust.trust import without_corrupted
from xaibench.report.trust.validity_words import CAVEAT, validity_sentences

FEW = {"n_resamples": 400}


@pytest.fixture(scope="module")
def found():
    return make_tables(trust_records(), **FEW).trust


def test_metrics_that_order_alike_agree_by_one_and_reversed_ones_by_minus_one(found):
    table = found.agreement.set_index(["first", "second"])
    assert len(table) == 10
    for pair, expected in {
        ("energy_in_mask", "insertion"): 1.0,
        ("energy_in_mask", "deletion"): 1.0,
        ("insertion", "average_gain"): -1.0,
    }.items():
        row = table.loc[pair]
        assert row["spearman"] == pytest.approx(expected)
        assert row["spearman_of_means"] == pytest.approx(expected)
        assert (row["n_images"], row["undefined"], row["n_arms"]) == (20, 0, 7)
        assert row["means_spread_low"] <= row["spearman_of_means"] + 1e-12
        assert row["means_spread_high"] >= row["spearman_of_means"] - 1e-12
    noise = table.loc[("insertion", "morf")]
    assert noise["low"] < 0 < noise["high"]


def test_the_matrix_holds_images_below_and_means_above_its_diagonal(found):
    table = found.agreement.assign(spearman=0.25, spearman_of_means=0.75)
    square = agreement_matrix(table)
    assert (square[np.tril_indices(5, -1)] == 0.25).all()
    assert (square[np.triu_indices(5, 1)] == 0.75).all()
    assert agreement_colour(-1.0) == ("#994200", True)
    assert agreement_colour(1.0) == ("#145ea0", True)
    assert not agreement_colour(0.0)[1]


def test_the_colours_darken_evenly_from_zero_to_both_ends():
    color = pytest.importorskip("skimage.color")
    colours = [agreement_colour(value)[0] for value in np.linspace(-1, 1, 41)]
    rgb = np.array([[int(one[i : i + 2], 16) / 255 for i in (1, 3, 5)] for one in colours])
    lightness = color.rgb2lab(rgb[None])[0, :, 0]
    expected = 96 - 57 * np.abs(np.linspace(-1, 1, 41))
    assert np.abs(lightness - expected).max() < 1.5


def test_the_metrics_that_follow_the_masks_are_best(found):
    (one,) = found.validity
    assert one.truth == "energy_in_mask"
    assert set(one.best.members) == {"insertion", "deletion"}
    means = {name: interval.estimate for name, interval in one.intervals.items()}
    assert means["insertion"] == pytest.approx(1)
    assert means["deletion"] == pytest.approx(1)
    assert means["average_gain"] == pytest.approx(-1)
    assert one.intervals["morf"].low < 0 < one.intervals["morf"].high
    (sentence,) = validity_sentences([one])
    assert sentence.endswith(CAVEAT)
    assert "insertion has the best mean rank correlation 1.00" in sentence
    assert "agrees better than average gain (-1.00" in sentence


def test_without_masks_nothing_is_said_of_them():
    records = trust_records(6)
    tables = make_tables(records[records["metric"] != "energy_in_mask"], **FEW)
    assert not tables.trust.validity
    assert "validity" not in tables.frames()
    assert CAVEAT not in " ".join(answer(tables).sentences)


def test_a_metric_that_ranks_few_images_takes_no_part_in_the_comparison():
    records = trust_records()
    rare = (records["metric"] == "morf") & (records["image"] > "image-005")
    records.loc[rare, "value"] = 0.0
    (one,) = make_tables(records, **FEW).trust.validity
    assert "morf" not in one.compared
    assert one.intervals["morf"].n_undefined == 14


def test_falls_rises_and_noise_are_told_apart():
    judged = {one.metric: one for one in reactions(corruption_records(), [CHAIN], n_resamples=2000)}
    verdicts = {metric: one.verdict for metric, one in judged.items()}
    assert verdicts["insertion"] == verdicts["deletion"] == EVERY_STEP
    assert verdicts["energy_in_mask"] == OVERALL
    assert verdicts["average_gain"] == RISES
    assert verdicts["morf"] == NO_FALL
    assert judged["insertion"].spearman.estimate == judged["deletion"].spearman.estimate == -1
    assert judged["insertion"].monotone.estimate == 1
    assert judged["insertion"].slope.estimate == pytest.approx(-1, abs=0.02)
    assert judged["deletion"].slope.estimate == pytest.approx(-1, abs=0.02)
    assert "0.25 to 0.5" not in judged["energy_in_mask"].open_steps
    assert len(judged["energy_in_mask"].open_steps) >= 1
    (sentence,) = corruption_sentences(list(judged.values()))
    assert "average gain gets better, as no good metric does" in sentence


def test_a_variant_is_told_from_its_metric():
    records = corruption_records(6)
    own = records[records["metric"] == "insertion"]
    both = pd.concat([records, own.assign(variant="blurred")], ignore_index=True)
    found = reactions(both, [CHAIN], **FEW)
    names = {one.metric: one.title for one in found if one.metric.startswith("insertion")}
    assert names == {"insertion": "Insertion", "insertion/blurred": "Insertion, blurred"}
    assert len(corruption_figure(found, arms=[("grad_cam", "layer4.2")], labels={found[0].start: ""}).axes) >= 6


def test_one_image_is_not_tested_and_an_incomplete_one_left_out():
    assert {one.verdict for one in reactions(corruption_records(1), [CHAIN], **FEW)} == {UNTESTED}
    records = corruption_records(5)
    records.loc[(records["metric"] == "insertion").idxmax(), "value"] = np.nan
    one = next(one for one in reactions(records, [CHAIN], **FEW) if one.metric == "insertion")
    assert (one.n_images, one.n_undefined) == (4, 1)


def test_chains_are_found_in_the_settings_and_kept_out_of_the_other_tables():
    (chain,) = chains_of({"settings": {"explainer": EXPLAINERS}})
    assert chain == CHAIN
    assert chain.shares == list(SHARES)
    assert chains_of({}) == chains_of({"settings": {"explainer": {"sobel": {"name": "sobel"}}}}) == []
    records = corruption_records(6)
    assert set(without_corrupted(records, [chain])["explainer"]) == {"grad_cam"}
    tables = make_tables(records, chains=[chain], **FEW)
    assert set(tables.summary["explainer"]) == {"grad_cam"}
    assert len(tables.frames()["corruption_means"]) == 5 * len(SHARES)
    assert IDENTITY["settings"].get("explainer") is None
    assert PROVENANCE


def test_pictures_and_page_show_every_part(found):
    titles = dict.fromkeys(["insertion"], "Insertion")
    table = found.agreement
    assert len(agreement_figure(table, titles=titles).axes[0].texts) == 20
    assert len(validity_figure(found.validity).axes) == 1
    judged = reactions(corruption_records(6), [CHAIN], **FEW)
    arm = ("grad_cam", "layer4.2")
    figure = corruption_figure(judged, arms=[arm], labels={arm: "layer4.2"})
    assert {axes.get_title(loc="left") for axes in figure.axes} >= {"Insertion", "Deletion", "Energy in the mask"}
    view = trust_view(found, titles=titles, numbers={}, labels={})
    assert view
    assert view.rows[0][1][0] is None
    assert sum(cell is not None for _, cells in view.rows for cell in cells) == 20
