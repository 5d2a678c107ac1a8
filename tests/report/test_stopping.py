"""What a report says of a run that could stop early, from records alone."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import as_frame

from xaibench.records.record import Record, settings_json
from xaibench.report.answer import answer
from xaibench.report.figures.stopping import stopping_figure
from xaibench.report.labels import arms
from xaibench.report.stop_rule import StopRule
from xaibench.report.stopping import (
    STOPPED_EARLY,
    judge,
    stopping_entry,
    stopping_of,
    stopping_sentences,
    stopping_table,
    verdict_sentence,
)
from xaibench.report.tables import make_tables
from xaibench.statistics.sequential import settle

MEANS = {("grad_cam", "layer3.5"): 0.35, ("grad_cam", "layer4.2"): 0.8, ("sobel", ""): 0.95}


def _records(n_images=32, *, means=MEANS, metric="insertion", spread=0.1, undefined=(), seed=0):
    """Scores of `n_images` images in shards of four; images come in the reverse order of their names."""
    rng, rows, shards = np.random.default_rng(seed), [], []
    for number in range(n_images):
        name = f"image-{n_images - number:03d}"
        made = [Record("image", 1.0, image=name)]
        for arm, mean in means.items():
            value = math.nan if (number, arm) in undefined else float(np.clip(mean + rng.normal(0, spread), 0, 1))
            status = {"status": "undefined", "reason": "no evidence"} if math.isnan(value) else {}
            keys = {"image": name, "explainer": arm[0], "layer": arm[1], "forward_passes": 10.0}
            made.append(Record(metric, value, settings=settings_json({"score": "probability"}), **keys, **status))
        rows += made
        shards += [f"scores-{number // 4:04d}"] * len(made)
    return as_frame(rows).assign(shard=shards)


@pytest.fixture(scope="module")
def stopped():
    return judge(_records(), StopRule(), total=200)


def test_images_are_judged_in_the_order_of_the_shards(stopped):
    assert stopped.values.index[:2].tolist() == ["image-032", "image-031"]
    assert stopped.ends == tuple(range(4, 33, 4))
    assert stopped.settlement == settle(stopped.values.to_numpy(), width=1.0)


def test_more_than_ten_thousand_shards_keep_their_order():
    records = _records(8)
    records["shard"] = records["shard"].map({"scores-0000": "scores-9999", "scores-0001": "scores-10000"})
    assert judge(records, StopRule(), total=8).values.index[0] == "image-008"


def test_references_are_no_rivals(stopped):
    assert list(stopped.values.columns) == [("grad_cam", "layer3.5"), ("grad_cam", "layer4.2")]
    assert stopped.leader == ("grad_cam", "layer4.2")


def test_lower_is_better_where_the_card_says_so():
    found = judge(_records(metric="deletion"), StopRule("deletion"), total=200)
    assert found.leader == ("grad_cam", "layer3.5")
    assert found.settlement.how == "best"


def test_what_was_saved_is_told(stopped):
    assert stopped.early
    assert stopped.passes_saved == 30.0 * (200 - 32)
    first, second = stopping_sentences(stopped)
    assert first.startswith(
        "The run stopped after 32 of 200 images, as insertion was settled: layer4.2 is better than layer3.5"
    )
    assert "out at 40; anytime-valid test on 32 images, chance of a false answer at most 5 %" in first
    assert first.endswith("168 images and about 5,040 forward passes were saved.")
    assert "look surer than they are" in second


def test_an_image_on_which_an_arm_is_undefined_is_seen_but_not_compared():
    arm = ("grad_cam", "layer3.5")
    found = judge(_records(undefined={(0, arm), (5, arm)}), StopRule(), total=32)
    assert (found.seen, found.settlement.n) == (32, 30)
    assert found.ends[:2] == (3, 6)


def test_too_few_images_settle_nothing_however_clear():
    records = _records(12, spread=0.0, means={("grad_cam", "a"): 0.0, ("grad_cam", "b"): 1.0})
    assert judge(records, StopRule(at_least=12), total=99).settled
    assert not judge(records, StopRule(at_least=13), total=99).settled


def test_a_run_of_all_images_that_is_not_settled_says_so():
    means = {("grad_cam", "layer3.5"): 0.5, ("grad_cam", "layer4.2"): 0.5, ("layer_cam", "layer4.2"): 0.1}
    found = judge(_records(means=means), StopRule(), total=32)
    assert stopping_sentences(found) == [
        "The run was to stop once insertion was settled; it took all 32 images, and is not settled."
    ]
    text = verdict_sentence(found)
    assert text.startswith(
        "By insertion, no layer is settled as the best: Grad-CAM at layer3.5 and Grad-CAM at layer4.2"
    )
    assert "may each be the best; 1 other cannot" in text


def test_arms_within_the_margin_are_called_so():
    means = {("grad_cam", "layer3.5"): 0.5, ("grad_cam", "layer4.2"): 0.5}
    found = judge(_records(means=means, spread=0.02), StopRule(margin=0.3), total=99)
    assert found.settlement.how == "alike"
    assert "layer3.5 and layer4.2 are within 0.3 of the best" in stopping_sentences(found)[0]
    assert verdict_sentence(found).startswith("By insertion, layer3.5 and layer4.2 are all within 0.3 of the best")


def test_before_two_arms_have_records_there_is_nothing_to_judge():
    assert judge(_records(means={("grad_cam", "a"): 0.5}), StopRule(), total=9) is None
    assert judge(_records().iloc[:0], StopRule(), total=9) is None


def test_an_arm_without_any_record_keeps_the_question_open():
    records = _records()
    assert judge(records, StopRule(), total=200).settled
    found = judge(records, StopRule(), total=200, planned=[*MEANS, ("layer_cam", "layer4.2")])
    assert ("layer_cam", "layer4.2") in found.arms
    assert not found.settled
    assert (found.settlement.n, found.seen) == (0, 32)
    assert "may each be the best" in verdict_sentence(found)


def test_the_arms_of_a_run_are_those_of_its_settings():
    explainers = {"grad_cam": {"name": "grad_cam", "layers": ["layer3.5", "layer4.2"]}, "sobel": {"name": "sobel"}}
    settings = {"stop_when": "settled", "metric": {"insertion": {}}, "explainer": explainers}
    run = {"settings": settings, "layers": ["layer3.5", "layer4.2"], "data": {"n": 200}}
    whole = stopping_of(run, _records())
    assert whole.settled
    assert set(whole.arms) == set(MEANS) - {("sobel", "")}
    more = {**explainers, "layer_cam": {"name": "layer_cam", "layers": "stages"}}
    assert not stopping_of({**run, "settings": {**settings, "explainer": more}}, _records()).settled
    lost = {("grad_cam", "layer3.5"): 0.35, ("layer_cam", "layer3.5"): 0.9, ("sobel", ""): 0.95}
    found = stopping_of(run, _records(means=lost))
    assert ("grad_cam", "layer4.2") in found.arms
    assert not found.settled


def test_a_value_outside_the_range_ends_the_test_with_an_error():
    records = _records()
    records.loc[1, "value"] = 1.5
    with pytest.raises(ValueError, match=r"insertion has values from .* to 1.5, outside its range of 0 to 1"):
        judge(records, StopRule(), total=99)


def test_the_table_has_evidence_and_leads(stopped):
    table = stopping_table(stopped).set_index("arm")
    loser = table.loc["grad_cam @ layer3.5"]
    leads = stopped.values["grad_cam", "layer4.2"] - stopped.values["grad_cam", "layer3.5"]
    assert loser["lead"] == pytest.approx(leads.mean())
    assert 0 < loser["lead_low"] < loser["lead"] < loser["lead_high"]
    assert loser["e_value"] >= 40 > table.loc["grad_cam @ layer4.2", "e_value"]
    assert table["may_be_best"].tolist() == [False, True]


def test_run_json_gets_plain_values(stopped):
    entry = json.loads(json.dumps(stopping_entry(stopped), allow_nan=False))
    assert entry["stopped_early"] is True
    assert (entry["images"], entry["of_images"], entry["images_saved"]) == (32, 200, 168)
    assert entry["may_be_best"] == ["grad_cam @ layer4.2"]
    assert entry["e_values"]["grad_cam @ layer3.5"] >= entry["threshold"] == 40
    assert set(entry["confidence_sequence"]) == {"grad_cam @ layer3.5"}


def test_the_answer_is_that_of_the_anytime_valid_test(stopped):
    said = answer(make_tables(_records(), stopping=stopped))
    assert said.headline.startswith("By insertion, Grad-CAM at layer4.2 is best")
    assert "anytime-valid" in said.headline
    assert "adjusted p" not in said.headline
    assert said.sentences[:2] == stopping_sentences(stopped)
    assert said.facts["stopping"]["images_saved"] == 168


def test_tables_of_a_run_that_stopped_early_say_that_p_is_not_valid(stopped):
    frames = make_tables(_records(), stopping=stopped).frames()
    assert frames["comparisons"]["note"].str.contains(STOPPED_EARLY).all()
    assert frames["summary"]["note"].str.contains(STOPPED_EARLY).all()
    pd.testing.assert_frame_equal(frames["stopping"], stopping_table(stopped))


def test_a_run_to_the_end_says_nothing_of_it():
    tables = make_tables(_records())
    assert "stopping" not in tables.frames()
    assert not tables.comparisons["note"].str.contains(STOPPED_EARLY).any()
    assert answer(tables).facts["stopping"] is None
    assert stopping_of({"settings": {"metric": {"insertion": {}}}}, _records()) is None


def test_the_figure_draws_the_evidence_and_a_band_for_each_rival(stopped):
    figure = stopping_figure(stopped, arms=arms(_records()), labels={arm: arm[1] or arm[0] for arm in MEANS})
    evidence, lead = figure.axes
    assert [line.get_label() for line in evidence.lines if not line.get_label().startswith("_")] == [
        "layer3.5",
        "layer4.2",
    ]
    assert len(lead.collections) == 1
    low = lead.lines[0].get_ydata()
    assert low[0] < 0 < low[-1]
    assert (np.diff(low) >= 0).all()
