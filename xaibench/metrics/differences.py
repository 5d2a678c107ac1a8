"""The perturbations of infidelity: squares to replace, and noise to subtract from the image, in normalized units."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from xaibench.metrics.draws import pieces

Image = Float[Tensor, "C H W"]
Drawn = Iterator[Float[Tensor, "N C H W"]]


def gaussian(image: Image, baseline: Image, count: int, sigma: float, generator: torch.Generator) -> Drawn:
    """Draw independent normal noise with standard deviation `sigma` on every channel value: a look around the image."""
    for n in pieces(count):
        yield sigma * torch.randn(n, *image.shape, generator=generator).to(image)


def noisy_baseline(image: Image, baseline: Image, count: int, sigma: float, generator: torch.Generator) -> Drawn:
    """Draw the difference to a noisy baseline, ``x − (baseline + noise)``: subtracted, it leaves the noisy baseline."""
    for noise in gaussian(image, baseline, count, sigma, generator):
        yield image - baseline - noise


def squares(
    image_size: tuple[int, int], count: int, largest: float, generator: torch.Generator
) -> Iterator[Bool[Tensor, "N H W"]]:
    """Draw one square each: True inside.

    The side is uniform from one pixel to `largest` times the shorter side of the image, the place uniform inside it.
    """
    height, width = image_size
    largest_px = max(1, round(largest * min(height, width)))
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    for n in pieces(count):
        side, top, left = torch.rand(3, n, 1, 1, generator=generator, dtype=torch.float64)
        side = (side * largest_px).floor() + 1
        top, left = (top * (height - side + 1)).floor(), (left * (width - side + 1)).floor()
        yield (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)


NOISE: dict[str, Callable[[Tensor, Tensor, int, float, torch.Generator], Iterator[Tensor]]] = {
    "gaussian": gaussian,
    "noisy_baseline": noisy_baseline,
}
