"""What other programs put in place of a removed pixel; see `baselines` for what a baseline is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Minimum:
    """The smallest value that the image has in any channel (Quantus' "black", which is black for raw pixels only)."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return it everywhere."""
        return images.amin(dim=(1, 2, 3), keepdim=True).expand_as(images)


@dataclass(frozen=True)
class CutBlur:
    """A Gaussian blur cut to a small kernel, with the border mirrored about the edge pixel (torchvision's; LATEC).

    A sigma near the kernel's radius or above leaves almost a box: compare `baselines.Blur`, which keeps three sigma.

    Attributes
    ----------
    kernel_px : int
        Side of the kernel, odd; the image must be larger than half of it.
    sigma_px : float
        Standard deviation in pixels.
    """

    kernel_px: int = 15
    sigma_px: int | float = 5.0

    def __post_init__(self) -> None:
        if self.kernel_px < 1 or self.kernel_px % 2 == 0 or not self.sigma_px > 0:
            raise ValueError(
                f"a cut blur needs an odd kernel_px and a sigma_px above 0, got {self.kernel_px} and {self.sigma_px}"
            )

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the blurred images."""
        radius = self.kernel_px // 2
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        profile = torch.exp(-(offsets**2) / (2 * self.sigma_px**2))
        profile = (profile / profile.sum()).to(images)
        return _separable(images, profile, profile, before=(radius, radius))


@dataclass(frozen=True)
class BoxBlur:
    """The mean over a box as large as a share of the width, with the border mirrored about the edge pixel (AttriBench).

    A box of even side reaches one pixel further up and left than down and right, as OpenCV has it.

    Attributes
    ----------
    share_of_width : float
        The box has int(share · width) pixels a side, at least 1; the image must be higher than half of it.
    """

    share_of_width: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share_of_width <= 1:
            raise ValueError(f"share_of_width must lie in (0, 1], got {self.share_of_width}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the blurred images."""
        side = max(1, int(self.share_of_width * images.shape[3]))
        profile = images.new_full((side,), 1 / side)
        return _separable(images, profile, profile, before=(side // 2, side // 2))


def _separable(images: Tensor, rows: Tensor, columns: Tensor, *, before: tuple[int, int]) -> Tensor:
    """Correlate with the outer product of two profiles that reach `before` pixels up and left."""
    up, left = before
    down, right = len(rows) - 1 - up, len(columns) - 1 - left
    if max(up, down) >= images.shape[2] or max(left, right) >= images.shape[3]:
        raise ValueError(
            f"the blur reaches {max(up, down, left, right)} px, too far to mirror an image of "
            f"{images.shape[2]} × {images.shape[3]}; take a smaller kernel"
        )
    padded = F.pad(images, (left, right, up, down), mode="reflect")
    channels = images.shape[1]
    padded = F.conv2d(padded, rows[:, None].expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(padded, columns[None, :].expand(channels, 1, 1, -1), groups=channels)
