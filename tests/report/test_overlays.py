import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaibench.report.overlays import degenerate, fitted, fitted_mask, hatched, heat, outlined, overlay, resized

GREY = np.full((8, 8, 3), 128, dtype=np.uint8)


def test_resizing_a_step_is_linear_between_pixel_centres():
    # two pixels over eight: centres at 1.5 and 5.5, constant beyond them
    row = resized(np.array([[0.0, 1.0]]), 1, 8)[0]
    np.testing.assert_allclose(row, [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_resizing_agrees_with_loops(h, w, height, width, seed):
    values = np.random.default_rng(seed).normal(size=(h, w))

    def at(line, place):
        place = min(max(place, 0), len(line) - 1)
        low = int(place)
        high = min(low + 1, len(line) - 1)
        return line[low] + (place - low) * (line[high] - line[low])

    across = np.array([[at(row, (x + 0.5) * w / width - 0.5) for x in range(width)] for row in values])
    slow = np.array([[at(column, (y + 0.5) * h / height - 0.5) for y in range(height)] for column in across.T]).T
    np.testing.assert_allclose(resized(values, height, width), slow, atol=1e-12)


def test_resizing_agrees_with_what_the_metrics_use():
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], (31, 64), mode="bilinear")
    np.testing.assert_allclose(resized(values, 31, 64), theirs[0, 0].numpy(), atol=1e-5)


def test_heat_cuts_negative_relevance_and_ignores_scale():
    values = np.array([[-3.0, 0.0], [1.0, 2.0]])
    np.testing.assert_allclose(heat(values, 2, 2), [[0, 0], [0.5, 1]])
    np.testing.assert_array_equal(overlay(GREY, values), overlay(GREY, 7 * values))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[1.0, 2.0]]), ""),
        (np.array([[-1.0, 0.0]]), "no positive evidence"),
        (np.array([[0.5, 0.5]]), "the same everywhere"),
        (np.array([[np.nan, 1.0]]), "not finite"),
    ],
)
def test_degenerate_maps_are_named_and_hatched(values, reason):
    assert degenerate(values) == reason
    assert np.array_equal(overlay(GREY, values), hatched(GREY)) == bool(reason)


def test_outline_is_white_inside_and_dark_outside_and_leaves_the_picture_alone():
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6, 2:6] = True
    drawn = outlined(GREY, mask)
    assert (drawn[2, 2:6] == 255).all()
    assert (drawn[1, 2:6] == 20).all()
    assert (drawn[3, 3] == 128).all()
    assert (GREY == 128).all()


def test_an_object_at_the_border_has_no_outline_outside_the_picture():
    mask = np.zeros((8, 8), dtype=bool)
    mask[0:3] = True
    assert (outlined(GREY, mask)[0] == 128).all()


def test_fitting_shrinks_the_longer_side_only_where_it_must():
    assert fitted(np.zeros((50, 100, 3), np.uint8), 20).shape == (10, 20, 3)
    assert fitted(GREY, 20) is GREY
    assert fitted_mask(np.eye(8, dtype=bool).repeat(2, 0).repeat(2, 1), 8, 8).tolist() == np.eye(8, dtype=bool).tolist()
