import pytest
import torch

from xaibench.explainers.upsample import upsample
from xaibench.metrics.map_grid import MapGrid, scaled
from xaibench.metrics.ordering import pixel_ranks
from xaibench.metrics.presets import PRESETS
from xaibench.names import UnknownName

MAPS = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SIZE = (12, 20)


def ranks(grid):
    return pixel_ranks(grid(MAPS, SIZE), ties="raster")


@pytest.mark.parametrize("resize", ["bilinear", "bicubic"])
def test_scaling_before_or_after_changes_no_order(resize):
    """So of the seventh choice only the resize and the rectification concern a curve."""
    before, after, never = (MapGrid(resize, min_max=when) for when in ("before", "after", "never"))
    for grid in (before, after):  # one increasing affine function of the other, to rounding
        torch.testing.assert_close(scaled(grid(MAPS, SIZE)), scaled(never(MAPS, SIZE)), atol=1e-13, rtol=0)
    assert (before(MAPS, SIZE) - after(MAPS, SIZE)).abs().max() > 1e-3  # the scale does change
    assert after(MAPS, SIZE).amax(dim=(1, 2)).tolist() == pytest.approx([1, 1, 1])


def test_the_resize_and_the_rectification_change_ranks():
    assert (ranks(MapGrid("bilinear")) != ranks(MapGrid("nearest"))).float().mean() > 0.5
    before, after = MapGrid("bilinear", rectify="before"), MapGrid("bilinear", rectify="after")
    assert (ranks(before) != ranks(after)).any()
    blocks = [MapGrid("nearest", rectify=when)(MAPS, SIZE) for when in ("before", "after")]
    assert torch.equal(*blocks)


def test_bicubic_overshoots_after_rectifying():
    assert MapGrid("bicubic", rectify="before")(MAPS, SIZE).min() < -1e-3
    assert MapGrid("bicubic", rectify="both")(MAPS, SIZE).min() == 0


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.map_grid.resize != "none"])
def test_an_explainer_that_rectifies_gives_a_run_the_maps_of_the_preset(name):
    """Up to their scale: in a run, `rectify` and `upsampling` of the explainer stand for the preset's way to the pixels."""
    grid = PRESETS[name].map_grid
    of_preset, of_run, signed = (
        scaled(maps)
        for maps in (
            grid(MAPS, SIZE),
            upsample(MAPS.clamp(min=0), SIZE, mode=grid.resize),
            upsample(MAPS, SIZE, mode=grid.resize),
        )
    )
    torch.testing.assert_close(of_run, of_preset, atol=1e-13, rtol=0)
    assert (signed - of_preset).abs().max() > 0.1


def test_by_hand():
    grid = MapGrid("nearest", rectify="before", min_max="before")
    maps = torch.tensor([[[-1.0, 4.0], [1.0, 2.0]]])
    assert grid(maps, (2, 4)).tolist() == [[[0, 0, 1, 1], [0.25, 0.25, 0.5, 0.5]]]
    assert torch.equal(MapGrid()(MAPS, (4, 5)), MAPS)
    assert torch.equal(MapGrid("bilinear")(MAPS, SIZE), upsample(MAPS, SIZE))


def test_a_constant_map_is_scaled_to_zero():
    assert scaled(torch.full((1, 2, 2), 3.0)).abs().max() == 0


def test_errors():
    with pytest.raises(ValueError, match=r"maps are \(4, 5\), the image \(12, 20\): say how to resize"):
        MapGrid()(MAPS, SIZE)
    with pytest.raises(UnknownName, match="unknown resize 'bilinaer'; did you mean bilinear"):
        MapGrid("bilinaer")


@pytest.mark.usefixtures("as_in_production")
def test_unknown_times():
    with pytest.raises(UnknownName, match="unknown time to scale 'later'"):
        MapGrid(min_max="later")
