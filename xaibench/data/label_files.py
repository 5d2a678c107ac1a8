"""Labels of image files in a CSV file, every complaint with its line."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILE_HEADERS = frozenset(("file", "filename", "file_name", "image", "imageid", "image_id", "path", "name"))
LABEL_HEADERS = frozenset(
    ("label", "class", "class_id", "classid", "category", "target", "predictionstring", "synset", "wnid", "y")
)


@dataclass(frozen=True)
class LabelRow:
    """One line: which file has which label, "" where it has none."""

    line: int
    file: str
    label: str


def read_label_rows(path: Path) -> list[LabelRow]:
    """Read a CSV file with columns file and label (comma, semicolon or tab), with or without a header.

    With a header that names both columns (see `FILE_HEADERS`, `LABEL_HEADERS`), their order is free and others may
    stand beside them; without, the first two columns count. Kaggle's ``ImageId,PredictionString`` is one of these.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark.

    Returns
    -------
    list of LabelRow

    Raises
    ------
    ValueError
        If the file is no such table, has no rows, or a row lacks a column; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    reader = csv.reader(text.splitlines(), delimiter=_delimiter(text))
    numbered = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    if not numbered:
        raise ValueError(f"{path.name} has no rows; expected lines such as: cat.png,3")
    file_column, label_column, has_header = _columns(numbered[0][1], path)
    rows = []
    for line, cells in numbered[has_header:]:
        if len(cells) <= max(file_column, label_column) or not cells[file_column]:
            raise ValueError(f"{path.name}, line {line}: expected a file and a label, got {','.join(cells)!r}")
        rows.append(LabelRow(line, cells[file_column], cells[label_column]))
    if not rows:
        raise ValueError(f"{path.name} has a header but no rows")
    return rows


def match_files(rows: Sequence[LabelRow], relatives: Sequence[str], source: str) -> dict[str, LabelRow]:
    """Find the row of each file, by relative path, or by file name or stem where only one file has it.

    Parameters
    ----------
    rows : sequence of LabelRow
        As read.
    relatives : sequence of str
        Paths of the files below the root, with forward slashes.
    source : str
        Name of the CSV file, for errors.

    Returns
    -------
    dict from str to LabelRow
        By relative path, in the order of `relatives`.

    Raises
    ------
    ValueError
        If a row's file does not exist or is not unique, a file has two rows or none; with lines or names.
    """
    known: dict[str, list[str]] = {}
    for relative in relatives:
        name = relative.rpartition("/")[2]
        for key in dict.fromkeys((relative, relative.rpartition(".")[0], name, name.rpartition(".")[0])):
            known.setdefault(key, []).append(relative)
    found: dict[str, LabelRow] = {}
    whole = set(relatives)
    for row in rows:
        wanted = row.file.replace("\\", "/").removeprefix("./")
        matches = [wanted] if wanted in whole else known.get(wanted, [])
        if len(matches) != 1:
            problem = (
                f"is one of {len(matches)} files, {', '.join(matches[:3])}; give its path" if matches else "is missing"
            )
            raise ValueError(f"{source}, line {row.line}: image {row.file!r} {problem}")
        if matches[0] in found:
            raise ValueError(
                f"{source}, line {row.line}: {row.file!r} has a label in line {found[matches[0]].line} already"
            )
        found[matches[0]] = row
    missing = [relative for relative in relatives if relative not in found]
    if missing:
        raise ValueError(
            f"{source} has no row for {len(missing)} of {len(relatives)} images: {', '.join(missing[:3])}"
            f"{', …' if len(missing) > 3 else ''}; add them, with an empty label where none is known"
        )
    return {relative: found[relative] for relative in relatives}


def check_label(label: int, n_classes: int | None, where: str) -> int:
    """The label itself if it is a class; an error that says where it stands if not."""
    if label < 0 or (n_classes is not None and label >= n_classes):
        allowed = "at least 0" if n_classes is None else f"from 0 to {n_classes - 1}"
        raise ValueError(f"{where}: label {label} is out of range, must be {allowed}")
    return label


def _delimiter(text: str) -> str:
    """Tab or semicolon where the first line has one and no comma."""
    first = text.lstrip().partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in first), ",")


def _columns(first: Sequence[str], path: Path) -> tuple[int, int, bool]:
    """Columns of file and label, and whether the first line is a header."""
    lowered = [cell.lower() for cell in first]
    files = [i for i, cell in enumerate(lowered) if cell in FILE_HEADERS]
    labels = [i for i, cell in enumerate(lowered) if cell in LABEL_HEADERS]
    if files and labels:
        return files[0], labels[0], True
    if len(first) < 2:
        raise ValueError(f"{path.name}: expected two columns, file and label; line 1 is {first[0]!r}")
    return 0, 1, False
