import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.pointing_game import PointingGame, peaks, pointing_hits, points_hit
from xaibench.metrics.undefined import CONSTANT, NO_OBJECT, NOT_FINITE

GOLDEN = Golden("localisation")


@pytest.mark.parametrize("tolerance_px", [15, 14, 1, 0])
def test_hits_of_torchray(tolerance_px):
    hits = points_hit(GOLDEN["pointing_points"], GOLDEN["pointing_masks"], tolerance_px=tolerance_px)
    expected = GOLDEN[f"pointing_hits/tolerance{tolerance_px}/hits"] == 1
    assert torch.equal(hits, expected)
    assert tolerance_px == 0 or 0 < int(expected.sum()) < len(expected)


def test_hits_of_torchray_at_fractional_points():
    points = GOLDEN["pointing_hits/fractional/points"]
    hits = points_hit(points, GOLDEN["pointing_masks"][: len(points)], tolerance_px=15)
    assert torch.equal(hits, GOLDEN["pointing_hits/fractional/hits"] == 1)


def test_points_of_torchray():
    torch.testing.assert_close(peaks(GOLDEN["map_to_point/maps"]), GOLDEN["map_to_point/points"].float())


def test_points_agree_with_quantus_where_one_pixel_is_the_peak():
    """Of equal maxima quantus counts any (map 4), and an empty mask as a hit (the last)."""
    maps, masks = GOLDEN["maps"], GOLDEN["object_masks"]
    hits = pointing_hits(maps, masks, tolerance_px=1)
    unique = ((maps == maps.amax(dim=(1, 2), keepdim=True)).sum(dim=(1, 2)) == 1) & masks.flatten(1).any(dim=1)
    assert int(unique.sum()) >= 4
    assert torch.equal(hits[unique].double(), GOLDEN["quantus/pointing_game_exact"][unique])


def test_distance_is_strict():
    maps, masks = torch.zeros(1, 30, 30), torch.zeros(1, 30, 30, dtype=torch.bool)
    maps[0, 20, 20], masks[0, 20 - 12, 20 - 9] = 1, True  # 15 away
    assert pointing_hits(maps, masks).tolist() == [0]
    assert pointing_hits(maps, masks, tolerance_px=15.01).tolist() == [1]


def test_undefined():
    maps = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0))
    masks = torch.ones(4, 5, 6, dtype=torch.bool)
    maps[0], masks[1], maps[2, 3, 3] = 0.5, False, torch.nan
    metric = PointingGame(tolerance_px=1)
    assert metric(maps, masks).isnan().tolist() == [True, True, True, False]
    assert metric.why_undefined(maps, masks) == [CONSTANT, NO_OBJECT, NOT_FINITE, ""]
    assert metric(maps, masks)[3] == 1


def test_negative_tolerance_is_named():
    with pytest.raises(ValueError, match="tolerance_px is a distance in pixels, got -1"):
        pointing_hits(torch.rand(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool), tolerance_px=-1)
