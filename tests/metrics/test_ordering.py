import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.metrics.ordering import Order, pixel_ranks, positive_fraction, tied_fraction

MAPS = torch.tensor([[[0.0, 2.0, 0.0], [2.0, -1.0, 0.0]]])  # raster: 0 2 0 2 -1 0


def order(ranks):
    """Pixels from the first rank to the last."""
    return ranks[0].argsort().tolist()


def test_raster_puts_the_earlier_of_equal_pixels_first():
    assert order(pixel_ranks(MAPS, ties="raster")) == [1, 3, 0, 2, 5, 4]


def test_reverse_raster_puts_the_later_first():
    assert order(pixel_ranks(MAPS, ties="reverse_raster")) == [3, 1, 5, 2, 0, 4]


def test_signed_map_decides_among_rectified_pixels_then_raster():
    signed = torch.tensor([[[-3.0, 2.0, -1.0], [2.0, -2.0, -1.0]]])
    assert order(pixel_ranks(signed.clamp(min=0), ties="signed", signed=signed)) == [1, 3, 2, 5, 4, 0]


def test_negative_zero_equals_zero():
    maps = torch.tensor([[[-0.0, 0.0, -0.0, 0.0]]])
    assert order(pixel_ranks(maps, ties="raster")) == [0, 1, 2, 3]
    assert order(pixel_ranks(maps, ties="signed", signed=maps)) == [0, 1, 2, 3]


def test_random_ties_are_seeded_and_the_same_for_every_map():
    maps = torch.zeros(3, 5, 7)
    maps[:, 2, 3] = 1
    first, second, other = (
        pixel_ranks(maps, ties="random", generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    torch.testing.assert_close(first, second)
    assert (first[0] == first[2]).all()
    assert (first != other).any()
    assert (first[:, 2 * 7 + 3] == 0).all()
    assert first.sort(dim=1).values[0].tolist() == list(range(35))


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    Order(ties="random", seed=3)(MAPS)
    assert torch.equal(before, torch.get_rng_state())


def test_a_map_without_order_is_marked_and_the_others_go_on():
    maps = MAPS.repeat(3, 1, 1)
    maps[0, 0, 0], maps[2, 1, 1] = torch.nan, torch.inf
    ranks = pixel_ranks(maps, ties="raster")
    assert (ranks[[0, 2]] == -1).all()
    assert order(ranks[1:2]) == [1, 3, 0, 2, 5, 4]


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_ranks_agree_with_sorting_by_hand(values):
    maps = torch.tensor(values, dtype=torch.float32)[None, None]
    by_hand = {
        "raster": sorted(range(len(values)), key=lambda i: (-values[i], i)),
        "reverse_raster": sorted(range(len(values)), key=lambda i: (-values[i], -i)),
    }
    for ties, expected in by_hand.items():
        assert order(pixel_ranks(maps, ties=ties)) == expected
    # RISE: flipped stable ascending sort
    assert by_hand["reverse_raster"] == np.flip(np.argsort(values, kind="stable")).tolist()


def test_order_rectifies_and_reverses():
    signed = torch.tensor([[[-3.0, 2.0, -1.0]]])
    assert order(Order(ties="raster", rectify=True)(signed)) == [1, 0, 2]
    assert order(Order(ties="signed", rectify=True)(signed)) == [1, 2, 0]
    assert order(Order(ties="raster", first="least")(signed)) == [0, 2, 1]
    assert order(Order(ties="signed", rectify=True, first="least")(signed)) == [0, 2, 1]


def test_tied_fraction():
    maps = torch.stack([MAPS[0], torch.arange(6.0).view(2, 3), torch.ones(2, 3), torch.full((2, 3), torch.nan)])
    torch.testing.assert_close(tied_fraction(maps), torch.tensor([5 / 6, 0.0, 1.0, torch.nan]), equal_nan=True)
    assert tied_fraction(torch.ones(1, 1, 1)).tolist() == [0.0]


def test_positive_fraction():
    """What is not above zero is one tie once the map is rectified."""
    signed = torch.tensor([[[-3.0, 0.0, 1.0, 2.0]], [[-1.0, -2.0, -0.0, 0.0]], [[1.0, 2.0, torch.inf, 3.0]]])
    shares = positive_fraction(signed)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.0, torch.nan]), equal_nan=True)
    torch.testing.assert_close(tied_fraction(signed[:2].clamp(min=0)), 1 - shares[:2])


@pytest.mark.usefixtures("as_in_production")
def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="generator="):
        pixel_ranks(MAPS, ties="random")
    with pytest.raises(ValueError, match="signed="):
        pixel_ranks(MAPS, ties="signed")
    with pytest.raises(ValueError, match="did you mean raster"):
        Order(ties="rastr")
