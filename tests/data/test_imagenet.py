import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from xaibench.data.imagenet import ImageNet

IDS = [f"n{i * 7 + 100:08d}" for i in range(1000)]
N_FLAT = 6
CLASSES = [5, 999, 0, 5, 17, 3]  # of the flat images


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 8), (len(path.stem), 0, 0)).save(path)


def all_labels(data):
    return [data.label(i) for i in range(len(data))]


@pytest.fixture
def folders(tmp_path):
    for k in (17, 3, 999):
        save(tmp_path / "val" / IDS[k] / "b.JPEG")
        save(tmp_path / "val" / IDS[k] / "a.JPEG")
    return tmp_path / "val"


@pytest.fixture
def flat(tmp_path):
    for k in range(N_FLAT):
        save(tmp_path / "images" / f"ILSVRC2012_val_{k + 1:08d}.JPEG")
    return tmp_path / "images"


def write_synsets(folder):
    (folder / "LOC_synset_mapping.txt").write_text("\n".join(f"{w} thing {i}, other" for i, w in enumerate(IDS)))


def write_devkit(folder, n_lines=N_FLAT):
    """The devkit's own ids count the classes backwards here."""
    folder.mkdir(parents=True, exist_ok=True)
    table = np.zeros(1000, [(key, object) for key in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    for row, wordnet_id in enumerate(reversed(IDS)):
        table[row] = (row + 1, wordnet_id, f"thing {999 - row}", 0)
    savemat(folder / "meta.mat", {"synsets": table[:, None]})
    lines = [str(1000 - k) for k in CLASSES[:n_lines]]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(lines) + "\n")


def test_some_class_folders_with_a_list_of_classes(folders, tmp_path):
    write_synsets(tmp_path)
    for root in (folders, tmp_path):  # the folder itself, or the one that holds it as val
        data = ImageNet(root)
        assert all_labels(data) == [3, 3, 17, 17, 999, 999]
        assert data.categories[17] == "thing 17"
        assert data[1].labels == (3,)
        assert data.name(1) == f"{IDS[3]}-b"
    with pytest.raises(IndexError):
        data[6]


def test_some_class_folders_without_a_list_of_classes(folders, tmp_path):
    with pytest.raises(ValueError, match=r"put one of imagenet_class_index\.json"):
        ImageNet(folders)
    (tmp_path / "mine.txt").write_text("\n".join(IDS))
    assert all_labels(ImageNet(folders, synsets=tmp_path / "mine.txt")) == [3, 3, 17, 17, 999, 999]
    with pytest.raises(ValueError, match="synsets: there is no file"):
        ImageNet(folders, synsets=tmp_path / "nowhere.txt")


def test_a_folder_that_is_no_class(folders, tmp_path):
    write_synsets(tmp_path)
    save(folders / "n00000001" / "a.JPEG")
    with pytest.raises(ValueError, match="folder n00000001 is none of ImageNet's 1000 classes"):
        ImageNet(folders)


def test_all_class_folders_need_no_list(tmp_path):
    for wordnet_id in IDS:
        (tmp_path / wordnet_id).mkdir()
    save(tmp_path / IDS[42] / "a.JPEG")
    data = ImageNet(tmp_path)
    assert all_labels(data) == [42]
    assert data.categories[42] == IDS[42]


def test_class_folders_without_images(tmp_path):
    write_synsets(tmp_path)
    (tmp_path / IDS[0]).mkdir()
    with pytest.raises(ValueError, match="hold no images"):
        ImageNet(tmp_path)


def test_a_flat_folder_with_the_devkit_beside_it(flat, tmp_path):
    write_devkit(tmp_path / "ILSVRC2012_devkit_t12" / "data")
    data = ImageNet(flat)
    assert all_labels(data) == CLASSES
    assert data.categories[5] == "thing 5"
    assert data[1].name == "ILSVRC2012_val_00000002"


def test_a_part_of_a_flat_folder_keeps_the_devkits_numbers(flat, tmp_path):
    write_devkit(tmp_path / "elsewhere" / "kit")
    (flat / "ILSVRC2012_val_00000001.JPEG").unlink()
    source = tmp_path / "elsewhere" / "kit" / "ILSVRC2012_validation_ground_truth.txt"
    assert all_labels(ImageNet(flat, labels=source)) == CLASSES[1:]


def test_a_devkit_that_does_not_fit(flat, tmp_path):
    write_devkit(tmp_path, n_lines=4)
    with pytest.raises(ValueError, match=r"images 1 to 4 by their numbers; ILSVRC2012_val_00000005\.JPEG"):
        ImageNet(flat)
    truth = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("1\n2\n1001\n4\n5\n6\n")
    with pytest.raises(ValueError, match="line 3: label '1001' is out of range, must be from 1 to 1000"):
        ImageNet(flat)
    truth.with_name("meta.mat").unlink()
    with pytest.raises(ValueError, match=r"put its meta\.mat beside it"):
        ImageNet(flat)


def test_a_flat_folder_with_kaggles_labels(flat, tmp_path):
    write_synsets(tmp_path)
    lines = [f"ILSVRC2012_val_{k + 1:08d},{IDS[c]} 1 2 3 4 {IDS[c]} 5 6 7 8 " for k, c in enumerate(CLASSES)]
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "\n".join(reversed(lines)))
    assert all_labels(ImageNet(flat)) == CLASSES
    (tmp_path / "LOC_synset_mapping.txt").unlink()
    with pytest.raises(ValueError, match=r"put one of imagenet_class_index\.json"):
        ImageNet(flat)


def test_kaggles_folders_as_they_are_unpacked(tmp_path):
    root = tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    save(root / "ILSVRC2012_val_00000001.JPEG")
    write_synsets(tmp_path)
    (tmp_path / "LOC_val_solution.csv").write_text(
        f"ImageId,PredictionString\nILSVRC2012_val_00000001,{IDS[8]} 1 2 3 4"
    )
    assert all_labels(ImageNet(root)) == [8]


def test_a_flat_folder_with_simple_labels(flat, tmp_path):
    source = tmp_path / "mine.csv"
    names = [f"ILSVRC2012_val_{k + 1:08d}.JPEG" for k in range(N_FLAT)]
    source.write_text("file,label\n" + "\n".join(f"{name},{c}" for name, c in zip(names, CLASSES, strict=True)))
    data = ImageNet(flat, labels=source)  # indices need no list of classes
    assert (all_labels(data), data.categories) == (CLASSES, ())
    source.write_text(source.read_text().replace(",999", ",1000"))
    with pytest.raises(ValueError, match=r"mine\.csv, line 3: label 1000 is out of range, must be from 0 to 999"):
        ImageNet(flat, labels=source)
    source.write_text(source.read_text().replace(",1000", ",tench"))
    with pytest.raises(ValueError, match="line 3: label 'tench' is neither a class index nor a WordNet id"):
        ImageNet(flat, labels=source)
    write_synsets(tmp_path)
    source.write_text(source.read_text().replace(",tench", ",n00000001"))
    with pytest.raises(ValueError, match="has label n00000001, which is none of ImageNet's"):
        ImageNet(flat, labels=source)


def test_a_flat_folder_with_torchvisions_file(flat, tmp_path):
    torch.save(({w: (f"thing {i}",) for i, w in enumerate(IDS)}, [IDS[c] for c in CLASSES]), tmp_path / "meta.bin")
    data = ImageNet(flat)
    assert all_labels(data) == CLASSES
    assert data.categories[0] == "thing 0"


def test_a_flat_folder_without_labels(flat):
    with pytest.raises(ValueError, match=r"put LOC_val_solution\.csv, or the devkit's ILSVRC2012_validation_ground"):
        ImageNet(flat)


def test_a_subset_and_its_digest(folders, tmp_path):
    write_synsets(tmp_path)
    data = ImageNet(folders, n=3, seed=1)
    assert all_labels(data) == [3, 17, 999]
    assert data.digest() == ImageNet(folders, n=3, seed=1).digest() != ImageNet(folders).digest()


def test_bad_roots(tmp_path):
    with pytest.raises(ValueError, match="root: there is no folder"):
        ImageNet(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="neither folders named by WordNet ids"):
        ImageNet(tmp_path)
