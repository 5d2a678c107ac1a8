import pandas as pd
import pytest
from synthetic_records import LAYERS, synthetic_records

from xaibench.report.tables import images, make_tables, write_tables


@pytest.fixture(scope="module")
def tables():
    return make_tables(synthetic_records(), n_resamples=299)


def test_same_records_same_bytes(tables, tmp_path):
    first = write_tables(tables, tmp_path / "first")
    second = write_tables(make_tables(synthetic_records(), n_resamples=299), tmp_path / "second")
    assert [path.name for path in first] == [path.name for path in second]
    assert {path.suffix for path in first} == {".csv", ".md", ".tex"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert b"\r" not in one.read_bytes()


def test_measured_time_is_in_the_tables_of_cost_only(tables):
    slower = synthetic_records()
    slower["seconds"] *= 3
    timed = slower["metric"].isin(["milliseconds", "ratio_to_inference", "peak_memory_mib"])
    slower.loc[timed, "value"] *= 2
    slower["curve_y"] = [
        tuple(2 * y for y in curve) if is_time else curve
        for curve, is_time in zip(slower["curve_y"], timed, strict=True)
    ]
    changed = [
        name
        for name, frame in make_tables(slower, n_resamples=299).frames().items()
        if not frame.equals(tables.frames()[name])
    ]
    assert changed == ["cost", "timing", "cost_quality"]


def test_records_as_read_from_parquet(tables, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    from xaibench.records.table import SCHEMA, read_records

    for name, rows in synthetic_records().groupby(synthetic_records()["metric"] == "parameter_randomization"):
        file = tmp_path / f"{'sanity' if name else 'early'}-0000.parquet"
        pq.write_table(pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False), file)
    found = make_tables(read_records(sorted(tmp_path.glob("*.parquet"))), layers=LAYERS, n_resamples=299)
    for name, frame in tables.frames().items():
        pd.testing.assert_frame_equal(found.frames()[name], frame, check_dtype=False, obj=name)


def test_images_with_status_and_reason(tables):
    table = images(synthetic_records())
    assert list(table["image"]) == [f"single-{index:05d}" for index in range(12)]
    assert table["status"].iloc[-1] == "failed"
    assert table["reason"].iloc[-1] == "the file is truncated"
    assert table["confidence"].notna().sum() == 11
    assert table["undefined"][1] > 0
    assert table["undefined"].drop(1).eq(0).all()


def test_csv_reads_back(tables, tmp_path):
    write_tables(tables, tmp_path)
    found = pd.read_csv(tmp_path / "summary.csv", keep_default_na=False, na_values={"mean": "", "low": "", "high": ""})
    pd.testing.assert_series_equal(found["mean"], tables.summary["mean"], rtol=1e-5)
    assert list(found["arm"]) == list(tables.summary["arm"])


def test_empty_records_are_written_too(tmp_path):
    paths = write_tables(synthetic_records().iloc[:0], tmp_path)
    assert all(path.stat().st_size for path in paths)
