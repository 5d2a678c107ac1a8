"""A folder of photographs: one sub-folder a class, or flat, with labels in a CSV file or none."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from xaibench.data.label_files import LabelRow, check_label, match_files, read_label_rows
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
from xaibench.data.synsets import find_synsets, is_wordnet_id
from xaibench.names import unknown


@dataclass(frozen=True)
class ImageFolder:
    """Images in a folder, in the order of their relative paths, hidden files and folders passed over.

    With a `labels` file, that tells the labels; else, if the folder holds no images itself, each sub-folder is a class,
    with all images below it; else the images have no labels.

    Parameters
    ----------
    root : path
        The folder.
    labels : path or None
        CSV file with columns file and label, see `xaibench.data.label_files`; labels are class indices, names, or
        empty. Every image in the folder, sub-folders included, must have a row.
    categories : sequence of str
        The model's class names by index. Sub-folders and named labels are then looked up among them (case and
        underscores do not matter), or, where they are WordNet ids such as n01440764, by those (see
        `xaibench.data.synsets`). Empty: the classes are the sorted names that occur, counted from 0, and become the
        categories; they stay empty where labels are indices or unknown.
    n : int or None
        Take this many, spread evenly over the classes; None takes all.
    seed : int
        Decides which.
    masks : path or None
        Folder with a PNG file for an image's object at the same relative path (suffix apart), not zero on the
        object. Images without one have no mask.

    Raises
    ------
    ValueError
        If a folder or file is missing, there are no images, or labels, names, `n` or masks do not fit them.
    UnknownName
        If a class is none of the model's.

    Examples
    --------
    >>> sample = ImageFolder("photos", n=8)[0]  # doctest: +SKIP
    """

    root: str | Path
    _: KW_ONLY
    labels: str | Path | None = None
    categories: Sequence[str] = ()
    n: int | None = None
    seed: int = 0
    masks: str | Path | None = None
    _pictures: PictureFiles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        root = existing_folder(self.root, "root")
        masks = None if self.masks is None else existing_folder(self.masks, "masks")
        if masks is not None and masks.resolve() == root.resolve():
            raise ValueError(f"masks: {masks} is the folder of the images; put the masks into one of their own")
        paths = _images(root, masks, recursive=self.labels is not None or not image_files(root, recursive=False))
        if not paths:
            raise ValueError(
                f"root: there are no images in {root} or its sub-folders; look at the path and the suffixes"
            )
        relatives = [path.relative_to(root).as_posix() for path in paths]
        if self.labels is not None:
            labels, categories = _from_csv(existing_file(self.labels, "labels"), relatives, self.categories, root)
        elif "/" in relatives[0]:
            labels, categories = _from_folders(root, masks, relatives, self.categories)
        else:
            _refuse_mixture(root, masks)
            labels, categories = [None] * len(paths), tuple(self.categories)
        chosen = spread_subset(labels, self.n, self.seed)
        files = [PictureFile(paths[i], relatives[i], labels[i], _mask(masks, relatives[i])) for i in chosen]
        _check_masks(files, self.masks)
        object.__setattr__(self, "categories", categories)
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
            If its file, or its mask's, cannot be used.
        """
        return self._pictures.read(index)

    def name(self, index: int) -> str:
        """Relative path of sample `index` with hyphens for slashes, without the suffix where that leaves it unique."""
        return self._pictures.names[index]

    def label(self, index: int) -> int | None:
        """Class of sample `index`, without reading it; None where it is unknown."""
        return self._pictures.files[index].label

    def digest(self) -> str:
        """SHA-256 hex digest over the chosen files' relative names, labels, sizes, contents and masks."""
        return self._pictures.digest()


def _images(root: Path, masks: Path | None, *, recursive: bool) -> list[Path]:
    """Images below the root that are no masks."""
    paths = image_files(root, recursive=recursive)
    if masks is None:
        return paths
    resolved = masks.resolve()
    return [path for path in paths if resolved not in path.resolve().parents]


def _from_csv(
    source: Path, relatives: Sequence[str], categories: Sequence[str], root: Path
) -> tuple[list[int | None], tuple[str, ...]]:
    """Labels in the order of `relatives`, and the categories."""
    rows = match_files(read_label_rows(source), relatives, source.name)
    given = [row for row in rows.values() if row.label]
    numbers = [row for row in given if row.label.lstrip("+-").isdigit()]
    if len(numbers) == len(given):
        n_classes = len(categories) if categories else None
        index = {r.label: check_label(int(r.label), n_classes, _where(source, r)) for r in given}
        names = tuple(categories)
    elif numbers and not categories:
        words = next(row for row in given if row not in numbers)
        raise ValueError(
            f"{source.name} mixes class indices (line {numbers[0].line}) and names (line {words.line}); use one of them"
        )
    else:
        where = {row.label: _where(source, row) for row in reversed(given)}
        index, names = _class_index(where, categories, root)
    return [index[row.label] if row.label else None for row in rows.values()], names


def _from_folders(
    root: Path, masks: Path | None, relatives: Sequence[str], categories: Sequence[str]
) -> tuple[list[int | None], tuple[str, ...]]:
    """Labels from the first folder of each path; an empty folder is a class too, so that no index depends on it."""
    folders = [f.name for f in visible_folders(root) if masks is None or f.resolve() != masks.resolve()]
    index, names = _class_index({name: f"folder {name}" for name in folders}, categories, root)
    return [index[relative.partition("/")[0]] for relative in relatives], names


def _class_index(
    where: dict[str, str], categories: Sequence[str], root: Path
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Index of each class name, and all categories; `where` says where each name stands."""
    if not categories:
        names = tuple(sorted(where))
        return {name: index for index, name in enumerate(names)}, names
    known: dict[str, list[int]] = {}
    for position, category in enumerate(categories):
        known.setdefault(_plain(category), []).append(position)
    if all(is_wordnet_id(name) for name in where) and not known.keys() >= {_plain(name) for name in where}:
        synsets = find_synsets(root)
        known = {wordnet_id: [position] for position, wordnet_id in enumerate(synsets)}
    index = {}
    for name, place in where.items():
        positions = known.get(_plain(name), [])
        if not positions:
            raise unknown(f"class ({place})", name, categories)
        if len(positions) > 1:
            raise ValueError(
                f"{place}: {len(positions)} of the model's classes are called {name!r}; use indices or WordNet ids"
            )
        index[name] = check_label(positions[0], len(categories), place)
    return index, tuple(categories)


def _plain(name: str) -> str:
    """A class name without what people write differently."""
    return name.casefold().replace("_", " ").strip()


def _where(source: Path, row: LabelRow) -> str:
    """A row's place, for errors."""
    return f"{source.name}, line {row.line}"


def _mask(masks: Path | None, relative: str) -> Path | None:
    """The mask's file for an image, if there is one."""
    if masks is None:
        return None
    path = masks / f"{relative.rpartition('.')[0]}.png"
    return path if path.is_file() else None


def _check_masks(files: Sequence[PictureFile], masks: str | Path | None) -> None:
    """See that masks were found, and belong to labelled objects."""
    if masks is None:
        return
    if not any(file.mask for file in files):
        expected = Path(files[0].relative).with_suffix(".png").as_posix()
        raise ValueError(
            f"masks: {masks} has no mask for any of the {len(files)} images; expected files such as {expected}"
        )
    bare = next((file for file in files if file.mask and file.label is None), None)
    if bare is not None:
        raise ValueError(f"masks: {bare.relative} has a mask but no label to say of what; give labels or class folders")


def _refuse_mixture(root: Path, masks: Path | None) -> None:
    """An error where the root holds images and folders with images, as either could be meant."""
    for folder in visible_folders(root):
        if _images(folder, masks, recursive=True):
            raise ValueError(
                f"root: {root} holds images and the folder {folder.name} with images; move the former into class "
                "folders, or give labels in a CSV file"
            )
