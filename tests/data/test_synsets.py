import json
import pickle

import numpy as np
import pytest
import torch
from scipy.io import savemat

from xaibench.data.synsets import find_synsets, ilsvrc_ids, is_wordnet_id, read_synsets, torchvision_labels

IDS = [f"n{i * 7 + 100:08d}" for i in range(1000)]
NAMES = {wordnet_id: f"thing {i}" for i, wordnet_id in enumerate(IDS)}


def write_meta_mat(path, ids=IDS):
    """A table as in the devkit: the classes in another order, then groups of them."""
    table = np.zeros(len(ids) + 3, [(key, object) for key in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    order = np.random.default_rng(0).permutation(len(ids))
    for row, position in enumerate(order):
        table[row] = (row + 1, ids[position], f"thing {position}, other name", 0)
    for row in range(len(ids), len(ids) + 3):
        table[row] = (row + 1, f"n{99000000 + row}", "group", 2)
    savemat(path, {"synsets": table[:, None]})
    return {row + 1: ids[position] for row, position in enumerate(order)}


def write_list(folder, name):
    path = folder / name
    if name.endswith(".json"):
        path.write_text(json.dumps({str(i): [wordnet_id, f"thing_{i}"] for i, wordnet_id in enumerate(IDS)}))
    elif name == "meta.mat":
        write_meta_mat(path)
    elif name == "meta.bin":
        torch.save(({k: (v, "other name") for k, v in reversed(NAMES.items())}, IDS[::-1] * 2), path)
    else:
        path.write_text("\n".join(f"{k} {v}, other name" for k, v in reversed(NAMES.items())))
    return path


LISTS = ["imagenet_class_index.json", "LOC_synset_mapping.txt", "synset_words.txt", "meta.mat", "meta.bin"]


@pytest.mark.parametrize("name", LISTS)
def test_every_kind_of_list_is_read_in_sorted_order(tmp_path, name):
    path = write_list(tmp_path, name)
    assert list(read_synsets(path).items()) == list(NAMES.items())
    assert find_synsets(tmp_path / "train" / "deep") == NAMES


def test_ids_alone_will_do(tmp_path):
    (tmp_path / "mine.txt").write_text("\n".join(IDS))
    assert read_synsets(tmp_path / "mine.txt") == {wordnet_id: wordnet_id for wordnet_id in IDS}


def test_a_devkit_is_searched(tmp_path):
    inner = tmp_path / "ILSVRC2012_devkit_t12" / "data"
    inner.mkdir(parents=True)
    expected = write_meta_mat(inner / "meta.mat")
    assert find_synsets(tmp_path / "val") == NAMES
    assert ilsvrc_ids(inner / "meta.mat") == expected


def test_without_a_list_the_error_names_what_would_do(tmp_path):
    with pytest.raises(ValueError, match=r"put one of imagenet_class_index\.json, LOC_synset_mapping\.txt"):
        find_synsets(tmp_path)


@pytest.mark.parametrize("name", LISTS)
def test_a_damaged_list_is_refused(tmp_path, name):
    path = write_list(tmp_path, name)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=name):
        read_synsets(path)


def test_an_incomplete_list_would_shift_the_classes(tmp_path):
    (tmp_path / "synsets.txt").write_text("\n".join(IDS[:999]))
    with pytest.raises(ValueError, match="holds 999 different WordNet ids; expected all 1000"):
        find_synsets(tmp_path)
    (tmp_path / "synsets.txt").write_text("\n".join([*IDS[:999], "tench"]))
    with pytest.raises(ValueError, match="'tench', which is no WordNet id"):
        find_synsets(tmp_path)


def test_an_index_in_another_order_is_refused(tmp_path):
    path = tmp_path / "imagenet_class_index.json"
    path.write_text(json.dumps({str(i): [wordnet_id, "x"] for i, wordnet_id in enumerate(reversed(IDS))}))
    with pytest.raises(ValueError, match="not in the order of their ids"):
        read_synsets(path)


def test_torchvisions_file_has_labels_and_runs_no_code(tmp_path):
    assert torchvision_labels(write_list(tmp_path, "meta.bin")) == IDS[::-1] * 2
    torch.save((NAMES, torch.nn.Linear(1, 1)), tmp_path / "meta.bin")
    with pytest.raises(ValueError, match="could run code"):
        read_synsets(tmp_path / "meta.bin")
    (tmp_path / "meta.bin").write_bytes(pickle.dumps(NAMES))
    with pytest.raises(ValueError, match="damaged"):
        torchvision_labels(tmp_path / "meta.bin")


@pytest.mark.parametrize(("name", "expected"), [("n01440764", True), ("n0144076", False), ("x01440764", False)])
def test_the_form_of_wordnet_ids(name, expected):
    assert is_wordnet_id(name) is expected
