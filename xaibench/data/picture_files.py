"""Image files with labels and masks: what every data set read from a folder is made of."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xaibench.data.pictures import SUFFIXES, read_mask, read_picture
from xaibench.data.samples import Sample

_CHUNK = 1 << 20


@dataclass(frozen=True)
class PictureFile:
    """One file of a data set.

    Attributes
    ----------
    path : Path
        Where it lies.
    relative : str
        Its path below the data set's root, with forward slashes.
    label : int or None
        Class, if known.
    mask : Path or None
        File with the object's mask.
    """

    path: Path
    relative: str
    label: int | None
    mask: Path | None = None


class PictureFiles:
    """A sequence of samples read from files.

    Parameters
    ----------
    files : sequence of PictureFile
        In the order of the samples.
    """

    def __init__(self, files: Sequence[PictureFile]) -> None:
        self.files = tuple(files)
        self.names = sample_names([file.relative for file in files])

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Sample:
        """Read sample `index`; `UnreadableImage` where it cannot be, `IndexError` beyond the end."""
        file = self.files[index]
        picture, note = read_picture(file.path)
        labels = () if file.label is None else (file.label,)
        masks = None if file.mask is None else read_mask(file.mask, picture.shape[:2])[None]
        return Sample(self.names[index], picture, labels, masks, note=note)

    def digest(self) -> str:
        """SHA-256 hex digest over relative names, labels, sizes and contents of all files; each is read once."""
        sha = hashlib.sha256()
        for file in self.files:
            sha.update(f"{file.relative}\0{file.label}\0{_content_digest(file.path)}\n".encode())
            if file.mask is not None:
                sha.update(f"{_content_digest(file.mask)}\n".encode())
        return sha.hexdigest()


def existing_folder(path: str | Path, argument: str) -> Path:
    """The folder as a path; an error that names the argument where it is none."""
    folder = Path(path).expanduser()
    if folder.is_file():
        raise ValueError(f"{argument} must be a folder, but {folder} is a file")
    if not folder.is_dir():
        raise ValueError(f"{argument}: there is no folder {folder}")
    return folder


def existing_file(path: str | Path, argument: str) -> Path:
    """The file as a path; an error that names the argument where it is none."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"{argument}: there is no file {file}")
    return file


def image_files(folder: Path, *, recursive: bool) -> list[Path]:
    """Image files in a folder by suffix, sorted by relative path; hidden files and folders are passed over."""
    found = [path for path in _visible_files(folder, recursive=recursive) if path.suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def visible_folders(folder: Path) -> list[Path]:
    """Folders in a folder, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def spread_subset(groups: Sequence[Hashable], n: int | None, seed: int) -> list[int]:
    """Choose `n` positions, as many of each group as possible.

    The choice of n is part of the choice of n + 1.

    Parameters
    ----------
    groups : sequence
        The group (class) of each position.
    n : int or None
        How many; None takes all.
    seed : int
        Decides which, and which groups get one more when they do not come out even.

    Returns
    -------
    list of int
        Ascending.

    Raises
    ------
    ValueError
        If n is under 1 or above the number of positions.
    """
    if n is None:
        return list(range(len(groups)))
    if not 1 <= n <= len(groups):
        raise ValueError(f"n is the number of images to take: from 1 to the {len(groups)} there are, not {n}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(groups))
    turn = {
        group: int(place) for group, place in zip(dict.fromkeys(groups), rng.permutation(len(set(groups))), strict=True)
    }
    taken: Counter[Hashable] = Counter()
    ranked = []
    for position in order.tolist():
        group = groups[position]
        ranked.append((taken[group], turn[group], position))
        taken[group] += 1
    return sorted(position for _, _, position in sorted(ranked)[:n])


def sample_names(relatives: Sequence[str]) -> tuple[str, ...]:
    """Unique names without slashes and, where that leaves them unique, without suffixes, for relative paths."""
    stems = [relative.rpartition(".")[0].replace("/", "-") for relative in relatives]
    twins = {stem for stem, count in Counter(stems).items() if count > 1}
    whole = [r.replace("/", "-").replace(".", "-") if s in twins else s for r, s in zip(relatives, stems, strict=True)]
    used: set[str] = set()
    names = []
    for name in whole:
        unique, number = name, 2
        while unique in used:
            unique, number = f"{name}-{number}", number + 1
        used.add(unique)
        names.append(unique)
    return tuple(names)


def _visible_files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """Files below a folder, without hidden ones."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_file():
            yield path
        elif recursive and path.is_dir():
            yield from _visible_files(path, recursive=True)


def _content_digest(path: Path) -> str:
    """Size and hash of one file; a file that has gone missing or cannot be read counts as such."""
    sha, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha.update(chunk)
                size += len(chunk)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return f"{size} {sha.hexdigest()}"
