from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaibench.metrics.steps import (
    STEPS,
    ChunkSteps,
    EqualSteps,
    FractionSteps,
    LinspaceSteps,
    PixelSteps,
    PointSteps,
    named_steps,
)
from xaibench.names import UnknownName


@pytest.mark.parametrize(("rule", "expected"), [
    (PixelSteps(4), (0, 4, 8, 10)),
    (EqualSteps(4), (0, 2, 5, 7, 10)),
    (ChunkSteps(4), (0, 3, 6, 9, 10)),
    (ChunkSteps(6), (0, 2, 4, 6, 8, 10)),  # six were asked for
    (LinspaceSteps(4), (0, 2, 5, 7, 10)),
    (LinspaceSteps(2, 0.55), (0, 2, 5)),
    (LinspaceSteps(20, 0.5), (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5)),
    (PointSteps(4), (0, 2, 4, 10)),
    (PointSteps(2), (0, 10)),
    (FractionSteps(5), (0, 2, 5, 7, 10)),
    (FractionSteps(5, counted="unchanged"), (0, 3, 5, 8, 10)),
    (FractionSteps(3, 0.2, 0.5), (2, 3, 5)),
], ids=str)  # fmt: skip
def test_counts_of_ten_pixels(rule, expected):
    assert rule(10) == expected


@pytest.mark.parametrize("name", ["pixels", "equal", "chunks", "linspace", "points", "fractions", "spaced"])
@given(n_pixels=st.integers(1, 500), n=st.integers(2, 40))
def test_counts_ascend_within_the_image(name, n_pixels, n):
    rule = STEPS[name](n)
    counts = rule(n_pixels)
    assert counts[0] == 0
    assert counts[-1] == n_pixels
    assert all(a <= b for a, b in pairwise(counts))
    assert all(type(count) is int for count in counts)


@given(n_pixels=st.integers(1, 3000), n_points=st.integers(2, 50))
def test_attribenchs_insertion_is_what_its_descending_masks_leave(n_pixels, n_points):
    masked = [int(share * n_pixels) for share in np.linspace(1, 0, n_points)]
    assert FractionSteps(n_points, counted="unchanged")(n_pixels) == tuple(n_pixels - k for k in masked)


def test_made_from_a_configuration():
    assert named_steps({"name": "linspace", "n_steps": 5, "max_fraction": 0.4}) == LinspaceSteps(5, 0.4)
    assert named_steps(PointSteps(3)) == PointSteps(3)
    with pytest.raises(UnknownName, match="unknown step rule 'linspaced'; did you mean linspace"):
        named_steps({"name": "linspaced"})
    with pytest.raises(ValueError, match=r"steps=points does not take these settings.*n_steps"):
        named_steps({"name": "points", "n_steps": 5})


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize(("make", "message"), [
    (lambda: PixelSteps(0), "step_px must be at least 1 pixel, got 0"),
    (lambda: EqualSteps(0), "n_steps must be at least 1, got 0"),
    (lambda: ChunkSteps(0), "n_steps must be at least 1, got 0"),
    (lambda: LinspaceSteps(10, 0.0), r"max_fraction must lie in \(0, 1\], got 0.0"),
    (lambda: LinspaceSteps(10, 40), r"max_fraction must lie in \(0, 1\], got 40"),
    (lambda: PointSteps(1), "n_points must be at least 2, got 1"),
    (lambda: FractionSteps(5, 0.5, 0.5), "start < stop <= 1, got 0.5 and 0.5"),
    (lambda: FractionSteps(5, counted="masked"), "unknown pixels to count 'masked'"),
])  # fmt: skip
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
