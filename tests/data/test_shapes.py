import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from xaibench.data.outlines import CLASSES
from xaibench.data.scene import MINIMUM_CONTRAST, OBJECT_AREA, Thing, contrast
from xaibench.data.shapes import GENERATOR_VERSION, VARIANTS, Shapes
from xaibench.data.textures import random_texture
from xaibench.names import UnknownName

GOLDEN = Path(__file__).with_name("shapes_golden.npz")


@pytest.fixture(scope="module")
def singles():
    return list(Shapes(n=800, seed=11, size=64))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_sample_depends_on_seed_variant_size_and_index_alone(variant):
    data = Shapes(n=10, seed=3, variant=variant, size=48)
    np.random.seed(0)  # noqa: NPY002
    first = [data[index] for index in range(4)]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    again = [Shapes(n=4, seed=3, variant=variant, size=48)[index] for index in reversed(range(4))][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one.name, one.labels) == (other.name, other.labels)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.masks, other.masks)
        np.testing.assert_array_equal(one.distractor_masks, other.distractor_masks)
    np.random.seed(0)  # noqa: NPY002
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert not np.array_equal(first[0].image, Shapes(n=10, seed=4, variant=variant, size=48)[0].image)


def test_another_process_draws_the_same_bytes_and_needs_no_torch():
    code = (
        "import sys; from xaibench.data.shapes import Shapes; data = Shapes(n=5, seed=3, size=48)\n"
        "assert 'torch' not in sys.modules; sys.stdout.write(data.digest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == Shapes(n=5, seed=3, size=48).digest()


def test_the_pixels_are_those_stored():
    """Another FFT may round a pixel the other way, so images are held to one grey level on average, not to bytes.

    Where this fails on purpose, change GENERATOR_VERSION and run generate_shapes_golden.py.
    """
    golden = np.load(GOLDEN)
    assert str(golden["version"]) == GENERATOR_VERSION
    for variant in VARIANTS:
        sample = Shapes(n=4, seed=7, variant=variant, size=64)[3]
        assert np.abs(sample.image.astype(int) - golden[f"{variant}_image"]).mean() <= 1
        assert (sample.masks != golden[f"{variant}_masks"]).mean() < 1e-3
        assert sample.labels == tuple(golden[f"{variant}_labels"])


@pytest.mark.parametrize(("variant", "n_objects", "n_distractors", "side"), [
    ("single", 1, {2, 3, 4}, 64),
    ("pair", 2, {2, 3}, 64),
    ("mosaic", 4, set(range(8, 17)), 128),
])  # fmt: skip
def test_masks_and_labels_are_aligned_disjoint_and_not_empty(variant, n_objects, n_distractors, side):
    data = Shapes(n=24, seed=5, variant=variant, size=64)
    seen = set()
    for sample in data:
        assert sample.image.shape == (side, side, 3)
        assert sample.image.dtype == np.uint8
        assert sample.image.flags.c_contiguous
        assert sample.masks.shape == (n_objects, side, side)
        assert sample.distractor_masks.shape[1:] == (side, side)
        assert len(set(sample.labels)) == len(sample.labels) == n_objects
        things = np.concatenate([sample.masks, sample.distractor_masks])
        assert things.any(axis=(1, 2)).all()
        assert things.sum(axis=0).max() == 1
        grown = [scipy.ndimage.binary_dilation(thing) for thing in things]
        assert np.sum(grown, axis=0).max() <= 2  # a gap, though a pixel wide at this size
        seen.add(len(sample.distractor_masks))
    assert seen <= n_distractors
    assert len(seen) > 1


@pytest.mark.parametrize("variant", ["single", "pair"])
def test_a_mask_has_the_outline_of_its_label(variant):
    """A disk is compact and convex, a ring has a hole, a star is neither: enough to see a swap of two masks."""
    for sample in Shapes(n=64, seed=6, variant=variant):
        for label, mask in zip(sample.labels, sample.masks, strict=True):
            pieces, n_pieces = scipy.ndimage.label(mask, structure=np.ones((3, 3)))
            assert n_pieces == 1 or np.bincount(pieces[mask]).max() > 0.98 * mask.sum()  # a sharp tip may break off
            filled = scipy.ndimage.binary_fill_holes(mask)
            assert (filled.sum() > 1.1 * mask.sum()) == (tuple(CLASSES)[label] == "ring")
            rows, columns = np.nonzero(filled)
            centre_distances = np.hypot(rows - rows.mean(), columns - columns.mean())
            roundness = filled.sum() / (np.pi * centre_distances.max() ** 2)  # 1 for a disk, 2/π for a square
            assert (roundness > 0.85) == (tuple(CLASSES)[label] in ("disk", "ring"))


def test_a_mosaic_has_its_objects_in_reading_order():
    for sample in Shapes(n=8, seed=1, variant="mosaic", size=48):
        for tile, mask in enumerate(sample.masks):
            row, column = divmod(tile, 2)
            assert mask[row * 48 : (row + 1) * 48, column * 48 : (column + 1) * 48].sum() == mask.sum()


def test_every_block_of_eight_holds_every_class_once():
    data = Shapes(n=80, seed=9)
    labels = [data.label(index) for index in range(80)]
    blocks = np.array(labels).reshape(10, 8)
    assert (np.sort(blocks, axis=1) == np.arange(8)).all()
    assert len({tuple(block) for block in blocks}) == 10
    assert [data[index].labels[0] for index in range(8)] == labels[:8]
    assert data.categories == tuple(CLASSES)


def test_objects_take_3_to_25_percent_and_use_the_range(singles):
    areas = np.array([sample.masks[0].mean() for sample in singles])
    slack = 0.002  # of antialiased edges that fall on either side of one half
    assert OBJECT_AREA[0] - slack <= areas.min() < 0.035
    assert 0.22 < areas.max() <= OBJECT_AREA[1] + slack
    pair = np.concatenate([sample.masks.mean(axis=(1, 2)) for sample in Shapes(n=100, seed=2, variant="pair", size=64)])
    assert OBJECT_AREA[0] - slack <= pair.min() < pair.max() <= 0.14 + slack


def test_no_object_is_cut_by_the_border(singles):
    for sample in singles:
        mask = sample.masks[0]
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not border.any()


def test_objects_stand_out_but_neither_side_is_brighter(singles):
    """The colour difference object − surroundings is symmetric: no channel leans to either side."""
    differences = []
    for sample in singles:
        things = sample.masks[0] | sample.distractor_masks.any(axis=0)
        differences.append(sample.image[sample.masks[0]].mean(axis=0) - sample.image[~things].mean(axis=0))
    differences = np.array(differences)
    standard_error = differences.std(axis=0, ddof=1) / len(differences) ** 0.5
    assert (np.abs(differences.mean(axis=0)) < 4 * standard_error).all()
    assert scipy.stats.ks_2samp(differences.sum(axis=1), -differences.sum(axis=1)).pvalue > 1e-3
    assert np.median(np.linalg.norm(differences, axis=1)) > MINIMUM_CONTRAST


def test_the_criterion_of_contrast_treats_fill_and_background_alike():
    rng = np.random.default_rng(0)
    coverage = rng.random((20, 30), dtype=np.float32)
    opacity = np.linspace(0.2, 1, 30, dtype=np.float32) * np.ones((20, 1), dtype=np.float32)
    thing = Thing(slice(5, 25), slice(10, 40), coverage, opacity)
    for _ in range(5):
        one, other = random_texture(rng, 48), random_texture(rng, 48)
        assert contrast(thing, one, other) == contrast(thing, other, one)
        assert contrast(thing, one, one) == 0


def test_the_fill_does_not_tell_the_class(singles):
    """Nearest class mean over standardized colour means and spreads well inside the object is at chance."""
    features, labels = [], []
    for sample in singles:
        pixels = sample.image[scipy.ndimage.binary_erosion(sample.masks[0], iterations=2)]
        if len(pixels) >= 12:
            features.append([*pixels.mean(axis=0), *pixels.std(axis=0)])
            labels.append(sample.labels[0])
    features, labels = scipy.stats.zscore(np.array(features)), np.array(labels)
    half = len(labels) // 2
    means = np.array([features[:half][labels[:half] == label].mean(axis=0) for label in range(8)])
    nearest = np.linalg.norm(features[half:, None] - means, axis=2).argmin(axis=1)
    hits = int((nearest == labels[half:]).sum())
    assert half > 300
    assert scipy.stats.binomtest(hits, len(labels) - half, 1 / 8).pvalue > 1e-3


def test_names_tell_variant_seed_and_index():
    data = Shapes(n=12, seed=4, variant="pair", size=48)
    assert [data.name(3), data.name(-1)] == ["pair-4-000003", "pair-4-000011"]
    assert data[-1].name == "pair-4-000011"
    assert len({data.name(index) for index in range(12)}) == len(data) == 12


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_out_of_range_is_an_index_error(index):
    data = Shapes(n=4, size=48)
    for read in (data.__getitem__, data.name, data.label):
        with pytest.raises(IndexError, match=f"index {index} is out of range for 4 samples"):
            read(index)


def test_the_digest_changes_with_every_setting():
    data = [
        Shapes(n=4, seed=0, size=48),
        Shapes(n=5, seed=0, size=48),
        Shapes(n=4, seed=1, size=48),
        Shapes(n=4, seed=0, size=49),
        Shapes(n=4, seed=0, size=48, variant="pair"),
    ]
    assert len({one.digest() for one in data}) == len(data)
    assert data[0].digest() == Shapes(n=4, seed=0, size=48).digest()
    assert len(data[0].digest()) == 64


@pytest.mark.parametrize(("arguments", "message"), [
    ({"n": 0}, "n is the number of samples and must be at least 1, not 0"),
    ({"n": 1, "seed": -1}, "seed must be at least 0, not -1"),
    ({"n": 1, "size": 16}, "size must be at least 32 pixels, not 16"),
])  # fmt: skip
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Shapes(**arguments)


def test_a_misspelt_variant_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown variant 'mosiac'; did you mean mosaic\?"):
        Shapes(n=1, variant="mosiac")
