import json

import pytest

from xaibench.report.compare.benchmarks import benchmark_words, compare_benchmarks
from xaibench.report.compare.times import FASTER, OTHER, SLOWER

MACHINE = {
    "machine": "x86_64",
    "system": "Linux",
    "cpu": {"brand_raw": "made up", "count": 2},
    "threads": 1,
    "torch": "2.14",
}


def one(name, median, *, rounds=1, quartiles=None, data=None, extra=None):
    """A benchmark as pytest-benchmark writes it; seconds."""
    q1, q3 = quartiles or (median, median)
    stats = {"median": median, "rounds": rounds, "q1": q1, "q3": q3}
    return {"name": name, "stats": stats | ({"data": data} if data else {}), "extra_info": extra or {}}


def saved(folder, name, benchmarks, **machine):
    file = folder / name
    file.write_text(json.dumps({"machine_info": {**MACHINE, **machine}, "benchmarks": benchmarks}))
    return file


def compared(tmp_path, first, second, **machine):
    return compare_benchmarks([saved(tmp_path, "a.json", first), saved(tmp_path, "b.json", second, **machine)])


@pytest.mark.parametrize(
    ("first", "second", "mark", "judged"),
    [
        ({"median": 0.1}, {"median": 0.2}, SLOWER, "ratio alone"),
        ({"median": 0.1}, {"median": 0.109}, "", "ratio alone"),
        ({"median": 0.2}, {"median": 0.1}, FASTER, "ratio alone"),
        (
            {"median": 0.1, "rounds": 5, "quartiles": (0.09, 0.11)},
            {"median": 0.2, "rounds": 5, "quartiles": (0.19, 0.21)},
            SLOWER,
            "quartiles",
        ),
        (
            {"median": 0.1, "rounds": 5, "quartiles": (0.09, 0.15)},
            {"median": 0.2, "rounds": 5, "quartiles": (0.14, 0.21)},
            "",
            "quartiles",
        ),
        (
            {"median": 0.1, "rounds": 3, "data": [0.1, 0.1, 0.1]},
            {"median": 0.2, "rounds": 3, "data": [0.2, 0.2, 0.2]},
            SLOWER,
            "interval",
        ),
    ],
)
def test_what_is_marked_and_by_what(tmp_path, first, second, mark, judged):
    row = compared(tmp_path, [one("test_it", **first)], [one("test_it", **second)]).table.iloc[0]
    assert (row["benchmark"], row["mark"], row["judged_by"]) == ("it", mark, judged)
    assert row["ratio"] == pytest.approx(second["median"] / first["median"])
    assert row["first_ms"] == pytest.approx(1e3 * first["median"])


def test_times_kept_beside_a_benchmark_are_compared_too(tmp_path):
    first = [one("test_it", 0.1, extra={"milliseconds": {"floor": 5.0}, "seconds": {"ours": [0.1, 0.1]}})]
    second = [one("test_it", 0.1, extra={"milliseconds": {"floor": 10.0}, "seconds": {"ours": [0.2, 0.2]}})]
    table = compared(tmp_path, first, second).table.set_index("benchmark")
    assert list(table["ratio"]) == [1.0, 2.0, 2.0]
    assert table.loc["it: ours", ["first_ms", "judged_by"]].tolist() == [100.0, "interval"]


def test_another_machine_is_no_regression_and_other_libraries_are_told(tmp_path):
    found = compared(tmp_path, [one("test_it", 0.1)], [one("test_it", 0.3)], threads=2, torch="3.0")
    assert list(found.table["mark"]) == [OTHER]
    words = " ".join(benchmark_words(found))
    assert "threads: 1 → 2" in words
    assert "torch: 2.14 → 3.0" in words


def test_what_one_file_has_alone_is_named(tmp_path):
    found = compared(tmp_path, [one("test_it", 0.1), one("test_old", 1.0)], [one("test_it", 0.1), one("test_new", 1.0)])
    assert found.alone == ["old (a.json)", "new (b.json)"]


def test_files_that_cannot_be_compared_are_refused(tmp_path):
    a = saved(tmp_path, "a.json", [one("test_it", 0.1)])
    b = saved(tmp_path, "b.json", [one("test_other", 0.1)])
    with pytest.raises(ValueError, match="have no benchmark in common: it against other"):
        compare_benchmarks([a, b])
    with pytest.raises(ValueError, match="given twice"):
        compare_benchmarks([a, a])
    with pytest.raises(ValueError, match="two benchmark files are compared at a time; got 3"):
        compare_benchmarks([a, b, a])
    with pytest.raises(ValueError, match=r"did you mean .*a\.json"):
        compare_benchmarks([a, tmp_path / "aa.json"])
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ValueError, match="no file of pytest-benchmark"):
        compare_benchmarks([a, tmp_path / "c.json"])
    (tmp_path / "d.json").write_text("no")
    with pytest.raises(ValueError, match="no JSON"):
        compare_benchmarks([a, tmp_path / "d.json"])
