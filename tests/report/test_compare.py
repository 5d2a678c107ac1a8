from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from compared_runs import scores, written_run

from xaibench.records.run_folder import RunFolder
from xaibench.report.compare.comparison import compare_runs, write_comparison
from xaibench.report.compare.scores import IMAGES_ONLY, NOT_TESTED, OWN_IMAGES
from xaibench.statistics.clusters import cluster_intervals
from xaibench.statistics.hierarchy import crossed_interval
from xaibench.statistics.intervals import mean_interval

QUICK = {"n_resamples": 499}
EARLY, LATE, SOBEL = ("grad_cam", "early"), ("grad_cam", "late"), ("sobel", "")
RNG = np.random.default_rng(0)
BASE = {EARLY: RNG.uniform(0.2, 0.4, 12), LATE: RNG.uniform(0.5, 0.7, 12), SOBEL: RNG.uniform(0.0, 0.2, 12)}
compare = partial(compare_runs, **QUICK)


def shifted(**by):
    """The base values, an arm's moved by a number."""
    arms = {"early": EARLY, "late": LATE, "sobel": SOBEL}
    moved = {arms[name]: shift for name, shift in by.items()}
    return {arm: values + moved.get(arm, 0.0) for arm, values in BASE.items()}


@pytest.fixture
def better(tmp_path):
    """Two models: the second is better by 0.1 at each layer, and the same for sobel."""
    a = written_run(tmp_path / "a", scores(BASE), model="small")
    b = written_run(tmp_path / "b", scores(shifted(early=0.1, late=0.1), seconds=2.0), model="large")
    return [a, b]


def test_a_constant_difference_has_its_exact_p_and_holms(better):
    table = compare(better).frames()["differences"].set_index("arm")
    np.testing.assert_allclose(table.loc[["grad_cam @ early", "grad_cam @ late"], "difference"], -0.1)
    np.testing.assert_allclose(table["p"], [2 / 4096, 2 / 4096, 1.0])  # both signs of 2 ** 12 patterns; equal values
    np.testing.assert_allclose(table["p_adjusted"], [6 / 4096, 6 / 4096, 1.0])  # of three comparisons
    assert set(table["family"]) == {3}
    assert list(table.loc["grad_cam @ late", ["superiority", "n"]]) == [0.0, 12]


def test_the_best_is_looked_for_among_all_arms_of_all_runs(better):
    comparison = compare(better)
    best = comparison.scores[0].scores.best
    assert best.best == ("large", "grad_cam @ late")
    assert best.members == (("large", "grad_cam @ late"),)
    assert len(comparison.scores[0].scores.comparisons) == 15  # pairs of 6
    means = comparison.frames()["means"].set_index(["arm", "run"])
    assert means.loc[("grad_cam @ late", "large"), "best"]
    assert not means.loc[("grad_cam @ late", "small"), "best"]


def test_the_answer_names_what_is_settled_and_what_is_not(better):
    said = compare(better).answer.headline
    assert "Grad-CAM at late is better in large than in small (by 0.100" in said
    assert "for the reference sobel, no difference is settled" in said


def test_few_images_settle_nothing_and_the_answer_says_so(tmp_path):
    few = {arm: values[:4] for arm, values in BASE.items()}
    more = {arm: values[:4] for arm, values in shifted(early=0.1, late=0.1).items()}
    a = written_run(tmp_path / "a", scores(few), model="small")
    b = written_run(tmp_path / "b", scores(more, seconds=2.0), model="large")
    said = compare([a, b]).answer.headline
    assert "no difference between small and large is settled" in said
    assert "better in" not in said


def test_what_nothing_bears_on_is_not_tested(tmp_path):
    explainer = {"grad_cam": {"name": "grad_cam", "score": "probability"}, "sobel": {"name": "sobel"}}
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(shifted(late=0.1), seconds=2.0), settings={"explainer": explainer})
    table = compare([a, b]).frames()["differences"].set_index("arm")
    assert table.loc["sobel", "note"] == NOT_TESTED
    assert np.isnan(table.loc["sobel", "p"])
    assert table.loc["grad_cam @ late", "family"] == 2


def test_repetitions_agree_within_rounding_and_count_once(tmp_path):
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(shifted(late=4e-4), seconds=2.0))
    comparison = compare([a, b])
    row = comparison.repeats.iloc[0]
    assert list(row[["kind", "values", "equal", "beyond_rounding"]]) == ["repeat", 36, 24, 0]
    assert row["largest_difference"] == pytest.approx(4e-4)
    assert row["where"].endswith("grad_cam @ late")
    assert "all 36 values agree within rounding; the largest difference is" in comparison.answer.headline
    interval = comparison.scores[0].scores.intervals["", "grad_cam @ late"]
    assert interval == mean_interval(BASE[LATE], **QUICK)
    assert comparison.frames()["differences"].empty


def test_repetitions_that_disagree_are_told_of_first(tmp_path):
    a = written_run(tmp_path / "a", scores(BASE))
    values = shifted()
    values[LATE] = np.where(np.arange(12) == 3, np.nan, values[LATE])
    values[EARLY][5] += 0.2
    b = written_run(tmp_path / "b", scores(values, seconds=2.0))
    comparison = compare([a, b])
    assert comparison.repeats.iloc[0]["beyond_rounding"] == 2
    assert "but 2 of 36 values differ beyond rounding" in comparison.answer.headline
    assert "(05, grad_cam @ early)" in comparison.answer.headline


def test_what_the_first_repetition_leaves_undefined_stays_undefined(tmp_path):
    values = shifted()
    values[LATE] = np.where(np.arange(12) == 3, np.nan, values[LATE])
    a = written_run(tmp_path / "a", scores(values))
    longer = {arm: np.append(own, 0.5) for arm, own in BASE.items()}
    b = written_run(tmp_path / "b", scores(longer, seconds=2.0))
    found = compare([a, b]).scores[0].scores
    assert (found.intervals["", "grad_cam @ late"].n, found.intervals["", "grad_cam @ early"].n) == (12, 13)
    np.testing.assert_array_equal(found.values["", "grad_cam @ late"], [*values[LATE], 0.5])


def test_a_run_that_stopped_early_is_named(tmp_path, better):
    c = written_run(tmp_path / "c", scores(shifted(), seconds=3.0), model="third")
    RunFolder.open(c).update(stopping={"stopped_early": True})
    (said,) = [one for one in compare([*better, c]).answer.sentences if "stopped early" in one]
    assert said.startswith("third stopped early")
    assert not [one for one in compare(better).answer.sentences if "stopped early" in one]


def test_seeds_that_share_some_images_have_an_interval_of_images_that_says_so(tmp_path):
    fewer = {arm: own[:9] for arm, own in BASE.items()}
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(fewer, seconds=2.0), settings={"seed": 1})
    found = compare([a, b]).scores[0].scores.intervals["", "grad_cam @ late"]
    assert found == replace(mean_interval(BASE[LATE], **QUICK), note=IMAGES_ONLY)


def test_seeds_are_a_second_level(tmp_path):
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(shifted(late=0.05), seconds=2.0), settings={"seed": 1})
    comparison = compare([a, b])
    found = comparison.scores[0].scores.intervals["", "grad_cam @ late"]
    assert found == crossed_interval(np.stack([BASE[LATE], BASE[LATE] + 0.05]))
    assert found.high - found.low > 2 * 12.7 * 0.025  # Student's quantile of two seeds, and their standard error
    assert set(comparison.repeats["kind"]) == {"seed"}
    assert (
        "one set-up with other seeds; where both measured the same, 12 of 36 values move" in comparison.answer.headline
    )
    together = comparison.frames()["means"].query("run == 'all together' and arm == 'grad_cam @ late'")
    assert together["mean"].item() == pytest.approx(BASE[LATE].mean() + 0.025)


def test_other_images_are_pooled(tmp_path):
    data = {"data": {"name": "shapes", "n": 8, "seed": 2, "variant": "single"}}
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(shifted(late=0.1), seconds=2.0), settings=data, data_digest="e")
    comparison = compare([a, b])
    found = comparison.scores[0].scores.intervals["", "grad_cam @ late"]
    assert (found.n, found.estimate) == (24, pytest.approx(BASE[LATE].mean() + 0.05))
    assert comparison.repeats.empty
    assert any("other images, pooled" in sentence for sentence in comparison.answer.sentences)


def test_a_seed_with_images_of_its_own_holds_them(tmp_path):
    data = {"seed": 1, "data": {"name": "shapes", "n": 8, "seed": 1, "variant": "single"}}
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(shifted(late=0.1), seconds=2.0), settings=data, data_digest="e")
    found = compare([a, b]).scores[0].scores.intervals["", "grad_cam @ late"]
    values = np.concatenate([BASE[LATE], BASE[LATE] + 0.1])
    (expected,) = cluster_intervals(values[:, None], [0] * 12 + [1] * 12, of="seed")
    assert (found.n, found.note) == (24, expected.note)
    np.testing.assert_allclose(
        (found.estimate, found.low, found.high), (expected.estimate, expected.low, expected.high)
    )


def test_runs_that_differ_in_an_explainers_seed_alone_repeat_nothing(tmp_path):
    drawn = {"random": {"name": "random", "seed": 0}}
    again = {"random": {"name": "random", "seed": 1}}
    a = written_run(tmp_path / "a", scores({("random", ""): BASE[SOBEL]}), settings={"explainer": drawn})
    values = BASE[SOBEL] + 0.05
    b = written_run(tmp_path / "b", scores({("random", ""): values}, seconds=2.0), settings={"explainer": again})
    comparison = compare([a, b])
    assert set(comparison.repeats["kind"]) == {"seed"}
    found = comparison.scores[0].scores.intervals["", "random"]
    assert found == crossed_interval(np.stack([BASE[SOBEL], values]))
    assert "2 seeds, a second level" in " ".join([comparison.answer.headline, *comparison.answer.sentences])


def test_means_over_unlike_images_say_so(tmp_path):
    data = {"name": "shapes", "n": 8, "seed": 2, "variant": "single"}
    a = written_run(tmp_path / "a", scores(BASE))
    b = written_run(tmp_path / "b", scores(BASE, seconds=2.0), settings={"data": data}, data_digest="e")
    means = compare([a, b]).frames()["means"]
    apart = means["run"] != "all together"
    assert (means.loc[apart, "note"] == OWN_IMAGES).all()
    assert (means.loc[~apart, "note"] != OWN_IMAGES).all()


def test_images_of_which_another_class_is_explained_stay_paired_and_are_counted(better, tmp_path):
    def of_class(targets, values, **options):
        return [replace(row, target=targets[int(row.image)]) for row in scores(values, **options)]

    first, second = [0] * 12, [0] * 9 + [1] * 3
    a = written_run(tmp_path / "one", of_class(first, BASE), model="small")
    b = written_run(tmp_path / "two", of_class(second, shifted(late=0.1), seconds=2.0), model="large")
    comparison = compare([a, b])
    table = comparison.frames()["differences"]
    assert set(table["n"]) == {12}
    assert set(table["other_class"]) == {3}
    said = " ".join(comparison.answer.sentences)
    assert "On 3 of 12 images, large explains another class than small; the images stay paired" in said
    alike = compare(better)
    assert set(alike.frames()["differences"]["other_class"]) == {0}
    assert "another class" not in " ".join(alike.answer.sentences)


def test_means_side_by_side_are_over_the_same_images(tmp_path):
    half = {arm: values[:4] for arm, values in BASE.items()}
    a = written_run(tmp_path / "a", scores(BASE), model="small")
    b = written_run(tmp_path / "b", scores(half, seconds=2.0), model="large")
    one = compare([a, b]).scores[0]
    assert one.means["small", "grad_cam @ late"] == one.means["large", "grad_cam @ late"]
    assert one.means["small", "grad_cam @ late"].n == 4


def test_an_unfinished_run_is_compared_and_named(tmp_path, better):
    c = written_run(tmp_path / "c", scores(shifted(), seconds=3.0), model="third", finished=False)
    assert "third is unfinished: what is there was compared." in compare([*better, c]).answer.sentences


def test_the_same_records_give_the_same_bytes(better, tmp_path):
    texts = []
    for name in ("one", "two"):
        page = write_comparison(compare(better), tmp_path / name)
        files = sorted(file for file in page.parent.rglob("*") if file.is_file())
        texts.append({file.relative_to(page.parent).as_posix(): file.read_bytes() for file in files})
    assert texts[0] == texts[1]
    assert {"compare.html", "figures/scores_by_run.svg", "tables/differences.csv", "tables/means.md"} <= set(texts[0])
    html = texts[0]["compare.html"].decode()
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert str(tmp_path) not in html


def test_a_comparison_is_not_written_into_a_run(better):
    with pytest.raises(ValueError, match="holds a run; give the comparison a folder of its own"):
        write_comparison(compare(better), better[0])
