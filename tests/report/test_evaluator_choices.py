from evaluator_records import BASE

from xaibench.report.evaluator.choices import difference, find_variations, short_values


def found(**changes):
    settings = {key: {**BASE, "resize": "none", **own} for key, own in changes.items()}
    return [[(one.metric, one.label, one.against) for one in group] for group in find_variations(settings)]


def test_one_choice_apart_is_found_whatever_the_names():
    group = found(a={}, b={"baseline": "Blur(sigma=5)"}, c={"score": "logit"})[0]
    assert group[0][::2] == ("a", "")
    assert group[1:] == [("b", "baseline: Blur", "a"), ("c", "score: logit", "a")]


def test_the_base_is_in_the_middle_wherever_it_stands():
    group = found(c={"score": "logit"}, b={"baseline": "Blur(sigma=5)"}, a={})[0]
    assert [metric for metric, _, _ in group] == ["a", "b", "c"]


def test_two_choices_apart_belong_to_no_group():
    assert found(a={}, b={"baseline": "Blur(sigma=5)", "score": "logit"}) == []
    assert found(a={}) == []
    assert find_variations({}) == []


def test_tie_rules_of_rectified_maps_are_held_against_the_rectified_map():
    group = found(
        base={}, raster={"ties": "raster"}, blur={"baseline": "Blur(sigma=5)"}, rectified={"rectify": True},
        rectified_raster={"rectify": True, "ties": "raster"}, rectified_signed={"rectify": True, "ties": "signed"},
        rectified_random={"rectify": True, "ties": "random"}, signed={"ties": "signed"}, logit={"score": "logit"},
    )[0]  # fmt: skip
    assert group[0][0] == "base"
    against = {metric: against for metric, _, against in group}
    assert {metric for metric, other in against.items() if other == "rectified"} == {
        "rectified_raster", "rectified_signed", "rectified_random",
    }  # fmt: skip
    assert ("rectified_raster", "rectify: True, ties: raster", "rectified") in group


def test_groups_that_differ_in_more_stand_apart():
    far = {"endpoints": "start", "area": "mean", "score": "logit"}
    groups = found(a={}, b={"ties": "raster"}, c=far, d={**far, "ties": "raster"})
    assert [[metric for metric, _, _ in group] for group in groups] == [["a", "b"], ["c", "d"]]


def test_name_and_resize_are_no_choices():
    assert difference({**BASE, "resize": "none"}, {**BASE, "name": "morf", "resize": "bilinear"}) == []
    assert difference(BASE, {**BASE, "seed": 1}) == ["seed"]
    assert difference(BASE, {**BASE, "grid": 4}) == ["grid"]


def test_values_are_as_brief_as_they_can_be_told_apart():
    assert list(short_values(["Zero()", "Black(mean=(0.1, 0.2))"])) == ["Zero", "Black"]
    assert list(short_values(["EqualSteps(n_steps=8)", "EqualSteps(n_steps=16)"])) == ["n_steps=8", "n_steps=16"]
    assert list(short_values(["Zero()", "Blur(1)", "Blur(2)"])) == ["Zero", "Blur(1)", "Blur(2)"]
    assert list(short_values(["True", "False"])) == ["True", "False"]
