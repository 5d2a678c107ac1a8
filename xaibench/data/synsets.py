"""ImageNet's thousand WordNet ids in the order of its classes, from whichever list lies beside the images."""

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

N_CLASSES = 1000
_WORDNET_ID = re.compile(r"n\d{8}")
_PARENTS_SEARCHED = 4  # Kaggle's list lies four folders above its images
_DEVKIT_FOLDERS = ("", "ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", "devkit/data", "data")


def is_wordnet_id(name: str) -> bool:
    """Whether a name has the form of n01440764."""
    return _WORDNET_ID.fullmatch(name) is not None


def find_synsets(*folders: Path) -> dict[str, str]:
    """Find a list of ImageNet's classes in a folder, in a devkit below it, or in one of four folders above.

    Parameters
    ----------
    *folders : Path
        Folder of the images, and perhaps of their labels.

    Returns
    -------
    dict from str to str
        Class name by WordNet id, in sorted order of the ids: the class index is the position.

    Raises
    ------
    ValueError
        If there is no such list, with the names of the files that would do; or the one found is damaged.
    """
    found = (find_beside(folder, name) for name in READERS for folder in folders)
    first = next((path for path in found if path is not None), None)
    if first is not None:
        return read_synsets(first)
    raise ValueError(
        f"which class a WordNet id stands for is not known: put one of {', '.join(READERS)} into {folders[0]} "
        "or a folder above, or give its path as synsets"
    )


def find_beside(root: Path, name: str) -> Path | None:
    """A file of this name in a folder, in a devkit below it, or the same in up to four folders above."""
    absolute = root.absolute()
    for folder in [absolute, *absolute.parents[:_PARENTS_SEARCHED]]:
        for inner in _DEVKIT_FOLDERS:
            if (path := folder / inner / name).is_file():
                return path
    return None


def read_synsets(path: Path) -> dict[str, str]:
    """Read a list of ImageNet's classes.

    Parameters
    ----------
    path : Path
        ``imagenet_class_index.json``, ``meta.mat`` of the devkit, torchvision's ``meta.bin``, or a text file with an id
        and perhaps a name on each line, as Kaggle's ``LOC_synset_mapping.txt``.

    Returns
    -------
    dict from str to str
        Class name (the id itself where there is none) by WordNet id, in sorted order of the ids.

    Raises
    ------
    ValueError
        If it is damaged or does not hold exactly 1000 WordNet ids.
    """
    read = READERS.get(
        path.name, {".mat": _from_mat, ".json": _from_json, ".bin": _from_bin}.get(path.suffix, _from_text)
    )
    try:
        pairs = list(read(path))
    except Exception as error:  # five formats, each with its own ways to be damaged
        raise ValueError(f"{path} is no list of ImageNet's classes: {error or type(error).__name__}") from error
    names = {wordnet_id: words.split(",")[0].strip() or wordnet_id for wordnet_id, words in sorted(pairs)}
    return complete(names, str(path))


def complete(names: dict[str, str], source: str) -> dict[str, str]:
    """The same names if they are exactly ImageNet's thousand; an incomplete list would shift every index."""
    strange = next((name for name in names if not is_wordnet_id(name)), None)
    if strange is not None:
        raise ValueError(f"{source} holds {strange!r}, which is no WordNet id such as n01440764")
    if len(names) != N_CLASSES:
        raise ValueError(f"{source} holds {len(names)} different WordNet ids; expected all {N_CLASSES}")
    return names


def ilsvrc_ids(meta_mat: Path) -> dict[int, str]:
    """WordNet id by ILSVRC2012_ID (1 to 1000, in another order), from the devkit's ``meta.mat``.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    try:
        return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in _leaves(meta_mat)}
    except Exception as error:  # SciPy raises many kinds on damaged files
        raise ValueError(f"{meta_mat} is damaged: {error or type(error).__name__}") from error


def _leaves(path: Path) -> Iterable[Any]:
    """Rows of the devkit's table that are classes, not groups of classes."""
    from scipy.io import loadmat  # slow to import, and seldom wanted

    return [row for row in loadmat(path, squeeze_me=True)["synsets"] if int(row["num_children"]) == 0]


def _from_mat(path: Path) -> Iterable[tuple[str, str]]:
    """Ids and words in the devkit's table."""
    return [(str(row["WNID"]), str(row["words"])) for row in _leaves(path)]


def _from_json(path: Path) -> Iterable[tuple[str, str]]:
    """Ids and names in Keras' ``{"0": ["n01440764", "tench"], …}``, which must be in sorted order."""
    table = {int(index): pair for index, pair in json.loads(path.read_text(encoding="utf-8")).items()}
    pairs = [(table[index][0], table[index][1].replace("_", " ")) for index in sorted(table)]
    if pairs != sorted(pairs):
        raise ValueError("its classes are not in the order of their ids")
    return pairs


def _from_text(path: Path) -> Iterable[tuple[str, str]]:
    """Ids and words, one class a line."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in (line.replace("\t", " ") for line in lines)]


def _from_bin(path: Path) -> Iterable[tuple[str, str]]:
    """Ids and words in torchvision's file, a pair of which the first is a dict from id to words."""
    return [(wordnet_id, ", ".join(words)) for wordnet_id, words in _plain_pickle(path)[0].items()]


def torchvision_labels(path: Path) -> list[str]:
    """WordNet id of each validation image in the order of their names, from torchvision's ``meta.bin``."""
    try:
        return [str(wordnet_id) for wordnet_id in _plain_pickle(path)[1]]
    except Exception as error:  # as for the others
        raise ValueError(f"{path} is damaged: {error or type(error).__name__}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, strings and numbers, and refuses everything that would run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it wants to build {module}.{name}, which could run code")


def _plain_pickle(path: Path) -> Any:
    """What `torch.save` wrote, if it is made of plain containers only."""
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(member) as file:
            return _PlainUnpickler(file).load()


READERS: dict[str, Callable[[Path], Iterable[tuple[str, str]]]] = {
    "imagenet_class_index.json": _from_json,
    "LOC_synset_mapping.txt": _from_text,
    "synsets.txt": _from_text,
    "synset_words.txt": _from_text,
    "meta.mat": _from_mat,
    "meta.bin": _from_bin,
}
