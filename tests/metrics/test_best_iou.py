import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.metrics.best_iou import BestIoU, best_iou
from xaibench.metrics.undefined import CONSTANT, NO_OBJECT, NOT_FINITE

pixels = st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=2, max_size=30)


@settings(max_examples=100, deadline=None)
@given(pixels=pixels)
def test_every_threshold_tried_by_hand(pixels):
    values, inside = (list(column) for column in zip(*pixels, strict=True))
    if len(set(values)) == 1 or not any(inside):
        return
    best = 0.0
    for threshold in set(values):
        selected = [value >= threshold for value in values]
        both = sum(s and i for s, i in zip(selected, inside, strict=True))
        best = max(best, both / sum(s or i for s, i in zip(selected, inside, strict=True)))
    maps, masks = torch.tensor(values, dtype=torch.float32)[None, None], torch.tensor(inside)[None, None]
    assert best_iou(maps, masks).item() == pytest.approx(best, abs=1e-6)


def test_by_hand():
    masks = torch.tensor([[[True, True, False, False]]]).expand(3, 1, 4)
    maps = torch.tensor([[[9.0, 8, 1, 0]], [[0.0, 1, 8, 9]], [[5.0, 3, 3, 0]]])
    torch.testing.assert_close(best_iou(maps, masks), torch.tensor([1.0, 1 / 2, 2 / 3]))


def test_only_the_order_counts():
    generator = torch.Generator().manual_seed(0)
    maps, masks = torch.randn(5, 8, 9, generator=generator), torch.rand(5, 8, 9, generator=generator) > 0.7
    torch.testing.assert_close(best_iou(maps, masks), best_iou(3 * maps.exp() - 7, masks))


def test_undefined():
    maps = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0))
    masks = torch.ones(4, 5, 6, dtype=torch.bool)
    maps[0], masks[1], maps[2, 3, 3] = -0.5, False, torch.nan
    assert BestIoU()(maps, masks).isnan().tolist() == [True, True, True, False]
    assert BestIoU().why_undefined(maps, masks) == [CONSTANT, NO_OBJECT, NOT_FINITE, ""]
    assert BestIoU()(maps, masks)[3] == 1
