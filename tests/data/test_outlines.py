import numpy as np
import pytest

from xaibench.data.outlines import CLASSES, DISTRACTORS, polygon

BUILDERS = {**CLASSES, **DISTRACTORS}
STEP = 0.005


def grid(reach=1.6):
    axis = np.arange(-reach, reach, STEP, dtype=np.float32)
    return np.meshgrid(axis, axis)


@pytest.mark.parametrize("name", BUILDERS)
def test_area_and_radius_are_those_of_the_pixels_inside(name):
    x, y = grid()
    for seed in range(3):
        outline = BUILDERS[name](np.random.default_rng(seed))
        inside = outline.distance(x, y) < 0
        assert inside.sum() * STEP**2 == pytest.approx(outline.area, rel=0.01)
        assert np.hypot(x, y)[inside].max() == pytest.approx(outline.radius, abs=2 * STEP)


@pytest.mark.parametrize("name", BUILDERS)
def test_distance_grows_by_one_per_unit_across_the_boundary(name):
    """Antialiasing asks for a gradient of length one there, except at corners."""
    x, y = grid()
    distance = BUILDERS[name](np.random.default_rng(5)).distance(x, y)
    slope = np.hypot(*np.gradient(distance.astype(np.float64), STEP))
    near = np.abs(distance) < 0.02
    assert np.median(slope[near]) == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(slope[near] - 1) < 0.05) > 0.85


def test_a_square_polygon_is_known_in_closed_form():
    outline = polygon(np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]))
    x, y = np.array([0.0, 0.5, 2.0], dtype=np.float32), np.array([0.0, 0.0, 0.5], dtype=np.float32)
    np.testing.assert_allclose(outline.distance(x, y), [-1, -0.5, 1], atol=1e-6)
    assert (outline.area, outline.radius) == pytest.approx((4, 2**0.5))


def test_an_edge_that_the_origin_does_not_see_is_refused():
    with pytest.raises(ValueError, match="does not see every edge"):
        polygon(np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]]))
