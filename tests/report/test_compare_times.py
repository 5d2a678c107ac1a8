import numpy as np
import pytest
from compared_runs import CONDITIONS, times, written_run
from scipy import stats

from xaibench.records.merge import merge
from xaibench.report.compare.times import FASTER, OTHER, SLOWER, Ratio, median_ratio, times_table

STEADY = [10.0, 10.0, 10.0]
KEY = ("late", "explanation")


def table(tmp_path, first, second, *, conditions=None, model="m", provenance=None, **options):
    a = written_run(tmp_path / "a", times({KEY: first}))
    b = written_run(tmp_path / "b", times({KEY: second}, conditions=conditions), model=model, provenance=provenance)
    return times_table(merge([a, b]), **options)


def test_a_ratio_of_constants_is_exact():
    assert median_ratio(STEADY, [20.0, 20.0]) == Ratio(2.0, 2.0, 2.0)
    ratio = median_ratio(STEADY, [20.0])
    assert (ratio.estimate, np.isnan(ratio.low)) == (2.0, True)
    assert ratio.mark(0.1) == ""  # one repetition settles nothing
    assert np.isnan(median_ratio([], STEADY).estimate)


def test_the_interval_is_scipys_percentile_bootstrap():
    rng = np.random.default_rng(3)
    first, second = rng.gamma(9, 1, 21), rng.gamma(9, 1.2, 25)
    found = median_ratio(first, second, n_resamples=9999)
    peer = stats.bootstrap(
        (first, second), lambda a, b, axis: np.median(b, axis=axis) / np.median(a, axis=axis),
        method="percentile", rng=np.random.default_rng(4), vectorized=True,
    ).confidence_interval  # fmt: skip
    assert found.low == pytest.approx(peer.low, rel=0.02)
    assert found.high == pytest.approx(peer.high, rel=0.02)


@pytest.mark.parametrize(
    ("second", "threshold", "mark"),
    [
        ([20.0, 20.0], 0.1, SLOWER),
        ([5.0, 5.0], 0.1, FASTER),
        ([10.9, 10.9], 0.1, ""),  # settled, but less than the threshold
        ([10.9, 10.9], 0.05, SLOWER),
        ([9.2, 9.2], 0.1, ""),  # 8 % less time is within a factor of 1.1
        ([9.0, 9.0], 0.1, FASTER),
        ([9.0, 9.5, 12.0, 40.0, 41.0], 0.1, ""),  # much slower at the median, and not settled
    ],
)
def test_what_is_marked(tmp_path, second, threshold, mark):
    row = table(tmp_path, STEADY, second, threshold=threshold).iloc[0]
    assert row["mark"] == mark
    assert row["ratio"] == pytest.approx(np.median(second) / 10)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"conditions": {"threads": 2}}, "threads: 1 → 2"),
        ({"conditions": {"device": "cuda (made up)"}}, "device: cpu (made up) → cuda (made up)"),
        ({"model": "n"}, "model: m → n"),
        ({"provenance": {"processor": "another"}}, "processor: made up → another"),
    ],
)
def test_another_machine_is_no_regression(tmp_path, other, said):
    row = table(tmp_path, STEADY, [20.0, 20.0], **other).iloc[0]
    assert row["mark"] == OTHER
    assert said in row["conditions"]


@pytest.mark.parametrize("noise", [{"torch": "3.0"}, {"clock_overhead_ms": 0.2}, {"a_new_setting": 5}])
def test_other_libraries_measurements_and_what_one_run_does_not_tell_excuse_nothing(tmp_path, noise):
    row = table(tmp_path, STEADY, [20.0, 20.0], conditions=noise).iloc[0]
    assert row["mark"] == SLOWER
    assert row["conditions"] == ("torch 2.14.0 → 3.0" if "torch" in noise else "")


def test_cells_of_a_grid_meet_their_like(tmp_path):
    def grid(first, second):
        small = {"batch_size": 1, "images": [1, 3, 8, 8]}
        return [*times({KEY: first}, conditions=small), *times({KEY: second}, conditions={"batch_size": 2})]

    a = written_run(tmp_path / "a", grid([10.0, 10.0], [5.0, 5.0]))
    b = written_run(tmp_path / "b", grid([10.0, 10.1], [50.0, 50.0]))
    found = times_table(merge([a, b]))
    assert list(found["batch_size"]) == ["1", "2"]
    assert "images" not in found.columns  # follows from the batch size
    np.testing.assert_allclose(found["ratio"], [1.005, 10.0])
    assert list(found["mark"]) == ["", SLOWER]
    assert found["time"].nunique() == 2


def test_a_halved_batch_is_another_condition(tmp_path):
    asked = {"batch_size_asked": 8}
    a = written_run(tmp_path / "a", times({KEY: STEADY}, conditions={**asked, "batch_size": 8}))
    b = written_run(tmp_path / "b", times({KEY: [20.0, 20.0]}, conditions={**asked, "batch_size": 4}))
    assert times_table(merge([a, b])).iloc[0]["mark"] == OTHER


def test_the_first_run_that_timed_a_phase_is_what_the_others_are_compared_with(tmp_path):
    a = written_run(tmp_path / "a", times({KEY: STEADY}))
    b = written_run(tmp_path / "b", times({KEY: [20.0, 20.0], ("", "inference"): [1.0, 1.0]}))
    c = written_run(tmp_path / "c", times({KEY: [5.0, 5.0], ("", "inference"): [3.0, 3.0]}))
    found = times_table(merge([a, b, c])).set_index(["phase", "first", "run"])
    assert found.loc[("explanation", "a", "c"), "ratio"] == 0.5
    assert found.loc[("inference", "b", "c"), "ratio"] == 3.0
    assert len(found) == 3


def test_the_conditions_of_the_tests_are_what_a_run_records():
    assert {"device", "images", "threads", "torch"} <= set(CONDITIONS)
