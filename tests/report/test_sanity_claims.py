import math

import pytest
from synthetic_records import as_frame

from xaibench.records.record import Record, settings_json
from xaibench.report.sanity.claims import FALL, GUIDED, SIGN, claim_table, sanity_claims

UNITS = ("", "fc", "b3", "b2", "b1", "c4", "c3", "c2", "stem")  # eight units: the top quarter is fc and b3
SPREAD = (-0.02, 0.01, -0.01, 0.02, 0.015, -0.015, 0.005, -0.005)


def rows(explainer, layer, values, variant="spearman", order="top_down", n_images=8):
    """Similarity by step (missing ones as the last), each image a little beside it."""
    text = settings_json({"name": "parameter_randomization", "order": order})
    for step, module in enumerate(UNITS):
        for image in range(n_images):
            for seed in range(2):
                keys = {"explainer": explainer, "layer": layer, "variant": variant, "module": module, "step": step}
                value = float(values[min(step, len(values) - 1)] + (SPREAD[image] if step else 0))
                where = {"image": str(image), "seed": seed, "settings": text}
                yield Record("parameter_randomization", value, **keys, **where)


def find(*arms, **options):
    return sanity_claims(as_frame([row for arm in arms for row in arm]), n_resamples=500, **options)


def results(parts):
    return {(part.claim, part.part, part.similarity): part.result for part in parts}


def test_maps_that_fall_and_maps_that_stay():
    parts = find(
        rows("gradient", "", (1, 0.6, 0.3, 0.1)), rows("grad_cam", "a", (1, 0.9, 0.8)), rows("grad_cam", "b", (1, 0.5))
    )
    assert results(parts) == {
        (FALL, "the gradient", "spearman"): "reproduced",
        (FALL, "Grad-CAM at a", "spearman"): "not reproduced",
        (FALL, "Grad-CAM at b", "spearman"): "undecided",
    }
    assert parts[0].numbers.startswith("0.60 after fc, 0.10 (")
    assert "after stem: a difference of -0.50 (" in parts[0].numbers
    assert parts[0].interval.estimate == pytest.approx(0.1)


def test_guided_methods_are_compared_after_the_top_quarter_at_the_deepest_layer():
    parts = find(
        rows("grad_cam", "a", (1, 0.99)),
        rows("grad_cam", "b", (1, 0.9, 0.3, 0.0)),
        rows("guided_backprop", "", (1, 0.95, 0.7, 0.0)),
        rows("guided_grad_cam", "b", (1, 0.9, 0.1, 0.0)),
        layers=["a", "b"],
    )
    guided = [part for part in parts if part.claim == GUIDED]
    assert [(part.part, part.result) for part in guided] == [
        ("guided backpropagation against Grad-CAM at b", "reproduced"),
        ("guided Grad-CAM at b against Grad-CAM at b", "not reproduced"),
    ]
    assert guided[0].interval.estimate == pytest.approx(0.4)
    assert guided[0].interval.low == pytest.approx(0.4)  # paired: what the images share cancels
    assert guided[0].numbers.startswith("after 2 of 8 units (the last b3): 0.70")
    assert guided[0].p == pytest.approx(2 * 2 / 2**8)  # the least p of eight images, twice by Holm
    assert guided[0].shape == (2, 8)


def test_too_few_images_for_the_test_leave_it_undecided():
    arms = (rows("grad_cam", "b", (1, 0.3), n_images=4), rows("guided_backprop", "", (1, 0.7), n_images=4))
    part = next(part for part in find(*arms) if part.claim == GUIDED)
    assert part.interval.low > 0
    assert part.p == pytest.approx(2 / 2**4)
    assert part.result == "undecided"


def test_input_times_gradient_keeps_the_absolute_correlation_only():
    arms = [rows("input_x_gradient", "", (1, 0.3, 0.0)), rows("input_x_gradient", "", (1, 0.8, 0.6), "spearman_abs")]
    assert results(find(*arms)) == {
        (SIGN, "input × gradient, absolute", "spearman_abs"): "reproduced",
        (SIGN, "input × gradient, signed", "spearman"): "reproduced",
    }
    arms = [rows("input_x_gradient", "", (1, 0.5)), rows("input_x_gradient", "", (1, 0.0), "spearman_abs")]
    assert list(results(find(*arms)).values()) == ["undecided", "not reproduced"]


def test_the_absolute_correlation_is_held_against_random_pairs():
    pairs = [
        Record("calibration", 0.1 * i, explainer="input_x_gradient", variant="spearman_abs", module="random_maps", step=i)
        for i in range(11)
    ]  # fmt: skip
    arms = [rows("input_x_gradient", "", (1, 0.0)), rows("input_x_gradient", "", (1, 0.6), "spearman_abs"), pairs]
    part = find(*arms)[0]
    assert part.bound == pytest.approx(0.975)
    assert part.result == "not reproduced"


def test_undefined_values_give_no_result():
    records = as_frame(list(rows("gradient", "", (1, 0.5)))).assign(value=math.nan, status="undefined")
    assert [part.result for part in sanity_claims(records)] == ["undefined"]


def test_only_what_is_there_and_only_from_the_output_down():
    assert find(rows("integrated_gradients", "", (1, 0.2))) == []
    assert find(rows("gradient", "", (1, 0.2), order="independent")) == []
    assert find(rows("guided_backprop", "", (1, 0.2))) == []
    assert claim_table([]).empty
    table = claim_table(find(rows("gradient", "", (1, 0.2))))
    assert table.loc[0, "result"] == "reproduced"
