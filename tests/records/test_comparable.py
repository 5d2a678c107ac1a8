import pytest

from xaibench.records.comparable import (
    bearing,
    conflicts,
    differences,
    differences_of_runs,
    dotted,
    family,
    is_seed,
    told,
)

RUN = {
    "fingerprint": "f",
    "settings": {
        "score": "logit",
        "seed": 0,
        "data": {"seed": 1},
        "explainer": {"grad_cam": {"layers": ["a"]}, "random": {"seed": 0}},
    },
    "model": {"digest": "m"},
}


def changed(**settings):
    return dotted({**RUN, "settings": {**RUN["settings"], **settings}})


def test_settings_have_the_keys_of_the_command_line():
    assert dotted(RUN) == {
        "score": "logit", "seed": 0, "data.seed": 1, "explainer.grad_cam.layers": ["a"], "explainer.random.seed": 0,
        "model.digest": "m",
    }  # fmt: skip


def test_which_images_is_no_seed_of_the_run():
    assert is_seed("seed")
    assert is_seed("explainer.random.seed")
    assert not is_seed("data.seed")


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"data": {"seed": 2}},
        {"threads": 4, "device": "cuda", "batch_size": 8},
        {"metric": {"insertion": {"steps": 9}}},
        {"stop_when": "settled", "stop": {"metric": "insertion", "alpha": 0.05}},
        {"explainer": {"grad_cam": {"layers": ["b"]}, "sobel": {"name": "sobel"}}},
    ],
)
def test_what_makes_no_other_set_up(settings):
    assert conflicts(dotted(RUN), changed(**settings)) == {}


def test_what_makes_another_set_up():
    assert conflicts(dotted(RUN), changed(score="margin")) == {"score": ("logit", "margin")}
    other = changed(explainer={"grad_cam": {"layers": ["a"], "score": "margin"}})
    assert list(conflicts(dotted(RUN), other)) == ["explainer.grad_cam.score"]


@pytest.mark.parametrize(
    ("settings", "explainer", "reference", "bears"),
    [
        ({"score": "margin"}, "grad_cam", False, True),
        ({"score": "margin"}, "sobel", True, False),
        ({"explainer": {"grad_cam": {"smooth": 3}}}, "grad_cam", False, True),
        ({"explainer": {"grad_cam": {"smooth": 3}}}, "sobel", True, False),
        ({"seed": 1}, "sobel", True, True),
        ({"explainer": {"random": {"seed": 1}}}, "random", True, True),
        ({"explainer": {"random": {"seed": 1}}}, "sobel", True, False),
        (
            {"metric": {"deletion": {"order": {"seed": 0}}}},
            "grad_cam",
            False,
            False,
        ),  # the first run has no such metric
        ({"data": {"seed": 5}}, "grad_cam", False, False),
    ],
)
def test_what_bears_on_an_arm(settings, explainer, reference, bears):
    assert bool(bearing(dotted(RUN), changed(**settings), explainer, reference=reference)) == bears


def test_differences_are_told_with_both_values_and_an_end():
    found = differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": "x" * 60})
    assert told(found) == f"b: 2 → 3, c: absent → {'x' * 12}…"
    assert told({str(i): (0, 1) for i in range(6)}).endswith("3: 0 → 1, … (6 in all)")


def test_a_metric_that_a_run_lacks_is_one_row():
    runs = {"one": dotted(RUN), "two": changed(metric={"deletion": {"steps": 3, "order": {"seed": 0}}}, score="margin")}
    table = differences_of_runs(runs)
    assert table.to_numpy().tolist() == [["score", "logit", "margin"], ["metric.deletion", "absent", "present"]]


def test_a_family_is_found_by_name_or_by_what_the_settings_say():
    assert family("milliseconds") == "timing"
    assert family("my_own", '{"name":"deletion"}') == family("deletion")
    assert family("unheard_of") == ""
