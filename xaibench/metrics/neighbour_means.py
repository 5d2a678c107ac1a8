"""Solves for holes in which every pixel is the weighted mean of its eight neighbours, many holes and channels at once.

Nothing is stored as a matrix: neighbours are summed by shifts. Conjugate gradient needs about L steps for a hole of L
pixels across; preconditioned on coarser and coarser grids [1]_ it needs some thirty, whatever the size.

.. [1] J. H. Bramble, J. E. Pasciak, J. Xu, "Parallel Multilevel Preconditioners", Mathematics of Computation 55, 1990.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

CHECK_EVERY = 4  # steps between two looks at the residuals, each of which waits for the device
MOST_STEPS = 1000


def neighbour_sums(pictures: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Sum each pixel's neighbours, 1/6 for those beside it and 1/12 for those at its corners; nothing lies outside."""
    beside = 2 * pictures
    beside[..., 1:, :] += pictures[..., :-1, :]
    beside[..., :-1, :] += pictures[..., 1:, :]
    sums = 2 * beside
    sums[..., 1:] += beside[..., :-1]
    sums[..., :-1] += beside[..., 1:]
    return sums.sub_(pictures, alpha=4).div_(12)


def fill_by_neighbour_means(
    pictures: Float[Tensor, "N C H W"], holes: Bool[Tensor, "N 1 H W"], *, tolerance: float
) -> Float[Tensor, "N C H W"]:
    """Give the holes values of which each is the weighted mean of its neighbours in the image.

    Parameters
    ----------
    pictures : Tensor of float64, shape (N, C, H, W)
        Known values outside the holes, a first guess inside.
    holes : Tensor of bool, shape (N, 1, H, W)
        Where to solve. Each picture needs a known pixel, or no hole.
    tolerance : float
        A picture is done when in no channel any pixel of a hole differs by more from the mean of its neighbours.

    Returns
    -------
    Tensor of float64, shape (N, C, H, W)
        A picture with NaN or infinity gives NaN in its holes. No picture depends on another one's.

    Raises
    ------
    ArithmeticError
        If a picture is not done after `MOST_STEPS` steps.
    """
    filled = pictures.clone()
    active = torch.arange(len(pictures), device=pictures.device)
    system = _System(holes.to(pictures))
    x, p, rz = pictures, torch.zeros_like(pictures), torch.ones_like(pictures[..., :1, :1])
    r = system.inside * (neighbour_sums(pictures) - system.shares * pictures)
    for step in range(MOST_STEPS):
        if step % CHECK_EVERY == 0:
            going = (r.abs().amax(dim=(1, 2, 3)) > tolerance).nonzero()[:, 0]  # NaN is done as well
            filled[active] = x
            if len(going) == 0:
                return filled
            if len(going) < len(active):
                active, x, r, p, rz = active[going], x[going], r[going], p[going], rz[going]
                system = system.rows(going)
        z = system.precondition(r)
        rz, before = _dot(r, z), rz
        p = z + p * _ratio(rz, before)
        q = system.times(p)
        length = _ratio(rz, _dot(p, q))
        x, r = x + length * p, r - length * q
    raise ArithmeticError(
        f"holes are not filled to within {tolerance} after {MOST_STEPS} steps; take a larger tolerance"
    )


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(dim=(2, 3), keepdim=True)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Divide; 0 where a channel is solved exactly, so that it rests while the others go on."""
    return torch.where(below == 0, 0.0, above / below)


class _System:
    """S x - W x in the holes: S the weight of the neighbours that lie in the image, W their weighted sum."""

    def __init__(self, inside: Tensor, coarse: list[Tensor] | None = None) -> None:
        self.inside = inside
        self.shares = neighbour_sums(torch.ones_like(inside[:1]))
        self.coarse = _coarse_nodes(inside) if coarse is None else coarse

    def rows(self, which: Tensor) -> "_System":
        return _System(self.inside[which], [nodes[which] for nodes in self.coarse])

    def times(self, x: Tensor) -> Tensor:
        return self.inside * (self.shares * x - neighbour_sums(x))

    def precondition(self, r: Tensor) -> Tensor:
        """Add up what each grid makes of the residual: on the pixels themselves, then on nodes 2, 4, 8 … px apart."""
        residuals = [r]
        for _ in self.coarse:
            residuals.append(_coarser(residuals[-1]))
        correction = None
        for nodes, residual, finer in zip(self.coarse[::-1], residuals[:0:-1], residuals[-2::-1], strict=True):
            here = nodes * residual if correction is None else nodes * residual + correction
            correction = _finer(here, finer)
        z = r / self.shares.masked_fill(self.shares == 0, 1.0)
        return z if correction is None else self.inside * (z + correction)


def _coarse_nodes(inside: Tensor) -> list[Tensor]:
    """Say for each coarser grid which nodes reach hole pixels only, 1.0, and which a known one as well, 0.0."""
    grids, outside = [], 1 - inside
    while min(outside.shape[-2:]) > 2:
        outside = _coarser(outside)
        grids.append((outside == 0).to(inside))
    while grids and not bool(grids[-1].any()):
        grids.pop()
    return grids


def _finer(nodes: Tensor, like: Tensor) -> Tensor:
    """Interpolate linearly to the grid of half the spacing, that of `like`; beyond the border the last node repeats."""
    return _finer_columns(_finer_columns(nodes.mT, like.shape[-2]).mT, like.shape[-1])


def _coarser(values: Tensor) -> Tensor:
    """Apply the transpose of `_finer`."""
    return _coarser_columns(_coarser_columns(values).mT).mT


def _finer_columns(nodes: Tensor, n_columns: int) -> Tensor:
    left = torch.cat([nodes[..., :1], nodes[..., :-1]], dim=-1)
    right = torch.cat([nodes[..., 1:], nodes[..., -1:]], dim=-1)
    pairs = torch.stack([3 * nodes + left, 3 * nodes + right], dim=-1)
    return pairs.flatten(-2).div_(4)[..., :n_columns]


def _coarser_columns(values: Tensor) -> Tensor:
    values = F.pad(values, (0, values.shape[-1] % 2))
    even, odd = values[..., 0::2], values[..., 1::2]
    sums = 3 * (even + odd)
    sums[..., 1:] += odd[..., :-1]
    sums[..., :-1] += even[..., 1:]
    sums[..., 0] += even[..., 0]
    sums[..., -1] += odd[..., -1]
    return sums.div_(4)
