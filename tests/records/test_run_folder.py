import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xaibench.records import run_folder
from xaibench.records.record import Record
from xaibench.records.run_folder import RunFolder, RunFolderError, values_digest
from xaibench.records.table import COLUMNS

IDENTITY = {"settings": {"seed": 0, "data": {"name": "shapes", "n": 8}}, "data": {"digest": "d"}}
RECORDS = [
    Record("deletion", 0.25, image="a", curve_x=(0.0, 0.5, 1.0), curve_y=(1.0, 0.25, 0.0), seconds=0.125),
    Record("energy_in_mask", math.nan, image="b", status="undefined", reason="map without positive evidence"),
]


def begin(path, **settings):
    identity = {**IDENTITY, "settings": {**IDENTITY["settings"], **settings}}
    return RunFolder.create(path, identity, {"revision": "r"})


def test_what_is_written_comes_back_in_order(tmp_path):
    folder = begin(tmp_path / "run")
    folder.write("scores-0001", RECORDS[1:], {})
    folder.write("scores-0000", RECORDS[:1], {})
    table = RunFolder.open(tmp_path / "run").records()
    assert list(table.columns) == [*COLUMNS, "shard"]
    assert table["shard"].tolist() == ["scores-0000", "scores-0001"]
    first, second = (table.iloc[i] for i in range(2))
    assert first["curve_y"].tolist() == [1.0, 0.25, 0.0]
    assert (first["value"], first["seconds"]) == (0.25, 0.125)
    assert math.isnan(second["value"])
    assert second["reason"] == "map without positive evidence"


def test_an_empty_run_has_an_empty_table(tmp_path):
    table = begin(tmp_path / "run").records()
    assert list(table.columns) == [*COLUMNS, "shard"]
    assert table.empty


def test_maps_are_read_by_key_over_all_shards(tmp_path):
    folder = begin(tmp_path / "run")
    maps = {"map/grad_cam/layer4.2/a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    folder.write("scores-0000", RECORDS, maps)
    folder.write("scores-0001", RECORDS, {"mask/b": np.eye(3, dtype=np.uint8)[:, ::-1]})
    found = folder.maps()
    assert sorted(found) == ["map/grad_cam/layer4.2/a", "mask/b"]
    np.testing.assert_array_equal(found["map/grad_cam/layer4.2/a"], maps["map/grad_cam/layer4.2/a"])
    np.testing.assert_array_equal(found["mask/b"], np.eye(3)[:, ::-1])


def test_the_same_configuration_resumes(tmp_path):
    begin(tmp_path / "run").write("scores-0000", RECORDS, {})
    resumed = begin(tmp_path / "run")
    assert resumed.is_finished("scores-0000")
    assert not resumed.is_finished("scores-0001")


def test_another_configuration_is_refused_by_naming_what_differs(tmp_path):
    begin(tmp_path / "run").write("scores-0000", RECORDS, {})
    with pytest.raises(
        RunFolderError, match=r"another configuration \(different: seed: 0 → 1\); choose another folder"
    ):
        begin(tmp_path / "run", seed=1)
    assert RunFolder.open(tmp_path / "run").is_finished("scores-0000")


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(RunFolderError, match="is no run of xaibench"):
        begin(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_revision_is_kept_beside_the_first(tmp_path, caplog):
    begin(tmp_path / "run")
    resumed = RunFolder.create(tmp_path / "run", IDENTITY, {"revision": "s"})
    assert [made["revision"] for made in resumed.run["provenance"]] == ["r", "s"]
    assert "another revision" in caplog.text


@pytest.mark.parametrize("killed_in", ["maps", "records"])
def test_a_shard_killed_while_written_is_not_finished_and_leaves_nothing(tmp_path, monkeypatch, killed_in):
    folder = begin(tmp_path / "run")
    folder.write("scores-0000", RECORDS, {})

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((run_folder, "save_file") if killed_in == "maps" else (run_folder.pq, "write_table")), killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write("scores-0001", RECORDS, {"mask/a": np.zeros(3)})
    (tmp_path / "run" / "records" / "scores-0001.parquet.partial").write_bytes(b"PAR1 torn")
    monkeypatch.undo()

    resumed = begin(tmp_path / "run")
    assert not resumed.is_finished("scores-0001")
    assert not list((tmp_path / "run").rglob("*.partial"))
    assert len(resumed.records()) == 2


@pytest.mark.parametrize("failing", ["save_file", "write_table"])
def test_a_full_disk_is_named_and_loses_nothing(tmp_path, monkeypatch, failing):
    folder = begin(tmp_path / "run")
    folder.write("scores-0000", RECORDS, {})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder if failing == "save_file" else run_folder.pq, failing, full)
    with pytest.raises(RunFolderError, match=r"No space left on device.*Finished shards are kept; make room"):
        folder.write("scores-0001", RECORDS, {"mask/a": np.zeros(3)})
    monkeypatch.undo()
    assert begin(tmp_path / "run").is_finished("scores-0000")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_really_full_device_is_named(tmp_path):
    folder = begin(tmp_path / "run")
    (tmp_path / "run" / "records" / "scores-0000.parquet.partial").symlink_to("/dev/full")
    with pytest.raises(RunFolderError, match="No space left"):
        folder.write("scores-0000", RECORDS * 1000, {})


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def read_only(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_folder.Path, "mkdir", read_only)
    with pytest.raises(RunFolderError, match=r"cannot write in .*Permission denied.*make the folder writable"):
        begin(tmp_path / "run")


def test_a_missing_run_is_named(tmp_path):
    with pytest.raises(RunFolderError, match="holds no run"):
        RunFolder.open(tmp_path)


def test_the_digest_ignores_time_and_sees_every_value():
    def digest(**changes):
        row = {
            "metric": "deletion",
            "value": 0.5,
            "seconds": 1.0,
            "curve_y": np.array([1.0, 0.0]),
            "reason": "",
        } | changes
        return values_digest(pd.DataFrame([row, {**row, "metric": "milliseconds", "value": changes.get("time", 3.0)}]))

    assert digest() == digest(seconds=2.0)
    assert digest(value=0.5 + 1e-15) != digest()
    assert digest(curve_y=np.array([1.0, 1e-300])) != digest()
    assert digest(reason="constant map") != digest()


def test_run_json_is_plain_json(tmp_path):
    folder = begin(tmp_path / "run")
    folder.update(finished=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is True
