"""The same records, maps and run.json give the same bytes in every file of the report, wherever and whenever it is drawn."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_run import synthetic_run

DRAW = """
import sys
from functools import partial
from pathlib import Path
from xaibench.report import redraw
from xaibench.report.page import gallery
from xaibench.report.tables import make_tables
redraw.images_per_page = gallery.images_per_page = partial(gallery.images_per_page, most=2)
redraw.make_tables = partial(make_tables, n_resamples=200)
redraw.write_report(Path(sys.argv[1]), paper=True)
"""
"""Draws quickly, and with so few images on a page that a gallery is needed."""


@pytest.mark.slow
def test_another_process_in_another_folder_writes_the_same_bytes(tmp_path):
    first, second = synthetic_run(tmp_path / "first", n_images=5), tmp_path / "second"
    shutil.copytree(first, second)
    for folder, hashes in ((first, "1"), (second, "2")):  # sets of words come in another order
        subprocess.run([sys.executable, "-c", DRAW, folder], env={**os.environ, "PYTHONHASHSEED": hashes}, check=True)
    for name in ("report.html", "summary.csv", "tables/scores.tex", "figures/scores.svg", "gallery/page-002.html"):
        assert (first / name).exists(), name
    assert list((first / "figures" / "paper").glob("*.pdf"))
    assert differing(first, second) == []


def test_what_differs_is_found(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, text in ((one, "a"), (other, "b")):
        (folder / "tables").mkdir(parents=True)
        (folder / "tables" / "summary.csv").write_text(text)
        (folder / "report.html").write_text("alike")
    (other / "new.svg").touch()
    assert differing(one, other) == ["new.svg", "tables/summary.csv"]


def differing(one: Path, other: Path) -> list[str]:
    """Names of the files that are not the same in both folders, or stand in one of them only."""
    contents = [
        {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (one, other)
    ]
    names = sorted({*contents[0], *contents[1]})
    return [name for name in names if contents[0].get(name) != contents[1].get(name)]
