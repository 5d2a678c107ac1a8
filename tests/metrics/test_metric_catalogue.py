"""What holds for all metrics, by the one table of them."""

import dataclasses

import pytest
import torch
from torch import nn

from xaibench.metrics.catalogue import CURVES, LOCALIZATION, MASKING, METRICS

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(4, 3, 8, 9, generator=GENERATOR)
MAPS = torch.randn(4, 8, 9, generator=GENERATOR)
MASKS = torch.rand(4, 8, 9, generator=GENERATOR) > 0.6
TARGETS = torch.tensor([0, 1, 2, 0])
WEIGHTS = torch.randn(3, 3 * 8 * 9, generator=GENERATOR) / 10


def values_of(name, rows=slice(None), maps=MAPS):
    if name in LOCALIZATION:
        return LOCALIZATION[name]()(maps[rows], MASKS[rows])
    if name in MASKING:
        inputs = torch.tensor([0.9, 0.5, 0.4, 0.8])[rows], torch.tensor([0.3, 0.6, 0.4, 0.2])[rows]
        return MASKING[name]()(*inputs)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 9, 3, bias=False))
    model[1].weight.data = WEIGHTS
    return CURVES[name](step_px=10)(model, IMAGES[rows], maps[rows], TARGETS[rows]).areas


@pytest.mark.parametrize("name", METRICS)
def test_one_value_per_image_that_ignores_the_rest_of_the_batch(name):
    together = values_of(name)
    assert together.shape == (4,)
    assert together.isfinite().all()
    alone = torch.cat([values_of(name, slice(b, b + 1)) for b in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [*CURVES, *LOCALIZATION])
def test_a_map_with_nan_is_undefined_and_touches_no_other(name):
    maps = MAPS.clone()
    maps[1, 2, 3] = torch.nan
    values = values_of(name, maps=maps)
    assert values.isnan().tolist() == [False, True, False, False]
    torch.testing.assert_close(values[[0, 2, 3]], values_of(name)[[0, 2, 3]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", METRICS)
def test_settings_are_frozen_and_equal_by_value(name):
    metric = METRICS[name]()
    assert metric == METRICS[name]()
    assert hash(metric) == hash(METRICS[name]())
    assert dataclasses.fields(metric) is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.higher_is_better = None
