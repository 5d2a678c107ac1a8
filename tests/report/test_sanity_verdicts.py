import math

import numpy as np
import pytest
from scipy import stats
from synthetic_records import as_frame

from xaibench.names import UnknownName
from xaibench.records.record import Record, settings_json
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.sanity.verdicts import (
    DEPENDS,
    DOES_NOT,
    IN_PART,
    NOT_SHOWN,
    UNDECIDED,
    UNDEFINED,
    sanity_verdicts,
    verdict_table,
)

SPREAD = (-0.02, -0.01, 0.01, 0.02)


def run(
    first, end, *, pairs=(-0.1, 0.0, 0.1), explainer="grad_cam", settings=None, key="parameter_randomization", seeds=2
):
    """A cascade of two units over four images; a value is a mean, or one value an image, or None where undefined."""
    text = settings_json(settings or {"name": "parameter_randomization", "order": "top_down"})
    keys = {"explainer": explainer, "layer": "l" if explainer == "grad_cam" else "", "variant": "spearman"}
    rows = []
    for step, values in enumerate((1.0, first, end)):
        for image in range(4):
            for seed in range(seeds):
                value = values[image] if isinstance(values, tuple) else values
                place = {"image": str(image), "seed": seed, "step": step, "module": ("", "fc", "stem")[step]}
                if value is None:
                    why = {"status": "undefined", "reason": "the map is constant"}
                    rows.append(Record(key, math.nan, settings=text, **keys, **place, **why))
                else:
                    value += SPREAD[image] if step and not isinstance(values, tuple) and value < 1 else 0.0
                    rows.append(Record(key, value, settings=text, **keys, **place))
    rows += [
        Record("calibration", math.nan if value is None else value, module="random_maps", step=i, **keys,
               status="undefined" if value is None else "ok")
        for i, value in enumerate(pairs)
    ]  # fmt: skip
    return as_frame(rows)


def only(records, **rule):
    found = sanity_verdicts(records, rule=SanityRule(**rule))
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("first", "end", "outcome", "words"),
    [
        (0.3, 0.0, "passes", DEPENDS),
        (0.9, 0.8, "fails", DOES_NOT),
        (0.9, 0.0, "fails", IN_PART),
        (0.3, 0.4, "fails", IN_PART),
        ((0.1, 0.9, 0.3, 0.8), 0.0, "undecided", UNDECIDED),
        ((0.1, 0.9, 0.3, 0.8), 0.8, "fails", NOT_SHOWN),
        (0.9, None, "fails", NOT_SHOWN),
        (0.3, None, "undefined", UNDEFINED),
        ((0.1, 0.9, 0.3, 0.8), None, "undefined", UNDEFINED),
    ],
)
def test_every_outcome(first, end, outcome, words):
    verdict = only(run(first, end))
    assert (verdict.outcome, verdict.words) == (outcome, words)
    assert verdict.to_change


def test_the_numbers_behind_a_pass():
    verdict = only(run(0.3, 0.0))
    assert verdict.module == "fc"
    assert verdict.first.interval.estimate == pytest.approx(0.3)
    assert verdict.first.interval.low < 0.3 < verdict.first.interval.high < 0.33
    assert verdict.first.bound == 0.5
    assert verdict.end.bound == pytest.approx(0.095)  # the 97.5 % quantile of -0.1, 0, 0.1
    assert (verdict.images, verdict.seeds) == (4, 2)
    assert verdict.to_change.startswith("a bound after fc of 0.3")
    assert "the band rests on 3 pairs only" in verdict.note


def test_what_it_would_take_for_a_failure_and_for_the_undecided():
    assert only(run(0.9, 0.8)).to_change == (
        f"after fc, a mean below 0.50 (now 0.90) or a bound above {only(run(0.9, 0.8)).first.interval.high:.2f}; and at the end, "
        f"a mean below 0.10 (now 0.80) or a bound above {only(run(0.9, 0.8)).end.interval.high:.2f}"
    ).replace("0.10 (now", f"{0.095:.2f} (now")
    undecided = only(run((0.1, 0.9, 0.3, 0.8), 0.0))
    needed = undecided.first.needed.n
    # all seeds alike: the images alone make the interval's width, Student's for as many
    half = lambda n: stats.t.ppf(0.975, n - 1) * np.std((0.1, 0.9, 0.3, 0.8), ddof=1) / math.sqrt(n)  # noqa: E731
    assert half(needed) < 0.025 <= half(needed - 1)
    assert f"about {needed:,.0f} images (of 4 now)" in undecided.to_change


def test_undefined_says_why():
    assert "none of the 8 values is defined (the map is constant)" in only(run(0.3, None)).to_change
    assert "there are no pairs of random maps" in only(run(0.3, 0.0, pairs=())).to_change
    assert "all 2 pairs of random maps are undefined" in only(run(0.3, 0.0, pairs=(None, None))).to_change
    assert "ssim was not measured" in only(run(0.3, 0.0), similarity="ssim").to_change


def test_a_partly_undefined_cascade_is_judged_by_what_is_defined():
    verdict = only(run((0.3, None, 0.32, 0.28), 0.0))
    assert verdict.outcome == "passes"
    assert (verdict.first.interval.n, verdict.first.interval.n_undefined) == (6, 2)


def test_a_map_that_ignores_the_model_fails_and_a_random_one_passes_with_a_caution():
    sobel = only(run(1.0, 1.0, explainer="sobel"))
    assert sobel.words == DOES_NOT
    assert sobel.first.interval.low == sobel.first.interval.high == 1
    random = only(run(0.0, 0.0, explainer="random"))
    assert random.outcome == "passes"
    assert "necessary, not sufficient" in random.note


def test_opposite_maps_are_pointed_out():
    assert "opposites" in only(run(0.2, -0.8)).note
    assert "opposites" not in only(run(0.2, 0.0)).note


def test_the_rule_can_be_set():
    records = run(0.3, 0.05)
    assert only(records, first_below=0.2).words == IN_PART
    assert only(records, end=0.01).words == IN_PART
    assert only(records, end=0.2).outcome == "passes"
    assert only(records, end="other_images").outcome == "undefined"
    assert SanityRule.of({"verdict": {"first_below": 0.4}}) == SanityRule(first_below=0.4)
    assert SanityRule.of(None) == SanityRule.of({}) == SanityRule()
    assert "below 0.5 after the first randomized unit" in SanityRule().sentence()
    assert "97.5 % quantile of pairs of random maps" in SanityRule().sentence()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"first_bellow": 0.4}, UnknownName, "did you mean first_below"),
        ({"end": "random_map"}, UnknownName, "did you mean random_maps"),
        ({"first_below": math.nan}, ValueError, "verdict.first_below is a number"),
        ({"confidence": 95.0}, ValueError, "between 0 and 1"),
    ],
)
def test_a_bad_rule_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        SanityRule.of({"verdict": given})


def test_only_cascades_from_the_output_down_have_a_verdict():
    for order in ("bottom_up", "independent"):
        assert sanity_verdicts(run(0.3, 0.0, settings={"name": "parameter_randomization", "order": order})) == []
    mine = run(0.3, 0.0, key="mine", settings={"name": "parameter_randomization", "order": "top_down"})
    assert only(mine).cascade == "mine"


def test_calibration_of_rectified_maps_is_not_used_for_signed_ones():
    records = run(0.3, 0.0, settings={"name": "parameter_randomization", "rectify": False})
    calibrated = records["metric"] == "calibration"
    records.loc[calibrated, "settings"] = settings_json({"name": "parameter_randomization", "rectify": True})
    assert only(records).outcome == "undefined"
    records.loc[calibrated, "settings"] = settings_json({"name": "parameter_randomization", "rectify": False})
    assert only(records).outcome == "passes"


def test_one_seed_says_so_and_one_image_and_seed_is_undecided():
    assert "one seed" in only(run(0.3, 0.0, seeds=1)).note
    records = run(0.3, 0.0, seeds=1)
    single = only(records[(records["image"] == "0") | (records["metric"] == "calibration")])
    assert single.outcome == "undecided"
    assert "the spread is unknown" in single.to_change


def test_the_table_has_a_row_for_each():
    table = verdict_table([only(run(0.3, 0.0)), only(run(1.0, 1.0, explainer="sobel"))])
    assert list(table["verdict"]) == [DEPENDS, DOES_NOT]
    assert list(table["end_condition"]) == ["met", "not met"]
    assert verdict_table([]).empty
