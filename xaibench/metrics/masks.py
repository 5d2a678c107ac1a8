"""What a signed map becomes before an image is multiplied with it."""

from dataclasses import dataclass
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.ordering import pixel_ranks
from xaibench.metrics.undefined import why_undefined
from xaibench.names import unknown

Sign = Literal["rectified", "absolute"]


def unit_range(attributions: Float[Tensor, "*rest H W"]) -> Float[Tensor, "*rest H W"]:
    """Rectify each map and stretch it to [0, 1]; NaN where nothing varies above zero."""
    return _stretched(attributions.clamp(min=0))


@dataclass(frozen=True)
class Mask:
    """A rule from signed map to the factor of each pixel.

    Attributes
    ----------
    sign : {"rectified", "absolute"}
        Whether what speaks against the class counts as nothing, or as its magnitude (xplique).
    stretch : bool
        Whether the map is stretched to [0, 1] at the image's resolution, as the papers do. False takes the values as
        they are, for maps that were stretched before they were upsampled and fill [0, 1] no longer (torch-cam).
    muted_share : float, optional
        In (0, 1). Given, the mask is 0 or 1: this share of the pixels, the least relevant ones, goes to 0, and the
        others stay as they are. Score-CAM's authors say of their table that they muted half of the pixels so. An exact
        number of pixels; among equal ones the later in raster order go first. With ``rectified`` the signed map
        decides, as half of a rectified map is often zero.
    complement : bool
        Whether to take 1 less the mask, so that the relevant part is taken away.
    """

    sign: Sign = "rectified"
    stretch: bool = True
    muted_share: int | float | None = None
    complement: bool = False

    def __post_init__(self) -> None:
        if self.sign not in get_args(Sign):
            raise unknown("sign of a mask", self.sign, get_args(Sign))
        if self.muted_share is not None and not 0 < self.muted_share < 1:
            raise ValueError(f"muted_share must lie between 0 and 1, or be none; got {self.muted_share}")

    def __call__(self, attributions: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
        """Return the factors, in [0, 1] if stretched or muted; meaningless where `why_undefined` has a reason."""
        mask = self._muted(attributions) if self.muted_share is not None else self._dimmed(attributions)
        return 1 - mask if self.complement else mask

    def why_undefined(self, attributions: Float[Tensor, "B H W"]) -> list[str]:
        """Say for each map why it makes no mask, "" where it does: nothing in it above zero, or nothing that varies."""
        if self.muted_share is not None and self.sign == "rectified":
            return why_undefined(attributions, varying=True)
        return why_undefined(self._above_zero(attributions), positive=True, varying=self._needs_variation)

    @property
    def _needs_variation(self) -> bool:
        return self.stretch or self.muted_share is not None

    def _above_zero(self, attributions: Tensor) -> Tensor:
        return attributions.abs() if self.sign == "absolute" else attributions.clamp(min=0)

    def _dimmed(self, attributions: Tensor) -> Tensor:
        values = self._above_zero(attributions)
        return _stretched(values) if self.stretch else values

    def _muted(self, attributions: Tensor) -> Tensor:
        relevance = attributions.abs() if self.sign == "absolute" else attributions
        n_pixels = relevance[0].numel()
        kept = n_pixels - int(n_pixels * (self.muted_share or 0.0))
        return (pixel_ranks(relevance, ties="raster") < kept).view_as(relevance).to(relevance)


def _stretched(values: Tensor) -> Tensor:
    low, high = values.amin(dim=(-2, -1), keepdim=True), values.amax(dim=(-2, -1), keepdim=True)
    return (values - low) / (high - low)  # 0 / 0 is NaN
