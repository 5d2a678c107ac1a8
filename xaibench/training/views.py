"""What the network sees in training: a pool of images in memory, and windows cut from them."""

import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from xaibench.data.shapes import Shapes
from xaibench.models.shapes_resnet import IMAGENET_MEAN, IMAGENET_STD
from xaibench.training.recipe import Phase

_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Pool:
    """Images in memory: 51 kB each at 128 × 128.

    Attributes
    ----------
    images : Tensor of uint8, shape (N, 3, S, S)
    labels : Tensor of int64, shape (N,)
    masks : Tensor of uint8, shape (N, S·S/8)
        The principal object's pixels, packed to bits.
    """

    images: UInt8[Tensor, "N 3 S S"]
    labels: Int[Tensor, " N"]
    masks: UInt8[Tensor, "N packed"]

    def __len__(self) -> int:
        return len(self.images)

    def mask(self, indices: Tensor) -> Float[Tensor, "B 1 S S"]:
        """Masks of some images, 1 on the object."""
        side = self.images.shape[-1]
        bits = np.unpackbits(self.masks[indices].numpy(), axis=1, count=side * side)
        return torch.from_numpy(bits).view(-1, 1, side, side).float()


def draw_pool(dataset: Shapes, *, n_workers: int | None = None, progress: bool = True) -> Pool:
    """Draw all images of a data set.

    Parameters
    ----------
    dataset : Shapes
        Of variant ``single``.
    n_workers : int, optional
        Processes; by default one for each core. Few images are drawn in this process.
    progress : bool
        Show a bar.
    """
    n, side = len(dataset), dataset.size
    chunks = [range(begin, min(begin + _CHUNK, n)) for begin in range(0, n, _CHUNK)]
    n_workers = min(n_workers or os.cpu_count() or 1, len(chunks) // 4)
    images = np.empty((n, side, side, 3), dtype=np.uint8)
    masks = np.empty((n, (side * side + 7) // 8), dtype=np.uint8)
    bar = tqdm(total=n, desc="draw", unit="image", disable=not progress, leave=False)

    def store(chunk: range, drawn: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
        images[chunk.start : chunk.stop], masks[chunk.start : chunk.stop] = drawn
        bar.update(len(chunk))

    with bar:
        if n_workers > 1:
            with ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn")) as workers:
                for chunk, drawn in zip(chunks, workers.map(_drawn, [dataset] * len(chunks), chunks), strict=True):
                    store(chunk, drawn)
        else:
            for chunk in chunks:
                store(chunk, _drawn(dataset, chunk))
    labels = torch.tensor([dataset.label(index) for index in range(n)])
    return Pool(torch.from_numpy(images).permute(0, 3, 1, 2), labels, torch.from_numpy(masks))


def _drawn(dataset: Shapes, indices: range) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    samples = [dataset[index] for index in indices]
    masks = [np.packbits(sample.masks[0]) for sample in samples if sample.masks is not None]
    return np.stack([sample.image for sample in samples]), np.stack(masks)


def generator_of(seed: int, purpose: int) -> torch.Generator:
    """Generator on the CPU for one round (from zero) or one other purpose (negative) of a training."""
    words = np.random.SeedSequence([seed, abs(purpose), int(purpose < 0)]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))


def whole(images: UInt8[Tensor, "B 3 S S"], *, size_px: int | None = None) -> Float[Tensor, "B 3 s s"]:
    """Whole images, averaged over areas down to `size_px`, normalized."""
    pixels = images.float()
    return normalize(
        pixels if size_px in (None, images.shape[-1]) else functional.interpolate(pixels, size=size_px, mode="area")
    )


def view(
    pool: Pool, indices: Tensor, phase: Phase, *, texture: float, generator: torch.Generator, device: str = "cpu"
) -> Float[Tensor, "B 3 s s"]:
    """Cut a window from each image: around its object, turned, mirrored, recoloured, normalized.

    Per image: a window side within the phase's range, but no larger than the image; the object anywhere inside; a turn by
    any angle (by quarters where the window is the whole image), mirrored in half of the cases; the channels permuted,
    inverted in half of the cases, gain 0.8 to 1.2 and offset up to 20 grey levels. Outside the image lies its reflection.

    Parameters
    ----------
    pool : Pool
    indices : Tensor of int64, shape (B,)
    phase : Phase
        Its size and window are used.
    texture : float
        Share of the textures, in [0, 1]; see `Phase`.
    generator : Generator
        On the CPU.
    device : str
        Where the views are made.
    """
    masks = pool.mask(indices)
    theta = _windows(masks, phase.window, generator).to(device)
    recolour = _recolouring(len(indices), generator)
    pixels = pool.images[indices].to(device).float()
    if texture < 1:
        pixels = _smoothed(pixels, masks.to(device), texture)
    grid = functional.affine_grid(theta, [len(indices), 3, phase.size_px, phase.size_px], align_corners=False)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    seen = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return normalize(_recoloured(seen, *(tensor.to(device) for tensor in recolour)))


def _windows(masks: Tensor, window: tuple[float, float], generator: torch.Generator) -> Float[Tensor, "B 2 3"]:
    """Affine maps from view to image coordinates in [-1, 1]."""
    n, side = len(masks), masks.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(n, *shape).uniform_(low, high, generator=generator)

    low, high = _boxes(masks)  # (B, 2), x and y, in [-1, 1]
    extent = (high - low).amax(dim=1)
    wanted = torch.minimum(extent * uniform(*window), torch.tensor(2.0))
    slack = (wanted - extent).clamp(min=0)[:, None] / 2
    centre = (low + high) / 2 + uniform(-0.8, 0.8, 2) * slack
    reach = 1 - wanted[:, None] / 2
    centre = torch.minimum(torch.maximum(centre, -reach), reach)
    angle = uniform(0.0, 2 * math.pi)
    angle = torch.where(wanted > 2 - 1 / side, (angle / (math.pi / 2)).floor() * (math.pi / 2), angle)
    mirror = torch.randint(2, (n,), generator=generator) * 2.0 - 1
    cos, sin = angle.cos() * wanted / 2, angle.sin() * wanted / 2
    rows = [torch.stack([cos * mirror, -sin, centre[:, 0]], 1), torch.stack([sin * mirror, cos, centre[:, 1]], 1)]
    return torch.stack(rows, dim=1)


def _boxes(masks: Tensor) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B 2"]]:
    """Corners (x, y) of the objects' boxes in [-1, 1]."""
    side = masks.shape[-1]
    edges = torch.arange(side, dtype=torch.float32)
    low, high = [], []
    for axis in (2, 3):  # over rows: the extent in x; over columns: in y
        present = masks[:, 0].amax(dim=axis - 1) > 0
        low.append(torch.where(present, edges, side).amin(dim=1))
        high.append(torch.where(present, edges + 1, 0).amax(dim=1))
    return torch.stack(low, 1) * 2 / side - 1, torch.stack(high, 1) * 2 / side - 1


def _smoothed(pixels: Tensor, masks: Tensor, texture: float) -> Tensor:
    """Object and surroundings, each moved towards its mean colour."""
    flat = torch.zeros_like(pixels)
    for part in (masks, 1 - masks):
        area = part.sum(dim=(2, 3), keepdim=True)
        flat += part * (pixels * part).sum(dim=(2, 3), keepdim=True) / area
    return flat + texture * (pixels - flat)


def _recolouring(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Channel order (n, 3), gain and offset (n, 1, 1, 1); a negative gain inverts."""
    order = torch.rand(n, 3, generator=generator).argsort(dim=1)
    sign = 1 - 2 * torch.randint(2, (n, 1, 1, 1), generator=generator)
    gain = torch.empty(n, 1, 1, 1).uniform_(0.8, 1.2, generator=generator) * sign
    return order, gain, torch.empty(n, 1, 1, 1).uniform_(-20, 20, generator=generator)


def _recoloured(pixels: Tensor, order: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    permuted = pixels[torch.arange(len(pixels), device=pixels.device)[:, None], order]
    return ((permuted - 127.5) * gain + 127.5 + offset).clamp(0, 255)


def normalize(pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Pixels in [0, 255] as the network wants them, channels last in memory."""
    mean, std = (pixels.new_tensor(values)[:, None, None] * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
