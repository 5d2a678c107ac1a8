import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.energy import EnergyInMask, energy_in_mask
from xaibench.metrics.undefined import NO_OBJECT, NO_POSITIVE_EVIDENCE, NOT_FINITE

GOLDEN = Golden("localisation")


def test_positive_share_of_quantus():
    expected = GOLDEN["quantus/attribution_localisation_positive"]
    energy = energy_in_mask(GOLDEN["maps"], GOLDEN["object_masks"])
    torch.testing.assert_close(energy, expected, atol=1e-9, rtol=0, equal_nan=True)
    assert expected.isnan().tolist() == [False] * 6 + [True]


def test_energy_of_score_cam():
    """Their ratio of signed sums is ours where no value is negative (all but map 3) and the box is not empty."""
    maps, boxes, expected = GOLDEN["maps"], GOLDEN["energy/boxes"], GOLDEN["energy/proportion"]
    masks = torch.zeros(maps.shape, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, boxes.tolist(), strict=True):
        mask[max(top, 0) : bottom, max(left, 0) : right] = True
    comparable = (maps >= 0).flatten(1).all(dim=1) & masks.flatten(1).any(dim=1)
    assert int(comparable.sum()) >= 4
    energy = energy_in_mask(maps, masks)
    torch.testing.assert_close(energy[comparable], expected[comparable], atol=1e-6, rtol=0)


def test_a_constant_map_has_the_objects_share_of_the_area():
    masks = torch.zeros(1, 4, 5, dtype=torch.bool)
    masks[0, :2, :3] = True
    assert energy_in_mask(torch.full((1, 4, 5), 0.7), masks).item() == pytest.approx(6 / 20)


def test_undefined():
    maps, masks = torch.ones(4, 5, 6), torch.ones(4, 5, 6, dtype=torch.bool)
    maps[0], masks[1], maps[2, 3, 3] = -1, False, torch.inf
    metric = EnergyInMask()
    assert metric(maps, masks).isnan().tolist() == [True, True, True, False]
    assert metric.why_undefined(maps, masks) == [NO_POSITIVE_EVIDENCE, NO_OBJECT, NOT_FINITE, ""]
