"""µ-fidelity: the faithfulness correlation on a coarse grid of cells, by ranks [1]_.

.. [1] T. Fel, D. Vigouroux, R. Cadène, T. Serre, "How Good is your Explanation? Algorithmic Stability Measures to
   Assess the Quality of Explanations for Deep Neural Networks", WACV 2022, after U. Bhatt et al., IJCAI 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import Changes, check_given, correlation_scores, plain_baseline, responses
from xaibench.metrics.draws import generator_for, pieces, random_subsets
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.scores import SCORES
from xaibench.names import pick, unknown

CELLS = ("each", "fixed")
RESIZE = ("nearest-exact", "nearest")


def mu_fidelity(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    grid: int = 9,
    removed_share: float = 0.2,
    cells: str = "each",
    cell_resize: str = "nearest-exact",
    n_samples: int = 200,
    noise_scale: float = 0.0,
    baseline: str | Baseline = "zero",
    score: str = "logit",
    seed: int = 0,
    removed: Bool[Tensor, "B N H W"] | None = None,
    noise: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> MapScores:
    """Correlate by rank, over random sets of cells, the sum of relevance with the drop of the score.

    Parameters
    ----------
    model, images, targets, attributions, baseline, score, seed, batch_size
        As in `faithfulness_correlation`.
    grid : int, default 9
        Cells along each side.
    removed_share : float, default 0.2
        Share of the cells that are removed.
    cells : {"each", "fixed"}
        Whether each cell is removed with that probability, so that their number varies (xplique), or the same number
        of cells each time, the smallest that exceeds the share (pnpxai: 17 of 81).
    cell_resize : {"nearest-exact", "nearest"}
        How cells meet pixels that the grid does not divide: by half-pixel centres (xplique) or corners (pnpxai).
    n_samples : int, default 200
        Sets of cells, shared by all maps of an image.
    noise_scale : float, default 0
        pnpxai adds noise to the kept pixels: ``clip(x + noise_scale · (noise · std + mean), x − 1, x)`` with standard
        normal noise and the image's own standard deviation and mean over all values. Its setting is 0.2.
    removed : Tensor of bool, shape (B, N, H, W), optional
        Sets of pixels to remove instead of drawn ones.
    noise : Tensor, shape (B, N, C, H, W), optional
        Noise to take, with `removed`.

    Returns
    -------
    MapScores
        Spearman correlations in [-1, 1], higher is better; 1 for a linear model and its exact attribution. NaN for a
        constant map, for sets of equal relevance, and where the score does not change (xplique counts these as 0).
    """
    metric = MuFidelity(grid, removed_share, cells, cell_resize, n_samples, noise_scale, baseline, score, seed)
    check_given(removed, images, "removed")
    check_given(noise, images, "noise")
    pictures = plain_baseline(baseline)(images)

    def changes_of(b: int) -> Iterator[Changes]:
        generator = generator_for(images[b], seed, "mu_fidelity_noise")
        for masks in metric.draw(images[b]) if removed is None else [removed[b]]:
            drawn = noise[b] if noise is not None else None
            kept = _with_noise(images[b], len(masks), noise_scale, generator, drawn)
            yield _removal(kept, pictures[b], masks.to(images.device))

    found = responses(model, images, targets, attributions, changes_of, score=score, batch_size=batch_size)
    return correlation_scores(found, ranks=True)


def cell_masks(cells: Bool[Tensor, "N g g"], size: tuple[int, int], *, resize: str) -> Bool[Tensor, "N H W"]:
    """Enlarge cells to pixels by the nearest cell; see `mu_fidelity` for the two readings of nearest."""
    return F.interpolate(cells[:, None].float(), size=size, mode=resize)[:, 0].bool()


def _with_noise(
    image: Tensor, n: int, scale: float, generator: torch.Generator, given: Tensor | None
) -> Float[Tensor, "N C H W"]:
    """Copies of the image with pnpxai's noise, which only darkens and by 1 at most."""
    if scale == 0:
        return image.expand(n, -1, -1, -1)
    drawn = torch.randn(n, *image.shape, generator=generator) if given is None else given
    shift = scale * (drawn.to(image) * image.std() + image.mean())
    return (image + shift).clamp(image - 1, image)


def _removal(kept: Tensor, baseline: Tensor, masks: Tensor) -> Changes:
    def write(rows: Tensor, start: int) -> None:
        end = start + len(rows)
        torch.where(masks[start:end, None], baseline, kept[start:end], out=rows)

    return Changes(masks, write)


@dataclass(frozen=True)
class MuFidelity(ByFunction):
    """Settings of µ-fidelity: xplique's, unless told otherwise; see `mu_fidelity`.

    pnpxai's are ``cells="fixed", cell_resize="nearest", noise_scale=0.2``.
    """

    grid: int = 9
    removed_share: float = 0.2
    cells: str = "each"
    cell_resize: str = "nearest-exact"
    n_samples: int = 200
    noise_scale: float = 0.0
    baseline: str | Baseline = "zero"
    score: str = "logit"
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    function: ClassVar = staticmethod(mu_fidelity)

    def __post_init__(self) -> None:
        if self.grid < 1 or self.n_samples < 2 or not 0 < self.removed_share < 1 or self.noise_scale < 0:
            raise ValueError(
                "µ-fidelity needs a grid of at least 1, n_samples of at least 2, removed_share between 0 and 1 and "
                f"noise_scale from 0 on, got {self.grid}, {self.n_samples}, {self.removed_share}, {self.noise_scale}"
            )
        for kind, name, available in (
            ("rule for cells", self.cells, CELLS),
            ("resize of the cells", self.cell_resize, RESIZE),
        ):
            if name not in available:
                raise unknown(kind, name, available)
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def draw(self, image: Float[Tensor, "C H W"]) -> Iterator[Bool[Tensor, "N H W"]]:
        """Draw the image's removed pixels, piece by piece."""
        generator = generator_for(image, self.seed, "mu_fidelity")
        n_cells = self.grid**2
        if self.cells == "fixed":
            drawn = random_subsets(self.n_samples, int(self.removed_share * n_cells) + 1, n_cells, generator)
        else:
            drawn = (torch.rand(n, n_cells, generator=generator) <= self.removed_share for n in pieces(self.n_samples))
        size = (image.shape[1], image.shape[2])
        for piece in drawn:
            yield cell_masks(piece.view(-1, self.grid, self.grid), size, resize=self.cell_resize)
