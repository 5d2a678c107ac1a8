import numpy as np
import pytest
from compared_runs import scores, times, written_run

from xaibench.records.merge import NotComparable, merge
from xaibench.records.run_labels import run_labels
from xaibench.records.same_images import image_keys

VALUES = {("grad_cam", "early"): [0.1, 0.2, 0.3], ("grad_cam", "late"): [0.5, 0.6, 0.7]}


def two(tmp_path, first=None, second=None, *, rows=None, other_rows=None):
    """Two runs that differ in what is said of them."""
    a = written_run(tmp_path / "a", scores(VALUES) if rows is None else rows, **(first or {}))
    b = written_run(tmp_path / "b", scores(VALUES, seconds=2.0) if other_rows is None else other_rows, **(second or {}))
    return [a, b]


def left_out(merged):
    return {(row.run, row.what): row.why for row in merged.left_out.itertuples()}


def test_every_row_says_its_run_and_equal_images_keep_their_name(tmp_path):
    merged = merge(two(tmp_path, second={"model": "n"}))
    assert list(merged.records.columns[:2]) == ["run", "metric"]
    assert merged.records.groupby("run").size().to_dict() == {"m": 6, "n": 6}
    assert set(merged.records["image"]) == {"00", "01", "02"}
    assert merged.set_ups == [["m"], ["n"]]
    assert merged.left_out.empty


def test_a_metric_under_other_conventions_is_left_out_with_its_keys_and_values(tmp_path):
    rows = [*scores(VALUES), *scores(VALUES, metric="deletion", settings={"baseline": {"name": "zero"}, "steps": 16})]
    other = [
        *scores(VALUES, seconds=2.0),
        *scores(VALUES, metric="deletion", settings={"baseline": {"name": "blur"}, "steps": 32}),
    ]
    merged = merge(two(tmp_path, second={"model": "n"}, rows=rows, other_rows=other))
    why = left_out(merged)["n", "deletion"]
    assert "metric.deletion.baseline.name: zero → blur" in why
    assert "metric.deletion.steps: 16 → 32" in why
    assert set(merged.records["metric"]) == {"insertion"}


def test_how_a_map_meets_the_image_and_a_seed_are_no_conventions(tmp_path):
    rows = scores(VALUES, settings={"steps": 16, "resize": "bilinear", "seed": 0})
    other = scores(VALUES, settings={"steps": 16, "resize": "none", "seed": 5}, seconds=2.0)
    assert merge(two(tmp_path, second={"model": "n"}, rows=rows, other_rows=other)).left_out.empty


def test_nothing_in_common_is_refused_with_the_reasons(tmp_path):
    other = scores(VALUES, settings={"steps": 32}, seconds=2.0)
    with pytest.raises(NotComparable, match=r"metric\.insertion\.steps: 16 → 32"):
        merge(two(tmp_path, rows=scores(VALUES, settings={"steps": 16}), other_rows=other))


def test_other_images_of_another_set_up_are_refused_and_of_the_same_pooled(tmp_path):
    data = {"data": {"name": "shapes", "n": 8, "seed": 2, "variant": "single"}}
    with pytest.raises(NotComparable, match=r"data\.seed: 1 → 2.*nor can they be pooled.*model\.name: m → n"):
        merge(two(tmp_path / "refused", second={"model": "n", "settings": data, "data_digest": "e"}))
    merged = merge(two(tmp_path / "pooled", second={"settings": data, "data_digest": "e"}))
    assert merged.set_ups == [["data seed 1", "data seed 2"]]
    assert set(merged.records["image"]) == {"00", "01", "02", *(f"0{i} (data seed 2)" for i in range(3))}


def test_images_from_elsewhere_are_not_pooled(tmp_path):
    data = {"data": {"name": "shapes", "n": 8, "seed": 1, "variant": "pair"}}
    with pytest.raises(NotComparable, match=r"data\.variant: single → pair.*drawn from elsewhere"):
        merge(two(tmp_path, second={"settings": data, "data_digest": "e"}))


def test_one_shared_image_pools_no_two_populations(tmp_path):
    picture, other = np.zeros((1, 2, 2)), np.ones((1, 2, 2))
    data = {"data": {"name": "shapes", "n": 8, "seed": 1, "variant": "pair"}, "seed": 1}
    own, theirs = (
        {"pictures": dict(zip(("00", "01", "02"), shown, strict=True))}
        for shown in ((picture, picture, picture), (picture, other, other))
    )
    elsewhere = {**theirs, "settings": data, "data_digest": "e"}
    assert len(merge(two(tmp_path / "apart", first=own, second=elsewhere)).set_ups) == 2
    same = {**own, "settings": data, "data_digest": "e"}
    assert len(merge(two(tmp_path / "same", first=own, second=same)).set_ups) == 1


def test_another_target_leaves_the_scores_out_and_the_times_in(tmp_path):
    clock = {("late", "explanation"): [1.0, 1.1]}
    rows, other = (
        [*scores(VALUES), *times(clock)],
        [*scores(VALUES, seconds=2.0), *times({("late", "explanation"): [2.0]})],
    )
    merged = merge(two(tmp_path, second={"settings": {"target": "label"}}, rows=rows, other_rows=other))
    assert "target: predicted → label" in left_out(merged)["label", "all scores"]
    assert set(merged.records["metric"]) == {"milliseconds"}


def test_layers_and_explainers_make_no_other_set_up_but_their_settings_do(tmp_path):
    more = {
        "explainer": {"grad_cam": {"name": "grad_cam", "score": "logit", "layers": ["late"]}, "lime": {"name": "lime"}}
    }
    assert len(merge(two(tmp_path / "1", second={"settings": {**more, "seed": 3}})).set_ups) == 1
    other = {"explainer": {"grad_cam": {"name": "grad_cam", "score": "probability"}}}
    assert len(merge(two(tmp_path / "2", second={"settings": other})).set_ups) == 2


def test_a_folder_without_a_run_is_answered_with_what_is_near(tmp_path):
    a, _ = two(tmp_path)
    with pytest.raises(ValueError, match=r"did you mean .*/a"):
        merge([a, tmp_path / "aa"])
    with pytest.raises(ValueError, match=r"holds no run itself, but folders of runs: .*/a, .*/b"):
        merge([a, tmp_path])
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"c holds no run: there is no run\.json"):
        merge([a, tmp_path / "c"])


def test_one_run_the_same_twice_and_a_copy_are_refused(tmp_path):
    a, b = two(tmp_path)
    with pytest.raises(ValueError, match="two runs or more"):
        merge([a])
    with pytest.raises(ValueError, match="given twice"):
        merge([a, b, tmp_path / "b" / ".." / "a"])
    copy = written_run(tmp_path / "copy", scores(VALUES))
    with pytest.raises(ValueError, match=r"a and .*copy hold the same run"):
        merge([a, copy])


def test_labels_are_what_differs_and_names_that_are_given_stand(tmp_path):
    a, b = two(tmp_path, second={"settings": {"seed": 7}})
    assert [run.label for run in merge([a, b]).runs] == ["seed 0", "seed 7"]
    assert [run.label for run in merge([f"before={a}", b]).runs] == ["before", "b"]
    c = written_run(tmp_path / "c", scores(VALUES, seconds=3.0))
    assert [run.label for run in merge([a, c]).runs] == ["a", "c"]
    with pytest.raises(ValueError, match="two runs are named 'x'"):
        merge([f"x={a}", f"x={b}"])


def test_folders_of_one_name_are_numbered(tmp_path):
    runs = [("", tmp_path / part / "run", {}) for part in "ab"]
    assert run_labels(runs) == ["run", "run #2"]


def test_names_are_no_proof_pictures_and_digests_are():
    picture, other = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    names = [["x"], ["x"]]
    same = [{"picture/x": picture}, {"picture/x": picture.copy()}]
    assert image_keys(names, ["d", "e"], same, ["a", "b"]) == [{"x": "x"}, {"x": "x"}]
    apart = [{"picture/x": picture}, {"picture/x": other}]
    assert image_keys(names, ["d", "e"], apart, ["a", "b"]) == [{"x": "x"}, {"x": "x (b)"}]
    assert image_keys(names, ["d", "e"], [{}, {}], ["a", "b"])[1] == {"x": "x (b)"}
    assert image_keys(names, ["d", "d"], [{}, {}], ["a", "b"])[1] == {"x": "x"}
    masked = [{"picture/x": picture, "mask/x": picture}, {"picture/x": picture, "mask/x": other}]
    assert image_keys(names, ["d", "e"], masked, ["a", "b"])[1] == {"x": "x (b)"}


def test_the_pictures_of_two_runs_are_read_where_their_data_differ(tmp_path):
    pictures = {f"0{i}": np.full((2, 2, 3), i, np.uint8) for i in range(3)}
    moved = {**pictures, "02": np.full((2, 2, 3), 9, np.uint8)}
    merged = merge(two(tmp_path, {"pictures": pictures}, {"pictures": moved, "data_digest": "e", "model": "n"}))
    assert set(merged.records.loc[merged.records["run"] == "n", "image"]) == {"00", "01", "02 (n)"}
