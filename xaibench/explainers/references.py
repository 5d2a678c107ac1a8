"""Reference explainers: what any useful map must beat. None looks at the model.

They work at the image's resolution and have no layers: their maps' key is "".
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.explainer import Explainer

Images = Float[Tensor, "B C H W"]
Maps = Float[Tensor, "B H W"]


def random_maps(images: Images, *, seed: int) -> Maps:
    """Draw uniform values in [0, 1), independently for each pixel, from `seed` and the image's own values.

    The same image gets the same map in any batch, order, run and process. The draw is made on the CPU.
    """
    maps = [torch.rand(image.shape[1:], generator=generator_of(image, seed)) for image in images]
    return torch.stack(maps).to(images.device)


def generator_of(image: Float[Tensor, "C H W"], seed: int) -> torch.Generator:
    """Return a CPU generator that depends on `seed` and the image's own values, never on its neighbours in a batch."""
    pixels = image.detach().to("cpu", torch.float32).contiguous()
    digest = sha256(f"{seed}:{tuple(pixels.shape)}:".encode() + pixels.numpy().tobytes()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def center_maps(images: Images, *, sigma: float = 0.25) -> Maps:
    """Lay a Gaussian of height 1 on the image's centre; `sigma` is its width as a fraction of each side."""
    bells = []
    for length in images.shape[2:]:
        offset = (torch.arange(length, dtype=torch.float32, device=images.device) + 0.5) / length - 0.5
        bells.append(torch.exp(-0.5 * (offset / sigma) ** 2))
    return torch.outer(*bells).expand(len(images), -1, -1).contiguous()


def sobel_maps(images: Images) -> Maps:
    """Measure the gradient magnitude of the luminance with Sobel's filters, borders repeated.

    Luminance is taken of the normalized image, with the weights .299, .587, .114 (one channel: that channel).
    A constant image has a constant map of zeros.

    Raises
    ------
    ValueError
        If images have neither one nor three channels.
    """
    values = luminance(images)[:, None]
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=images.device)
    filters = torch.stack([across, across.T])[:, None]
    dx, dy = F.conv2d(F.pad(values, (1, 1, 1, 1), mode="replicate"), filters).unbind(dim=1)
    return torch.hypot(dx, dy)


def luminance(images: Images) -> Maps:
    """Weigh red, green and blue by .299, .587, .114 (ITU-R BT.601), in float32."""
    channels = images.shape[1]
    if channels == 1:
        return images[:, 0].float()
    if channels != 3:
        raise ValueError(f"luminance needs images of one or three channels; got {channels}")
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
    return torch.einsum("c,bchw->bhw", weights, images.float())


class Reference(Explainer):
    """An explainer that ignores the model."""

    def forward_passes(self) -> float:
        """None: the model is not asked."""
        return 0.0


@dataclass(frozen=True)
class Random(Reference):
    """Uniform noise; see `random_maps`. Its scores are those of removing pixels in random order.

    Attributes
    ----------
    seed : int
    """

    name: ClassVar[str] = "random"
    seed: int = 0

    def maps(
        self,
        model: nn.Module,
        images: Images,
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Maps]:
        """Return noise; from the image and a seed, which a `generator` draws if one is given."""
        if generator is None:
            return {"": random_maps(images, seed=self.seed)}
        drawn = torch.randint(2**62, (), generator=generator, device=generator.device)
        return {"": random_maps(images, seed=int(drawn))}


@dataclass(frozen=True)
class Center(Reference):
    """A Gaussian on the image's centre, where photographers put things; see `center_maps`.

    Attributes
    ----------
    sigma : float
        Standard deviation as a fraction of each side.
    """

    name: ClassVar[str] = "center"
    sigma: float = 0.25

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma must be a positive fraction of the image's side; got {self.sigma}")

    def maps(
        self,
        model: nn.Module,
        images: Images,
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Maps]:
        """Return the same map for every image."""
        return {"": center_maps(images, sigma=self.sigma)}


@dataclass(frozen=True)
class Sobel(Reference):
    """Edges; see `sobel_maps`. Passes for an explanation, though no model was asked."""

    name: ClassVar[str] = "sobel"

    def maps(
        self,
        model: nn.Module,
        images: Images,
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Maps]:
        """Return the edges of each image."""
        return {"": sobel_maps(images)}


@dataclass(frozen=True)
class RawImage(Reference):
    """The image's own luminance, signed as the normalized image is; see `luminance`."""

    name: ClassVar[str] = "raw_image"

    def maps(
        self,
        model: nn.Module,
        images: Images,
        targets: Int[Tensor, " B"],
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Maps]:
        """Return each image's luminance."""
        return {"": luminance(images)}
