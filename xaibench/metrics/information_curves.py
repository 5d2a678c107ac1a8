"""Performance information curves: score regained against information put back into a blurred picture [1]_.

SIC reads the target's probability, AIC whether the target is predicted; both come from the same passes.

.. [1] A. Kapishnikov, T. Bolukbasi, F. Viégas, M. Terry, "XRAI: Better Attributions Through Regions", ICCV 2019, and
   the authors' code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.draws import generator_for
from xaibench.metrics.information_evidence import Evidence, gather
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scattered import (
    Normalization,
    blurred_picture,
    encoder,
    random_mask,
    with_corners,
)

THRESHOLDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.21, 0.34, 0.5, 0.75)
GRID = np.append(np.arange(1000) / 1000, 1.0)
Reading = Literal["sic", "aic"]
READINGS: dict[str, Reading] = {"probability": "sic", "correct": "aic"}  # from what is read to the curve


def information_curve(
    scores: Float[np.ndarray, " N"], sizes: Int[np.ndarray, " N"], *, monotone: bool = True
) -> Float[np.ndarray, "1001"]:
    """Draw one curve over the share of information, at 0, .001, …, .999, 1.

    Parameters
    ----------
    scores, sizes : array, shape (N,)
        Score and compressed size in bytes of the completely blurred picture, of those with more and more pixels put
        back, and of the original, in this order. The original must be larger and score higher than the blurred one.
    monotone : bool, default True
        Whether a point may not lie below an earlier one.

    Returns
    -------
    array of float64, shape (1001,)
        Share of the score regained, in [0, 1], interpolated linearly from (0, 0) to (1, 1). Of points with the same
        share of information the earlier comes first.
    """
    x = np.clip((sizes[1:-1] - sizes[0]) / (sizes[-1] - sizes[0]), 0, 1)
    y = np.clip((scores[1:-1] - scores[0]) / (scores[-1] - scores[0]), 0, 1)
    if monotone:
        y = np.maximum.accumulate(y)
    x, y = np.concatenate([[0], x, [1]]), np.concatenate([[0], y, [1]])
    order = np.argsort(x, kind="stable")
    return np.interp(GRID, x[order], y[order])


def information_curves(
    model: object,
    images: Float[Tensor, "B 3 H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    thresholds: Sequence[float] = THRESHOLDS,
    seed_share: float = 0.01,
    least_score: float = 0.8,
    monotone: bool = True,
    seed: int = 0,
    seed_masks: Bool[Tensor, "B H W"] | None = None,
    batch_size: int = 32,
) -> dict[Reading, MapScores]:
    """Put back the most relevant pixels of a blurred picture and draw both curves from the same passes.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, 3, H, W) to logits.
    images : Tensor, shape (B, 3, H, W)
        Normalized images of 8-bit pictures.
    targets : Tensor of int64, shape (B,)
        Classes whose probability is read, or whose being predicted.
    attributions : Tensor, shape (B, M, H, W)
        Signed maps; only the order of the pixels counts.
    mean, std : sequence of three floats
        Of the normalization, so that the 8-bit picture can be had again.
    thresholds : sequence of float
        Shares of the pixels to put back, ascending; the authors'. Equal pixels enter together, so that a map of large
        ties has fewer different points.
    seed_share : float, default 0.01
        Share of the pixels that stay in the blurred picture, shared by all maps of an image, beside its corners.
    least_score : float, default 0.8
        What the clean image must score to be drawn.
    monotone : bool, default True
        See `information_curve`.
    seed : int
        The pixels that stay depend on it and on the image.
    seed_masks : Tensor of bool, shape (B, H, W), optional
        Pixels that stay, instead of drawn ones; the corners are added.
    batch_size : int, default 32
        Images per forward pass.

    Returns
    -------
    dict from "sic" and "aic" to MapScores
        Area under the curve in [0, 1], higher is better, and the curve. NaN for a constant map, and for all maps of an
        image whose clean score is below `least_score`, or whose blurred picture is not smaller or scores no lower.

    Notes
    -----
    The authors aggregate the median curve over images, then its area: take ``curve_y``. Sizes are those of a lossless
    WebP file and change with the encoder's version; see `scattered.encoder`.
    """
    check_inputs(images, targets, attributions)
    encoder()
    normalization = Normalization(tuple(mean), tuple(std))
    given = [None] * len(images) if seed_masks is None else [mask.cpu().numpy() for mask in seed_masks]
    blurred = [
        blurred_picture(normalization.picture(image), _seeds(image, mask, seed_share, seed))
        for image, mask in zip(images, given, strict=True)
    ]
    evidence = gather(
        model, images, targets, attributions, blurred, normalization,
        readings=tuple(READINGS), thresholds=thresholds, least_score=least_score, batch_size=batch_size,
    )  # fmt: skip
    return {reading: _scores(evidence, s, monotone=monotone) for s, reading in enumerate(READINGS.values())}


def _seeds(image: Tensor, given: NDArray[np.bool_] | None, share: float, seed: int) -> NDArray[np.bool_]:
    size = (image.shape[1], image.shape[2])
    drawn = random_mask(size, share, generator_for(image, seed, "information_curves")) if given is None else given
    return with_corners(drawn)


def _scores(evidence: Evidence, s: int, *, monotone: bool) -> MapScores:
    reasons = evidence.reasons[:, :, s]
    curves = np.full((*reasons.shape, len(GRID)), np.nan)
    for b, m in np.argwhere(reasons == "").tolist():
        full, blurred = evidence.ends[b, :, s]
        full_bytes, blurred_bytes = evidence.end_bytes[b]
        scores = np.concatenate([[blurred], evidence.inner[b, m, :, s], [full]])
        sizes = np.concatenate([[blurred_bytes], evidence.inner_bytes[b, m], [full_bytes]])
        curves[b, m] = information_curve(scores, sizes, monotone=monotone)
    return MapScores(
        torch.from_numpy(np.trapezoid(curves, GRID, axis=2)),
        torch.from_numpy(evidence.forward_passes),
        tuple(tuple(row) for row in reasons.tolist()),
        curve_x=torch.from_numpy(GRID).expand(curves.shape),
        curve_y=torch.from_numpy(curves),
    )


@dataclass(frozen=True)
class _InformationCurve:
    """What both curves have in common; the authors' setting.

    `mean` and `std` are those of the model's preprocessing and must be given.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    thresholds: tuple[float, ...] = THRESHOLDS
    seed_share: float = 0.01
    least_score: float = 0.8
    monotone: bool = True
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    reading: ClassVar[Reading]

    def __post_init__(self) -> None:
        if not self.thresholds or any(not 0 < share <= 1 for share in self.thresholds):
            raise ValueError(f"thresholds must be shares of the pixels in (0, 1], got {self.thresholds}")
        if not 0 <= self.seed_share < 1:
            raise ValueError(f"seed_share must lie in [0, 1), got {self.seed_share}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together: give both, those of the model's preprocessing")

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Score M maps of each image."""
        if self.mean is None or self.std is None:
            raise ValueError(
                f"{self.reading} needs the 8-bit picture: give mean= and std= of the model's preprocessing"
            )
        return information_curves(
            model, images, targets, attributions,
            mean=self.mean, std=self.std, thresholds=self.thresholds, seed_share=self.seed_share,
            least_score=self.least_score, monotone=self.monotone, seed=self.seed, batch_size=batch_size,
        )[self.reading]  # fmt: skip


@dataclass(frozen=True)
class SIC(_InformationCurve):
    """Settings of the softmax information curve; see `information_curves`."""

    reading: ClassVar[Reading] = "sic"


@dataclass(frozen=True)
class AIC(_InformationCurve):
    """Settings of the accuracy information curve; see `information_curves`."""

    reading: ClassVar[Reading] = "aic"
