"""Similarity of local structure: SSIM [1]_ and the correlation of gradient-orientation histograms [2]_.

.. [1] Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", TIP 2004.
.. [2] N. Dalal, B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
"""

import numpy
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

HOG_CELL_PX = 16
HOG_CELLS_IN_BLOCK = 3


def ssim(
    first: Float[Tensor, "B H W"],
    second: Float[Tensor, "B H W"],
    *,
    data_range: float = 1.0,
    sigma: float = 1.5,
    truncate: float = 3.5,
    k1: float = 0.01,
    k2: float = 0.03,
    sample_covariance: bool = False,
    scaled: bool = True,
) -> Float[Tensor, " B"]:
    """Structural similarity with a Gaussian window, averaged over all pixels whose window lies inside; in [-1, 1].

    Parameters
    ----------
    first, second : Tensor, shape (B, H, W)
        Maps; at least a window (11 × 11 pixels by default) large.
    data_range : float, default 1
        Span of the values, from which the constants are made. After scaling it is 1.
    sigma, truncate : float
        Width of the window in pixels, and where it ends, in widths.
    k1, k2 : float
        The definition's constants.
    sample_covariance : bool, default False
        Whether variances are multiplied by n / (n - 1), n the pixels of a window, as if its weights were equal.
    scaled : bool, default True
        Whether each map is first scaled linearly to [0, 1]; False takes it as it is.

    Returns
    -------
    Tensor, shape (B,)
        NaN where a map holds NaN or infinity, or is constant and to be scaled.

    Notes
    -----
    The definition is that of scikit-image's ``structural_similarity(gaussian_weights=True,
    use_sample_covariance=…, data_range=…)``. The code of Adebayo et al. ran with data range 2 (guessed there from
    the floating-point type) and sample covariance: ``ssim_paper`` in `similarity.SIMILARITIES`. Values differ by
    0.1 to 0.5 between the two.
    """
    radius = int(truncate * sigma + 0.5)
    _large_enough(first, 2 * radius + 1, "SSIM's window")
    a, b = (scaled_to_unit(maps.double()) if scaled else maps.double() for maps in (first, second))
    window = _gaussian(sigma, radius, a.device)
    mean_a, mean_b = _blurred(a, window), _blurred(b, window)
    pixels = (2 * radius + 1) ** 2
    factor = pixels / (pixels - 1) if sample_covariance else 1.0
    variance_a = factor * (_blurred(a * a, window) - mean_a**2)
    variance_b = factor * (_blurred(b * b, window) - mean_b**2)
    covariance = factor * (_blurred(a * b, window) - mean_a * mean_b)
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).flatten(1).mean(dim=1)


def hog_descriptors(maps: Float[Tensor, "B H W"]) -> Float[Tensor, "B D"]:
    """Describe each map, scaled to [0, 1], by its histograms of oriented gradients.

    scikit-image's descriptor: 9 unsigned orientations, cells of 16 × 16 pixels, blocks of 3 × 3 cells, L2-Hys, as in
    the code of Adebayo et al.; float64. A map and its negative have the same descriptor.

    Parameters
    ----------
    maps : Tensor, shape (B, H, W)
        At least 48 × 48 pixels.

    Returns
    -------
    Tensor, shape (B, D)
        NaN where a map is constant or not finite.
    """
    _large_enough(maps, HOG_CELL_PX * HOG_CELLS_IN_BLOCK, "a HOG block")
    scaled = scaled_to_unit(maps.detach().cpu().float()).numpy()
    return torch.from_numpy(numpy.stack([_hog(values) for values in scaled])).double().to(maps.device)


def _hog(scaled: numpy.ndarray) -> numpy.ndarray:
    from skimage.feature import hog  # a second to import, and few need it

    cell, block = (HOG_CELL_PX,) * 2, (HOG_CELLS_IN_BLOCK,) * 2
    return hog(scaled, orientations=9, pixels_per_cell=cell, cells_per_block=block, block_norm="L2-Hys")


def scaled_to_unit(maps: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Scale each map linearly so that it spans [0, 1]; NaN where it is constant or not finite."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low)


def _large_enough(maps: Tensor, side: int, what: str) -> None:
    if min(maps.shape[1:]) < side:
        raise ValueError(
            f"maps of {tuple(maps.shape[1:])} pixels are smaller than {what}, {side} × {side}; compare upsampled maps"
        )


def _gaussian(sigma: float, radius: int, device: torch.device) -> Tensor:
    places = torch.arange(-radius, radius + 1, dtype=torch.float64, device=device)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    return weights / weights.sum()


def _blurred(maps: Tensor, window: Tensor) -> Tensor:
    """Weigh the neighbourhood of each pixel whose whole window lies inside: (B, H - n + 1, W - n + 1)."""
    columns = F.conv2d(maps[:, None], window[None, None, :, None])
    return F.conv2d(columns, window[None, None, None, :])[:, 0]
