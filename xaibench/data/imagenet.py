"""ImageNet's validation images (ILSVRC 2012 [1]_) with the labels that models are trained on.

A class's index is the position of its WordNet id among the thousand sorted ids. The devkit counts otherwise (its
ILSVRC2012_ID), and is translated.

.. [1] O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 115(3), 2015.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from xaibench.data.label_files import check_label, match_files, read_label_rows
from xaibench.data.picture_files import (
    PictureFile,
    PictureFiles,
    existing_file,
    existing_folder,
    image_files,
    spread_subset,
    visible_folders,
)
from xaibench.data.samples import Sample
from xaibench.data.synsets import (
    N_CLASSES,
    complete,
    find_beside,
    find_synsets,
    ilsvrc_ids,
    is_wordnet_id,
    read_synsets,
    torchvision_labels,
)

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
KAGGLE_LABELS = "LOC_val_solution.csv"


@dataclass(frozen=True)
class ImageNet:
    """The validation images in a folder, in the order of their relative paths.

    Either sub-folders named by WordNet ids, all thousand or some; or all images in one folder, with `labels`. Which
    class an id stands for comes from `synsets`, else from the thousand sub-folders themselves, else from a list of
    classes found in `root` or up to four folders above (see `xaibench.data.synsets`).

    Parameters
    ----------
    root : path
        The folder, or one that holds it under the name ``val``.
    labels : path or None
        For a flat folder: Kaggle's ``LOC_val_solution.csv``, another CSV file with columns file and label (WordNet id
        or class index), or the devkit's ``ILSVRC2012_validation_ground_truth.txt`` with ``meta.mat`` beside it. None:
        the first of these that is found in `root`, a devkit in it, or up to four folders above; or torchvision's
        ``meta.bin`` there.
    synsets : path or None
        A list of the thousand classes, see `xaibench.data.synsets.read_synsets`.
    n : int or None
        Take this many, spread evenly over the classes; None takes all.
    seed : int
        Decides which.

    Raises
    ------
    ValueError
        If a folder or file is missing or damaged, there are no images, labels are out of range or do not fit the
        images, or it is not known which class an id stands for; with the file that would help.
    """

    root: str | Path
    _: KW_ONLY
    labels: str | Path | None = None
    synsets: str | Path | None = None
    n: int | None = None
    seed: int = 0
    categories: Sequence[str] = field(init=False, repr=False, compare=False)
    _pictures: PictureFiles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        root = existing_folder(self.root, "root")
        if not _class_folders(root) and (root / "val").is_dir():
            root = root / "val"
        given = None if self.synsets is None else read_synsets(existing_file(self.synsets, "synsets"))
        if _class_folders(root):
            paths, labels, names = _from_folders(root, given)
        else:
            paths, labels, names = _from_flat(root, given, self.labels)
        relatives = [path.relative_to(root).as_posix() for path in paths]
        chosen = spread_subset(labels, self.n, self.seed)
        files = [PictureFile(paths[i], relatives[i], labels[i]) for i in chosen]
        object.__setattr__(self, "categories", names)
        object.__setattr__(self, "_pictures", PictureFiles(files))

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        """Read sample `index`; a negative one counts from the end.

        Raises
        ------
        IndexError
            If there is no such sample.
        UnreadableImage
            If its file cannot be used.
        """
        return self._pictures.read(index)

    def name(self, index: int) -> str:
        """Name of sample `index`, from its relative path."""
        return self._pictures.names[index]

    def label(self, index: int) -> int | None:
        """Class of sample `index`, without reading it."""
        return self._pictures.files[index].label

    def digest(self) -> str:
        """SHA-256 hex digest over the chosen files' relative names, labels, sizes and contents."""
        return self._pictures.digest()


Found = tuple[list[Path], list[int], tuple[str, ...]]


def _class_folders(root: Path) -> list[Path]:
    """Sub-folders named by WordNet ids."""
    return [folder for folder in visible_folders(root) if is_wordnet_id(folder.name)]


def _from_folders(root: Path, given: dict[str, str] | None) -> Found:
    """Images, labels and categories of a folder with class folders."""
    folders = _class_folders(root)
    if given is None:
        whole = len(folders) == N_CLASSES
        given = complete({f.name: f.name for f in folders}, str(root)) if whole else find_synsets(root)
    position = {wordnet_id: index for index, wordnet_id in enumerate(given)}
    foreign = next((folder.name for folder in folders if folder.name not in position), None)
    if foreign is not None:
        raise ValueError(f"root: folder {foreign} is none of ImageNet's {N_CLASSES} classes")
    paths = [path for folder in folders for path in image_files(folder, recursive=True)]
    if not paths:
        raise ValueError(f"root: the class folders in {root} hold no images")
    labels = [position[path.relative_to(root).parts[0]] for path in paths]
    return paths, labels, tuple(given.values())


def _from_flat(root: Path, given: dict[str, str] | None, labels: str | Path | None) -> Found:
    """Images, labels and categories of a folder without class folders."""
    paths = image_files(root, recursive=False)
    if not paths:
        raise ValueError(
            f"root: {root} holds neither folders named by WordNet ids, such as n01440764, nor images such as "
            "ILSVRC2012_val_00000001.JPEG"
        )
    source = existing_file(labels, "labels") if labels is not None else _found_labels(root)
    if source.suffix == ".txt":
        ids: dict[str, str | int] = dict(_from_ground_truth(source, paths))
    elif source.suffix == ".bin":
        ids = dict(_in_order(torchvision_labels(source), paths, source))
    else:
        rows = match_files(read_label_rows(source), [path.name for path in paths], source.name)
        ids = {name: _first_word(row.label, f"{source.name}, line {row.line}") for name, row in rows.items()}
    if given is None:
        named = any(isinstance(label, str) for label in ids.values())
        given = find_synsets(root, source.parent) if named else {}
    position = {wordnet_id: index for index, wordnet_id in enumerate(given)}
    return paths, [_position(ids[path.name], position, source, path) for path in paths], tuple(given.values())


def _found_labels(root: Path) -> Path:
    """The file with the labels of a flat folder."""
    for name in (KAGGLE_LABELS, GROUND_TRUTH, "meta.bin"):
        if (path := find_beside(root, name)) is not None:
            return path
    raise ValueError(
        f"labels: no labels for the images in {root}; give a CSV file (file,label), or put {KAGGLE_LABELS}, or the "
        f"devkit's {GROUND_TRUTH} and meta.mat, into it or a folder above"
    )


def _from_ground_truth(source: Path, paths: Sequence[Path]) -> dict[str, str]:
    """WordNet id by file name from the devkit: line k is the ILSVRC2012_ID of the k-th image of the whole set."""
    meta = find_beside(source.parent, "meta.mat")
    if meta is None:
        raise ValueError(f"labels: {source.name} counts classes as the devkit does; put its meta.mat beside it")
    wordnet_ids = ilsvrc_ids(meta)
    translated = []
    for line, text in enumerate(source.read_text(encoding="ascii", errors="replace").split("\n"), start=1):
        if not text.strip():
            continue
        number = int(text) if text.strip().isdigit() else -1
        if number not in wordnet_ids:
            raise ValueError(
                f"{source.name}, line {line}: label {text.strip()!r} is out of range, must be from 1 to "
                f"{len(wordnet_ids)}"
            )
        translated.append(wordnet_ids[number])
    return _in_order(translated, paths, source)


def _in_order(wordnet_ids: Sequence[str], paths: Sequence[Path], source: Path) -> dict[str, str]:
    """Label by file name where the list is in the order of the images' numbers: …_00000001.JPEG is the first."""
    found = {}
    for path in paths:
        number = path.stem.rpartition("_")[2]
        if not number.isdigit() or not 1 <= int(number) <= len(wordnet_ids):
            raise ValueError(
                f"{source.name} labels images 1 to {len(wordnet_ids)} by their numbers; {path.name} has none of these "
                "(expected names such as ILSVRC2012_val_00000001.JPEG)"
            )
        found[path.name] = wordnet_ids[int(number) - 1]
    return found


def _first_word(label: str, where: str) -> str | int:
    """A class index, or the WordNet id that Kaggle writes before the boxes."""
    word = label.partition(" ")[0]
    if is_wordnet_id(word):
        return word
    if not word.lstrip("+-").isdigit():
        raise ValueError(f"{where}: label {word!r} is neither a class index nor a WordNet id such as n01440764")
    return check_label(int(word), N_CLASSES, where)


def _position(label: str | int, position: dict[str, int], source: Path, path: Path) -> int:
    """Class index of a WordNet id, or the index itself."""
    if isinstance(label, int):
        return label
    if label not in position:
        raise ValueError(
            f"{source.name}: {path.name} has label {label}, which is none of ImageNet's {N_CLASSES} classes"
        )
    return position[label]
