"""Noisy linear imputation: a removed pixel becomes the weighted mean of its neighbours, plus a little noise [1]_.

The weights are 1/6 for the four pixels beside it and 1/12 for the four at its corners; where neighbours lie beyond the
border, the others count for them. An imputer differs from other baselines in that what it puts into a removed pixel
depends on which others are removed: it has ``fill(image, removed)``.

.. [1] Y. Rong, T. Leemann et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022.
"""

import zlib
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.metrics.neighbour_means import fill_by_neighbour_means


def linear_imputation(
    image: Float[Tensor, "1 C H W"], removed: Bool[Tensor, "N 1 H W"], *, tolerance: float = 1e-6
) -> Float[Tensor, "N C H W"]:
    """Fill the removed pixels so that each is the weighted mean of its neighbours.

    Parameters
    ----------
    image : Tensor, shape (1, C, H, W)
        In any linear space: a factor and an offset for each channel pass through unchanged.
    removed : Tensor of bool, shape (N, 1, H, W)
        N masks, True where a pixel is to be filled.
    tolerance : float, default 1e-6
        By how much a filled pixel may differ from the weighted mean of its neighbours, in units of the channel's range
        over the image; solved in double precision. The filled values came out exact to about ten times that.

    Returns
    -------
    Tensor, shape (N, C, H, W)
        Of the image's type; known pixels are the image's bit for bit. Where everything is removed nothing follows from
        neighbours, and every pixel gets the channel's mean over the image. (No other mask is undetermined: a removed
        region always has a known neighbour.)

    Raises
    ------
    ValueError
        If the tolerance is not above zero.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above 0, in units of a channel's range; got {tolerance}")
    exact = image.double()
    low, high = exact.amin(dim=(2, 3), keepdim=True), exact.amax(dim=(2, 3), keepdim=True)
    span = (high - low).masked_fill(high == low, 1.0)
    scaled = (exact - low) / span
    guess = torch.where(removed, scaled.mean(dim=(2, 3), keepdim=True), scaled)
    holes = removed & ~removed.all(dim=3, keepdim=True).all(dim=2, keepdim=True)
    filled = fill_by_neighbour_means(guess, holes, tolerance=tolerance)
    return torch.where(removed, (low + span * filled).to(image), image)


def pixel_noise(image: Float[Tensor, "1 C H W"], *, seed: int) -> Float[Tensor, "1 C H W"]:
    """Draw standard normal noise that depends on the seed and the image's own values, and on nothing else.

    All masks of an image share it, so that two maps are compared under the same noise.
    """
    content = image.detach().float().cpu().contiguous().numpy().tobytes()
    generator = torch.Generator().manual_seed(zlib.crc32(content, seed & 0xFFFFFFFF))
    return torch.randn(image.shape, generator=generator).to(image)


@dataclass(frozen=True)
class NoisyLinear:
    """ROAD's imputation, as an imputer.

    Attributes
    ----------
    noise : float
        Standard deviation of the Gaussian noise on each removed pixel and channel; the authors' code has 0.01.
    std : tuple of float, optional
        Given the preprocessing's `std`, one for each channel, the noise is in pixel space, in units of [0, 1], as the
        authors'. None leaves it in normalized space, about a quarter as strong, as in pytorch-grad-cam.
    seed : int
        Of the noise, together with the image's values: a number that no batch changes, but another precision or size
        of the same picture does.
    tolerance : float
        See `linear_imputation`.
    """

    noise: int | float = 0.01
    std: tuple[int | float, ...] | None = None
    seed: int = 0
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if not self.noise >= 0:
            raise ValueError(f"noise is a standard deviation and must not be negative; got {self.noise}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return what stands where everything is removed: the image's mean colour, plus noise."""
        everything = torch.ones(1, 1, *images.shape[2:], dtype=torch.bool, device=images.device)
        return torch.cat([self.fill(image[None], everything) for image in images])

    def fill(self, image: Float[Tensor, "1 C H W"], removed: Bool[Tensor, "N 1 H W"]) -> Float[Tensor, "N C H W"]:
        """Return the image under each mask, True where removed."""
        filled = linear_imputation(image, removed, tolerance=self.tolerance)
        return torch.where(removed, filled + self._scale(image) * pixel_noise(image, seed=self.seed), filled)

    def _scale(self, image: Tensor) -> Tensor:
        if self.std is None:
            return image.new_tensor(self.noise)
        if len(self.std) != image.shape[1]:
            raise ValueError(f"std must have a value for each of {image.shape[1]} channels; got {len(self.std)}")
        return self.noise / image.new_tensor(self.std)[None, :, None, None]
