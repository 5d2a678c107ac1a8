from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from xaibench.data.folder import ImageFolder
from xaibench.data.samples import UnreadableImage
from xaibench.names import UnknownName


def save(path, value=100, size=(10, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(path)


@pytest.fixture
def classes(tmp_path):
    root = tmp_path / "photos"
    for i, relative in enumerate(["dog/2.png", "dog/10.png", "cat/1.png", "cat/deep/5.jpg", "owl_1/x.png"]):
        save(root / relative, 10 * i)
    save(root / "cat" / ".hidden.png")
    save(root / ".cache" / "x.png")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def flat(tmp_path):
    root = tmp_path / "flat"
    for i in range(4):
        save(root / f"{i}.png", i)
    return root


def labels(root, text):
    path = root.parent / "labels.csv"
    path.write_text(text)
    return path


def all_labels(data):
    return [data.label(i) for i in range(len(data))]


def test_each_sub_folder_is_a_class(classes):
    data = ImageFolder(classes)
    assert data.categories == ("cat", "dog", "owl_1")
    assert [data.name(i) for i in range(len(data))] == ["cat-1", "cat-deep-5", "dog-10", "dog-2", "owl_1-x"]
    assert all_labels(data) == [0, 0, 1, 1, 2]
    sample = data[3]
    assert (sample.name, sample.labels, sample.masks) == ("dog-2", (1,), None)
    assert sample.image.shape == (9, 10, 3)
    assert sample.image[0, 0].tolist() == [0, 0, 0]
    assert data[-1].name == "owl_1-x"


def test_beyond_the_end_is_an_index_error(classes):
    with pytest.raises(IndexError):
        ImageFolder(classes)[5]
    assert len(list(ImageFolder(classes))) == 5


def test_an_empty_class_folder_keeps_its_index(classes):
    (classes / "ant").mkdir()
    assert all_labels(ImageFolder(classes)) == [1, 1, 2, 2, 3]


def test_class_folders_are_found_among_the_models_categories(classes):
    data = ImageFolder(classes, categories=["zebra", "Dog", "Owl 1", "cat"])
    assert all_labels(data) == [3, 3, 1, 1, 2]
    assert data.categories == ("zebra", "Dog", "Owl 1", "cat")
    with pytest.raises(UnknownName, match=r"unknown class \(folder owl_1\) 'owl_1'; did you mean owl"):
        ImageFolder(classes, categories=["cat", "dog", "owl"])


def test_a_name_of_two_categories_is_ambiguous(classes):
    with pytest.raises(ValueError, match="folder cat: 2 of the model's classes are called 'cat'"):
        ImageFolder(classes, categories=["cat", "dog", "owl 1", "cat"])


def test_class_folders_named_by_wordnet_ids(tmp_path):
    root = tmp_path / "val"
    save(root / "n00000007" / "a.png")
    save(root / "n00000003" / "a.png")
    categories = [f"thing {i}" for i in range(1000)]
    with pytest.raises(ValueError, match="LOC_synset_mapping"):
        ImageFolder(root, categories=categories)
    (tmp_path / "LOC_synset_mapping.txt").write_text("\n".join(f"n{i:08d} thing {i}" for i in range(1000)))
    assert all_labels(ImageFolder(root, categories=categories)) == [3, 7]
    with pytest.raises(ValueError, match="folder n00000007: label 7 is out of range"):
        ImageFolder(root, categories=categories[:5])
    assert all_labels(ImageFolder(root, categories=["n00000007", "n00000003"])) == [1, 0]


def test_a_flat_folder_without_labels(flat):
    data = ImageFolder(flat)
    assert all_labels(data) == [None] * 4
    assert data.categories == ()
    assert data[2].labels == ()


def test_a_flat_folder_with_indices(flat):
    source = labels(flat, "file,label\n3.png,7\n0.png,2\n1.png,\n2.png,0\n")
    assert all_labels(ImageFolder(flat, labels=source)) == [2, None, 0, 7]
    assert ImageFolder(flat, labels=source).categories == ()
    with pytest.raises(ValueError, match=r"labels\.csv, line 2: label 7 is out of range, must be from 0 to 6"):
        ImageFolder(flat, labels=source, categories=list("abcdefg"))
    with pytest.raises(ValueError, match=r"line 1: label -1 is out of range, must be at least 0"):
        ImageFolder(flat, labels=labels(flat, "0.png,-1\n1.png,\n2.png,\n3.png,"))


def test_a_flat_folder_with_names(flat):
    source = labels(flat, "0.png,owl\n1.png,cat\n2.png,\n3.png,owl")
    data = ImageFolder(flat, labels=source)
    assert (all_labels(data), data.categories) == ([1, 0, None, 1], ("cat", "owl"))
    assert all_labels(ImageFolder(flat, labels=source, categories=["owl", "x", "cat"])) == [0, 2, None, 0]
    with pytest.raises(UnknownName, match=r"labels\.csv, line 1"):
        ImageFolder(flat, labels=source, categories=["cat", "owls"])
    with pytest.raises(ValueError, match="mixes class indices"):
        ImageFolder(flat, labels=labels(flat, "0.png,owl\n1.png,3\n2.png,\n3.png,"))


def test_labels_may_name_files_in_sub_folders(classes):
    text = "cat/1.png,5\n5,6\ndog/2.png,0\n10.png,1\nx.png,2"
    assert all_labels(ImageFolder(classes, labels=labels(classes, text))) == [5, 6, 1, 0, 2]


def test_a_subset_is_spread_over_the_classes(classes):
    for seed in range(5):
        data = ImageFolder(classes, n=3, seed=seed)
        assert all_labels(data) == [0, 1, 2]
    assert len({tuple(ImageFolder(classes, n=3, seed=s).name(i) for i in range(3)) for s in range(20)}) > 1
    with pytest.raises(ValueError, match="n is the number of images"):
        ImageFolder(classes, n=6)


def test_masks_are_found_by_relative_path(classes):
    mask = np.zeros((9, 10), np.uint8)
    mask[2:4, 3:8] = 200
    for relative in ("cat/deep/5.png", "dog/2.png"):
        (classes / "masks" / relative).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask if relative.startswith("cat") else mask[:5]).save(classes / "masks" / relative)
    data = ImageFolder(classes, masks=classes / "masks")
    assert data.categories == ("cat", "dog", "owl_1")  # the masks are no class
    assert len(data) == 5
    np.testing.assert_array_equal(data[1].masks, mask[None] > 0)
    assert data[0].masks is None
    with pytest.raises(UnreadableImage, match=r"mask 2\.png is 5 × 10, its image 9 × 10"):
        data[3]
    assert data.digest() != ImageFolder(classes).digest()


def test_masks_that_belong_to_nothing(classes, flat):
    (classes.parent / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no mask for any of the 5 images; expected files such as cat/1\.png"):
        ImageFolder(classes, masks=classes.parent / "empty")
    save(flat.parent / "masks" / "2.png")
    with pytest.raises(ValueError, match=r"2\.png has a mask but no label"):
        ImageFolder(flat, masks=flat.parent / "masks")
    with pytest.raises(ValueError, match="is the folder of the images"):
        ImageFolder(flat, masks=flat)


def test_the_digest_is_of_the_chosen_files(classes):
    whole = ImageFolder(classes)
    before = whole.digest()
    assert replace(whole, n=2).digest() != before
    assert ImageFolder(classes).digest() == before
    save(classes / "dog" / "2.png", 99)
    assert whole.digest() != before


def test_one_bad_image_does_not_stop_the_others(classes):
    (classes / "cat" / "0.png").write_text("no image")
    data = ImageFolder(classes)
    with pytest.raises(UnreadableImage, match=r"0\.png: not an image"):
        data[0]
    assert data[1].name == "cat-1"
    assert len(data.digest()) == 64


def test_bad_roots(tmp_path, flat):
    with pytest.raises(ValueError, match="root: there is no folder"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"root must be a folder, but .*0\.png is a file"):
        ImageFolder(flat / "0.png")
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(ValueError, match="root: there are no images in"):
        ImageFolder(tmp_path / "empty")
    with pytest.raises(ValueError, match="labels: there is no file"):
        ImageFolder(flat, labels=tmp_path / "none.csv")
    save(flat / "cat" / "1.png")
    with pytest.raises(ValueError, match="holds images and the folder cat"):
        ImageFolder(flat)


def test_a_home_folder_is_understood(flat, monkeypatch):
    monkeypatch.setenv("HOME", str(flat.parent))
    assert len(ImageFolder("~/flat")) == 4
