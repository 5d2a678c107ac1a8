"""Several run folders named by a user: found, opened, and no run twice."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from xaibench.names import unknown
from xaibench.records.run_folder import RunFolder
from xaibench.records.table import MEASURED_METRICS


def named_folder(word: Path | str) -> tuple[str, Path]:
    """Take ``NAME=FOLDER`` apart, but not a folder whose own name has an equals sign."""
    name, equals, rest = str(word).partition("=")
    if equals and name and not Path(word).exists():
        return name, Path(rest).expanduser()
    return "", Path(word).expanduser()


def open_run(path: Path) -> RunFolder:
    """Open a run for reading, or say what is near."""
    if (path / "run.json").is_file():
        return RunFolder.open(path)
    inside = sorted(file.parent.as_posix() for file in path.glob("*/run.json")) if path.is_dir() else []
    if inside:
        raise ValueError(f"{path} holds no run itself, but folders of runs: {', '.join(inside[:8])}")
    if path.is_dir():
        raise ValueError(f"{path} holds no run: there is no run.json in it")
    beside = sorted(file.parent.as_posix() for file in path.parent.glob("*/run.json"))
    near = get_close_matches(path.as_posix(), beside, n=3, cutoff=0.5)
    raise unknown("run folder", path.as_posix(), near or beside)


def refuse_doubles(paths: Sequence[Path]) -> None:
    """Refuse a folder that is given twice."""
    seen: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() in seen:
            raise ValueError(f"{path} is given twice; a run is compared with another one")
        seen[path.resolve()] = path


def refuse_copies(folders: Sequence[Path], tables: Sequence[pd.DataFrame]) -> None:
    """Two folders whose wall times are equal to the last bit hold one run."""
    seen: dict[bytes, Path] = {}
    for folder, table in zip(folders, tables, strict=True):
        clock = table.loc[table["metric"].isin(MEASURED_METRICS), "value"].to_numpy(float)
        times = np.concatenate([table["seconds"].to_numpy(float), clock])
        if np.isfinite(times).any():
            other = seen.setdefault(times.tobytes(), folder)
            if other is not folder:
                raise ValueError(f"{other} and {folder} hold the same run: their wall times are equal")
