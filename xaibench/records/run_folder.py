"""The folder of a run: finished shards, whole or not at all, and what made them.

    run.json             settings, fingerprint, provenance
    records/SHARD.parquet   rows of a finished shard
    maps/SHARD.safetensors  its maps and pictures, written before the rows

A shard is finished when its records file exists. Files are written beside their final name and renamed, so a process
killed at any moment leaves whole shards and at most some ``*.partial`` files, which the next run removes.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from safetensors import safe_open
from safetensors.numpy import save_file

from xaibench.records.record import Record
from xaibench.records.table import MEASURED_COLUMNS, MEASURED_METRICS, read_records, to_arrow

_log = logging.getLogger(__name__)


class RunFolderError(RuntimeError):
    """The folder cannot be used for this run; the message says why and what to do."""


class RunFolder:
    """A folder that holds one run.

    Use `create` to begin or resume a run, `open` to read one.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self.run = run

    @classmethod
    def create(cls, path: Path, identity: Mapping[str, Any], provenance: Mapping[str, Any]) -> "RunFolder":
        """Begin a run in `path`, or resume the one of the same identity that is there.

        Parameters
        ----------
        path : Path
            The folder; made if it does not exist.
        identity : mapping
            Everything that decides the values: settings and digests of weights and data. JSON values.
        provenance : mapping
            What else to remember: revision, versions, hardware. May differ when a run is resumed; then each is kept.

        Raises
        ------
        RunFolderError
            If the folder holds another run or other files, or cannot be written.
        """
        identity = json.loads(json.dumps(identity))
        run = {"fingerprint": fingerprint(identity), **identity, "provenance": [dict(provenance)]}
        if (path / "run.json").exists():
            run = _resumed(path, run)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunFolderError(f"{path} exists and is no run of xaibench; choose another folder with out=FOLDER")
        folder = cls(path, run)
        with _storage_errors(path):
            for part in (path / "records", path / "maps"):
                part.mkdir(parents=True, exist_ok=True)
            for leftover in path.rglob("*.partial"):
                leftover.unlink()
            folder._save_run()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open the run in `path` for reading.

        Raises
        ------
        RunFolderError
            If there is none.
        """
        file = Path(path) / "run.json"
        if not file.is_file():
            raise RunFolderError(f"{path} holds no run: there is no run.json in it")
        return cls(Path(path), json.loads(file.read_text()))

    def is_finished(self, shard: str) -> bool:
        """Whether the shard's records are on disk."""
        return self._records_file(shard).exists()

    def write(self, shard: str, records: Iterable[Record], maps: Mapping[str, np.ndarray]) -> None:
        """Put a finished shard on disk: its maps first, its records last."""
        arrays = {key: np.ascontiguousarray(value) for key, value in maps.items()}
        with _storage_errors(self.path):
            if arrays:
                _whole(self._maps_file(shard), lambda file: save_file(arrays, file))
            _whole(self._records_file(shard), lambda file: pq.write_table(to_arrow(records), file))

    def update(self, **entries: Any) -> None:
        """Set entries of run.json."""
        self.run.update(entries)
        with _storage_errors(self.path):
            self._save_run()

    def records(self, shards: Iterable[str] | None = None) -> pd.DataFrame:
        """All rows of the finished shards named, or of all by name, in the order in which they were written."""
        if shards is not None:
            return read_records(self._records_file(shard) for shard in shards)
        return read_records(sorted((self.path / "records").glob("*.parquet")))

    def maps(self) -> "Maps":
        """Maps and pictures of all finished shards, read when asked for."""
        return Maps(sorted((self.path / "maps").glob("*.safetensors")))

    def _records_file(self, shard: str) -> Path:
        return self.path / "records" / f"{shard}.parquet"

    def _maps_file(self, shard: str) -> Path:
        return self.path / "maps" / f"{shard}.safetensors"

    def _save_run(self) -> None:
        text = json.dumps(self.run, indent=2) + "\n"
        _whole(self.path / "run.json", lambda file: file.write_text(text))


class Maps(Mapping[str, np.ndarray]):
    """Arrays by key, over several safetensors files; an array is read when it is asked for.

    The file read last stays open: a picture and its maps stand in one, and opening takes longer than reading.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._file_of: dict[str, Path] = {}
        self._opened: tuple[Path, Any] | None = None
        for file in files:
            with safe_open(file, framework="np") as arrays:
                self._file_of.update(dict.fromkeys(arrays.keys(), file))

    def __getitem__(self, key: str) -> np.ndarray:
        file = self._file_of[key]
        if self._opened is None or self._opened[0] != file:
            self._opened = file, safe_open(file, framework="np")
        return self._opened[1].get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 hex digest of everything that decides a run's values."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def values_digest(records: pd.DataFrame) -> str:
    """SHA-256 hex digest of all reproducible values: equal for a run and its resumed twin on one machine.

    Wall times and what is computed from them are left out.
    """
    steady = records[~records["metric"].isin(MEASURED_METRICS)].drop(columns=list(MEASURED_COLUMNS))
    digest = hashlib.sha256()
    for column in steady:
        values = steady[column]
        if values.dtype.kind in "if":
            digest.update(np.ascontiguousarray(values.to_numpy()).tobytes())
        else:
            digest.update(repr([v.tolist() if isinstance(v, np.ndarray) else v for v in values]).encode())
    return digest.hexdigest()


def _resumed(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    found = json.loads((path / "run.json").read_text())
    if found.get("fingerprint") != run["fingerprint"]:
        changed = ", ".join(_differences(found, run)) or "its contents"
        raise RunFolderError(
            f"{path} belongs to another configuration (different: {changed}); "
            "choose another folder with out=FOLDER, or delete this one"
        )
    if run["provenance"][0] not in found["provenance"]:
        _log.warning("%s was begun with another revision, library version or machine; all are kept in run.json", path)
        found["provenance"] += run["provenance"]
    return found


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Name the settings in which two runs differ, by their dotted keys."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix}: {old} → {new}"]
    keys = [key for key in {**old, **new} if prefix or key not in ("fingerprint", "provenance")]
    dotted = {key: f"{prefix}.{key}" if prefix and prefix != "settings" else str(key) for key in keys}
    return [text for key in keys for text in _differences(old.get(key), new.get(key), dotted[key])][:5]


def _whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = file.with_name(file.name + ".partial")
    write(partial)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(file)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and "os error" not in str(error).lower():
            raise  # safetensors reports a full disk through its own exception
        raise RunFolderError(
            f"cannot write in {path}: {error}. Finished shards are kept; make room, or make the folder writable, "
            "and run the same command again"
        ) from error
