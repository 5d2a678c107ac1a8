import json
import math

import numpy as np
import pandas as pd
import pytest
from synthetic_records import as_frame, synthetic_records

from xaibench.records.record import Record
from xaibench.report.answer import answer, path_milliseconds
from xaibench.report.cost.tables import timing
from xaibench.report.tables import make_tables

MEASURED = ("milliseconds", "ratio_to_inference", "peak_memory_mib")


def _scores(metric: str, values: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Records of one metric from one array of values an arm."""
    rows = [
        Record(metric, float(value), image=f"{index:03d}", explainer=explainer, layer=layer)
        for (explainer, layer), of_arm in values.items()
        for index, value in enumerate(of_arm)
    ]
    return as_frame(rows)


def _around(mean: float, n: int = 20, seed: int = 0, spread: float = 0.01) -> np.ndarray:
    return mean + spread * np.random.default_rng(seed).normal(size=n)


def _text(found) -> str:
    return " ".join([found.headline, *found.sentences])


@pytest.fixture(scope="module")
def whole():
    return answer(make_tables(synthetic_records(), n_resamples=999))


def test_the_headline_is_two_sentences_about_insertion_and_deletion(whole):
    assert whole.headline.startswith(
        "By insertion, Grad-CAM at layer4.2 has the best mean of the layers, 0.800 (11 images; 95 % interval "
    )
    assert "it beats layer1.2 and layer2.3" in whole.headline
    assert "cannot be told from layer3.5" in whole.headline
    assert whole.headline.count("By ") == 2
    assert "By deletion, " in whole.headline


def test_facts_agree_with_the_tables_and_are_json(whole):
    fact = json.loads(json.dumps(whole.facts, allow_nan=False))["metrics"]["insertion"]
    assert fact["best"] == "grad_cam @ layer4.2"
    assert set(fact["undecided"]) == {"grad_cam @ layer3.5"}
    assert all(p >= 0.05 for p in fact["undecided"].values())
    assert all(p < 0.05 for p in fact["beaten"].values())
    assert fact["images_to_settle"]["n"] > 11


def test_references_sanity_cost_and_losses_are_told(whole):
    text = " ".join(whole.sentences)
    assert "Not every layer beats the references (random, center and sobel), which ignore the model" in text
    assert "sobel beats layer1.2" in text
    assert "Grad-CAM at all 4 layers are not shown to depend on what was learned (by the rule" in text
    assert "4 images, 3 seeds" in text
    assert "on cpu; plain inference takes" in text
    assert "1 of 12 images could not be used: the file is truncated." in text
    assert "5 of 539 scores are undefined" in text


def test_a_settled_best_layer_is_called_best():
    found = answer(_scores("insertion", {("grad_cam", "a"): _around(0.8), ("grad_cam", "b"): _around(0.5, seed=1)}))
    assert found.headline.startswith("By insertion, Grad-CAM at a is best, 0.798 (20 images; 95 % interval 0.79")
    assert "it beats b (adjusted p < 0.001)" in found.headline or "it beats b (adjusted p = 0.001)" in found.headline


def test_an_unsettled_order_is_not_called_best():
    noise = {("grad_cam", layer): _around(0.5, seed=seed, spread=0.2) for seed, layer in enumerate("abc")}
    found = answer(_scores("insertion", noise))
    assert "no layer is settled as the best" in found.headline
    assert " is best" not in _text(found)
    assert "beats" not in _text(found)


def test_lower_is_better_where_the_card_says_so():
    found = answer(_scores("deletion", {("grad_cam", "a"): _around(0.8), ("grad_cam", "b"): _around(0.5, seed=1)}))
    assert "Grad-CAM at b is best" in found.headline


def test_a_reference_ahead_of_the_best_layer_is_in_the_headline():
    arms = {
        ("grad_cam", "a"): _around(0.6),
        ("grad_cam", "b"): _around(0.5, seed=1),
        ("center", ""): _around(0.7, seed=2),
    }
    found = answer(_scores("insertion", arms))
    assert "Grad-CAM at a is best" in found.headline
    assert "the reference center beats it" in found.headline
    assert "by insertion, center beats every layer." in _text(found)


def test_a_reference_that_keeps_up_is_in_the_headline():
    arms = {("grad_cam", "a"): _around(0.6), ("grad_cam", "b"): _around(0.5, seed=1), ("center", ""): _around(0.6)}
    found = answer(_scores("insertion", arms))
    assert "it cannot be told from the reference center (p = 1.00)" in found.headline


def test_beaten_references_are_told_as_such():
    arms = {
        ("grad_cam", "a"): _around(0.6),
        ("grad_cam", "b"): _around(0.5, seed=1),
        ("center", ""): _around(0.1, seed=2),
    }
    found = answer(_scores("insertion", arms))
    assert any(one.startswith("Every layer beats every reference explainer by every metric") for one in found.sentences)


def test_several_explainers_are_named_in_full():
    arms = {("grad_cam", "a"): _around(0.6), ("hires_cam", "a"): _around(0.5, seed=1)}
    assert "Grad-CAM at a is best" in answer(_scores("insertion", arms)).headline
    assert "it beats HiResCAM at a" in answer(_scores("insertion", arms)).headline


def test_one_image_settles_nothing():
    found = answer(make_tables(synthetic_records(2), n_resamples=299))
    assert "no layer is settled as the best" in found.headline
    assert "with 1 image no test could settle it" in found.headline
    assert " is best" not in _text(found)
    assert "beats" not in _text(found).replace("Not every layer beats the references", "")


def test_one_arm():
    found = answer(_scores("insertion", {("grad_cam", "a"): _around(0.6)}))
    assert "there is no other layer to compare it with." in found.headline
    assert any("No reference explainer has a score" in one for one in found.sentences)
    assert "Whether the maps depend on what the model learned was not checked." in found.sentences
    assert "The cost of the explanation was not measured." in found.sentences


def test_everything_undefined():
    records = synthetic_records()
    found = answer(
        records.assign(value=math.nan, status="undefined", reason="constant map", curve_y=[()] * len(records))
    )
    assert "By insertion, nothing can be said: no value is defined." in found.headline
    assert "is undefined: no similarity could be computed" in _text(found)
    json.dumps(found.facts, allow_nan=False)


def test_references_alone():
    found = answer(_scores("insertion", {("center", ""): _around(0.6), ("random", ""): _around(0.2)}))
    assert found.headline == "By insertion, nothing can be said: only reference explainers have values."


def test_agreement_of_the_images_is_told_no_stronger_than_its_interval():
    values = {("grad_cam", f"layer{n}"): _around(n / 10, seed=n) for n in range(1, 4)}
    (trusted,) = [
        said for title, said in answer(_scores("insertion", values)).parts if title.startswith("Can the metric")
    ]
    assert trusted[0] == (
        "Do single images order the maps alike (Krippendorff's alpha of ranks; 1: all alike, 0: as if dealt at random)? "
        "By insertion, they agree more than by chance (1.00, 95 % interval 1.00 to 1.00; 20 images)."
    )
    noise = {arm: _around(0.5, seed=10 + at) for at, arm in enumerate(values)}
    assert "By insertion, they are not shown to agree (" in _text(answer(_scores("insertion", noise)))
    two = dict(list(values.items())[:2])
    assert "Krippendorff" not in _text(answer(_scores("insertion", two)))


def test_no_records_at_all():
    found = answer(as_frame([]))
    assert found.headline == "The run has no scores to compare layers by."


def test_other_metrics_lead_where_there_is_no_curve():
    found = answer(_scores("best_iou", {("grad_cam", "a"): _around(0.6), ("grad_cam", "b"): _around(0.5, seed=1)}))
    assert found.headline.startswith("By best IoU, ")


def test_sanity_compares_with_a_reference_where_there_is_one():
    rows = [
        Record(
            "parameter_randomization",
            0.3 if layer else 0.28,
            image=image,
            explainer=explainer,
            layer=layer,
            variant="ssim",
            step=1,
        )
        for image in "ab"
        for explainer, layer in (("grad_cam", "x"), ("random", ""))
    ]
    text = _text(answer(as_frame(rows)))
    assert "With all 1 unit randomized (2 images, 1 seed), the SSIM with the trained model's map is 0.30" in text
    assert "compare 0.28 of the reference random" in text
    assert "unrelated maps" not in text


def test_the_path_is_the_sum_of_its_phases_where_it_was_not_measured_whole():
    table = timing(synthetic_records())
    whole, parts = path_milliseconds(table), path_milliseconds(table[table["phase"] != "explanation"])
    assert list(whole) == list(parts)
    for layer, milliseconds in whole.items():
        assert parts[layer] == pytest.approx(milliseconds, rel=0.15)
    assert path_milliseconds(table[table["phase"] == "reduce"]) == {}


def _without_scores(*, sanity: bool, measured: bool):
    records = synthetic_records(4)
    kept = records["metric"].isin(["image", "confidence", "correct"])
    kept |= (records["metric"] == "parameter_randomization") & sanity
    kept |= records["metric"].isin(MEASURED) & measured
    return answer(make_tables(records[kept], n_resamples=200))


def test_a_run_of_sanity_checks_alone_opens_with_what_they_say():
    found = _without_scores(sanity=True, measured=True)
    assert "Grad-CAM" in found.headline
    assert "randomized" in found.headline
    assert found.sentences[0] == "The run has no scores to compare layers by."
    assert any(sentence.startswith("An explanation takes") for sentence in found.sentences)
    assert not set(found.sentences) & {found.headline}


def test_a_run_of_timings_alone_opens_with_the_cost():
    found = _without_scores(sanity=False, measured=True)
    assert found.headline.startswith("An explanation takes")
    assert _text(found).count("An explanation takes") == 1
    assert "Whether the maps depend on what the model learned was not checked." in found.sentences


def test_a_run_of_nothing_says_so_once():
    found = _without_scores(sanity=False, measured=False)
    assert found.headline == "The run has no scores to compare layers by."
    assert found.headline not in found.sentences
