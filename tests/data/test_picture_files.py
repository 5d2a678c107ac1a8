from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xaibench.data.picture_files import PictureFile, PictureFiles, image_files, sample_names, spread_subset


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_a_subset_is_spread_evenly_and_grows(groups, data):
    n = data.draw(st.integers(1, len(groups)))
    seed = data.draw(st.integers(0, 3))
    chosen = spread_subset(groups, n, seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == n
    taken, there = Counter(groups[i] for i in chosen), Counter(groups)
    for group, count in there.items():  # nobody has two more than one that still had some left
        assert taken[group] == count or taken[group] >= max(taken.values()) - 1
    if n > 1:
        assert set(spread_subset(groups, n - 1, seed)) < set(chosen)


def test_a_subset_depends_on_its_seed_alone():
    groups = [0, 1] * 50
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator is what is looked at
    assert spread_subset(groups, 10, 1) == spread_subset(groups, 10, 1) != spread_subset(groups, 10, 2)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert spread_subset(groups, None, 1) == list(range(100))


@pytest.mark.parametrize("n", [0, -1, 4])
def test_a_subset_of_impossible_size(n):
    with pytest.raises(ValueError, match=f"from 1 to the 3 there are, not {n}"):
        spread_subset([0, 0, 1], n, 0)


def test_names_are_unique_and_need_no_suffix_where_they_are():
    relatives = ["a/b.png", "a-b.png", "c.jpg", "c.png", "d.e.png"]
    assert sample_names(relatives) == ("a-b-png", "a-b-png-2", "c-jpg", "c-png", "d.e")


@given(st.lists(st.text("ab-./2", min_size=1, max_size=6), unique=True))
def test_names_are_always_unique(relatives):
    names = sample_names(relatives)
    assert len(set(names)) == len(relatives)
    assert not any("/" in name for name in names)


def test_image_files_are_sorted_and_hidden_ones_passed_over(tmp_path):
    for relative in ("b.JPG", "a/z.png", "a/.hidden.png", ".git/x.png", "c.txt", "a.png"):
        (tmp_path / relative).parent.mkdir(exist_ok=True)
        (tmp_path / relative).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path, recursive=True)]
    assert found == ["a.png", "a/z.png", "b.JPG"]
    assert [path.name for path in image_files(tmp_path, recursive=False)] == ["a.png", "b.JPG"]


def test_the_digest_sees_names_labels_contents_and_masks(tmp_path):
    for name, value in (("a.png", 0), ("b.png", 1), ("m.png", 255)):
        Image.new("L", (9, 9), value).save(tmp_path / name)
    a, b, m = (tmp_path / name for name in ("a.png", "b.png", "m.png"))

    def digest(*files):
        return PictureFiles([PictureFile(*file) for file in files]).digest()

    variants = [
        digest((a, "a.png", 0, None)),
        digest((a, "a.png", 1, None)),
        digest((a, "a.png", None, None)),
        digest((a, "c.png", 0, None)),
        digest((b, "a.png", 0, None)),
        digest((a, "a.png", 0, m)),
        digest((a, "a.png", 0, None), (b, "b.png", 0, None)),
        digest((tmp_path / "gone.png", "a.png", 0, None)),
    ]
    assert len(set(variants)) == len(variants)
    assert variants[0] == digest((a, "a.png", 0, None))
