"""From the layer's resolution to the image's."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from xaibench.names import unknown

MODES = ("bilinear", "nearest", "bicubic")


def upsample(maps: Float[Tensor, "B h w"], size: tuple[int, int], *, mode: str = "bilinear") -> Float[Tensor, "B H W"]:
    """Resize maps to `size`.

    Parameters
    ----------
    maps : Tensor, shape (B, h, w)
        A NaN spreads over the cells that touch it, or stays where it is with ``nearest``.
    size : (int, int)
        Height and width.
    mode : {"bilinear", "nearest", "bicubic"}
        ``bilinear`` and ``bicubic`` sample at half-pixel centres and repeat the border (``align_corners=False``).
        ``nearest`` makes blocks: cell floor(i · h / H). ``bicubic`` overshoots: a map without negative values
        may get some.
    """
    if mode not in MODES:
        raise unknown("upsampling", mode, MODES)
    if maps.shape[1:] == size:
        return maps
    aligned = None if mode == "nearest" else False
    return F.interpolate(maps[:, None], size=size, mode=mode, align_corners=aligned)[:, 0]
