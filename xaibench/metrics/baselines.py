"""What replaces a removed pixel: a picture of the same size, made from the image, in the model's normalized space.

A baseline is a frozen dataclass over one function (B, C, H, W) -> (B, C, H, W): equal baselines give equal pictures,
so curves with the same one share the fully removed image. Each picture depends on its own image only.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from xaibench.metrics.imputation import NoisyLinear
from xaibench.metrics.program_baselines import BoxBlur, CutBlur, Minimum
from xaibench.metrics.run_baselines import AnotherImage, DatasetMean
from xaibench.metrics.telea import Telea
from xaibench.names import pick


@runtime_checkable
class Baseline(Protocol):
    """Maps images to what stands in their removed pixels."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the pictures."""
        ...


@runtime_checkable
class Imputer(Protocol):
    """Fills removed pixels from those that are left, so what stands in a pixel depends on which others are removed.

    Hashable and equal by value, as baselines are.
    """

    def fill(self, image: Float[Tensor, "1 C H W"], removed: Bool[Tensor, "N 1 H W"]) -> Float[Tensor, "N C H W"]:
        """Return the image with each set of pixels removed; each depends on its own set and the image only."""
        ...


@dataclass(frozen=True)
class Zero:
    """Zero in normalized space: the mean colour of the training data, a mid grey (RISE's deletion)."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return zeros."""
        return torch.zeros_like(images)


@dataclass(frozen=True)
class Black:
    """Zero in pixel space, whose normalized value depends on the preprocessing.

    Attributes
    ----------
    mean, std : tuple of float
        Per channel, as the model's preprocessing subtracts and divides.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return -mean / std everywhere."""
        if not len(self.mean) == len(self.std) == images.shape[1]:
            raise ValueError(
                f"black needs a mean and a std for each of {images.shape[1]} channels, "
                f"got {len(self.mean)} and {len(self.std)}"
            )
        colour = -images.new_tensor(self.mean) / images.new_tensor(self.std)
        return colour[None, :, None, None].expand_as(images)


@dataclass(frozen=True)
class Mean:
    """The image's own mean colour."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return each channel's mean everywhere."""
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


@dataclass(frozen=True)
class Blur:
    """A true Gaussian blur; beyond the border the edge pixel repeats.

    Attributes
    ----------
    sigma_px : float
        Standard deviation in pixels; the kernel reaches to three of them.
    """

    sigma_px: int | float = 5.0

    def __post_init__(self) -> None:
        if not self.sigma_px > 0:
            raise ValueError(f"sigma_px must be above 0, got {self.sigma_px}")

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the blurred images."""
        radius = max(1, round(3 * self.sigma_px))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        profile = torch.exp(-(offsets**2) / (2 * self.sigma_px**2))
        profile = (profile / profile.sum()).to(images)
        padded = F.pad(images, (radius, radius, radius, radius), mode="replicate")
        return _depthwise(_depthwise(padded, profile[None, :]), profile[:, None])


@dataclass(frozen=True)
class RiseBlur:
    """The blur of RISE's insertion: nearly a box, and darker towards the border.

    Its kernel is an 11 × 11 impulse filtered with a Gaussian of sigma 5 whose mass is folded back at the kernel's own
    border, so that centre and corner differ by 14 % only; the convolution pads the normalized image with zeros. V.
    Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018, and the authors'
    code.

    Attributes
    ----------
    kernel_px : int
        Side of the kernel, odd.
    sigma_px : float
        Sigma of the Gaussian before folding.
    """

    kernel_px: int = 11
    sigma_px: int | float = 5.0

    def __post_init__(self) -> None:
        if self.kernel_px < 1 or self.kernel_px % 2 == 0 or not self.sigma_px > 0:
            raise ValueError(
                f"RISE's blur needs an odd kernel_px and a sigma_px above 0, got {self.kernel_px} and {self.sigma_px}"
            )

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the blurred images."""
        kernel = rise_kernel(self.kernel_px, self.sigma_px).float()  # the authors convolve with its float32 values
        return _depthwise(images, kernel.to(images), padding=self.kernel_px // 2)


def rise_kernel(kernel_px: int, sigma_px: int | float) -> Float[Tensor, "K K"]:
    """Compute RISE's kernel in float64: a Gaussian cut at four sigma and folded back into the kernel's square."""
    radius = int(4 * sigma_px + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * sigma_px**2))
    weights = weights / weights.sum()
    # half-sample reflection: position p of the endless mirror shows pixel p mod 2K, counted back from K on
    seen = (torch.arange(kernel_px)[:, None] + offsets) % (2 * kernel_px)
    seen = torch.where(seen < kernel_px, seen, 2 * kernel_px - 1 - seen)
    profile = (weights * (seen == kernel_px // 2)).sum(dim=1)
    return profile[:, None] * profile[None, :]


@dataclass(frozen=True)
class Noise:
    """Uniform noise between the image's own darkest and brightest value, channel by channel.

    Attributes
    ----------
    seed : int
        One draw serves every image, so that an image's baseline does not depend on its neighbours.
    """

    seed: int = 0

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the noise pictures."""
        generator = torch.Generator().manual_seed(self.seed)
        draw = torch.rand(images.shape[1:], generator=generator, dtype=torch.float64).to(images)
        low = images.amin(dim=(2, 3), keepdim=True)
        return low + draw * (images.amax(dim=(2, 3), keepdim=True) - low)


def _depthwise(images: Tensor, kernel: Tensor, *, padding: int = 0) -> Tensor:
    """Convolve each channel with the same symmetric kernel."""
    channels = images.shape[1]
    return F.conv2d(images, kernel.expand(channels, 1, *kernel.shape), padding=padding, groups=channels)


BASELINES: dict[str, type] = {
    "zero": Zero,
    "black": Black,
    "mean": Mean,
    "blur": Blur,
    "rise_blur": RiseBlur,
    "noise": Noise,
    "minimum": Minimum,
    "cut_blur": CutBlur,
    "box_blur": BoxBlur,
    "dataset_mean": DatasetMean,
    "another_image": AnotherImage,
    "noisy_linear": NoisyLinear,
    "telea": Telea,
}

# these have no default: what they need, a run takes from the model or the data
NEEDED = {
    "black": "the model's preprocessing: give Black(mean=…, std=…)",
    "dataset_mean": "the data: give DatasetMean(colour=mean_colour(images))",
    "another_image": "the data: give AnotherImage(names=…, donors=…)",
}


def named_baseline(baseline: str | Baseline | Imputer) -> Baseline | Imputer:
    """Return the baseline of that name with its default settings; an instance as it is."""
    if not isinstance(baseline, str):
        return baseline
    if baseline in NEEDED:
        raise ValueError(f"{baseline} depends on {NEEDED[baseline]} instead of its name")
    return pick("baseline", baseline, BASELINES)()
