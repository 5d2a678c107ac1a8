"""Average drop and increase in confidence: whether the image, dimmed where the map is low, keeps its score [1]_.

.. [1] A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
   Networks", WACV 2018.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined


def unit_range(attributions: Float[Tensor, "*rest H W"]) -> Float[Tensor, "*rest H W"]:
    """Rectify each map and stretch it to [0, 1]; NaN where nothing varies above zero."""
    rectified = attributions.clamp(min=0)
    low, high = rectified.amin(dim=(-2, -1), keepdim=True), rectified.amax(dim=(-2, -1), keepdim=True)
    return (rectified - low) / (high - low)  # 0 / 0 is NaN


def average_drop(clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Share of the clean score that is lost under the mask, ``max(clean - masked, 0) / clean``.

    Parameters
    ----------
    clean, masked : Tensor, same shape
        Score of the image and of the masked image, usually the target's probability.

    Returns
    -------
    Tensor, same shape
        In [0, 1] for probabilities, lower is better. With logits it may exceed 1, and is negative for a negative
        clean score; NaN where the clean score is 0. Papers state the mean over images, in percent.
    """
    return (clean - masked).clamp(min=0) / clean.masked_fill(clean == 0, torch.nan)


def increase_in_confidence(clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Whether the masked image scores strictly above the clean one: 1 or 0, NaN where either is; higher is better."""
    risen = (masked > clean).to(masked.dtype)
    return risen.masked_fill(masked.isnan() | clean.isnan(), torch.nan)


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """Scores of images before and after multiplication with their maps.

    Attributes
    ----------
    clean : Tensor, shape (B,)
        Score of the image.
    masked : Tensor, shape (B, M)
        Score of the image under each map; NaN where undefined.
    forward_passes : Tensor of float64, shape (B, M)
        Images put through the model for each map, the clean one in equal parts.
    reasons : tuple of tuples of str, (B, M)
        Why a value is undefined; "" where it is not.
    """

    clean: Float[Tensor, " B"]
    masked: Float[Tensor, "B M"]
    forward_passes: Float[Tensor, "B M"]
    reasons: tuple[tuple[str, ...], ...]


def masked_scores(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    clean: Float[Tensor, " B"] | None = None,
    stretch: bool = True,
    score: str = "probability",
    batch_size: int = 32,
) -> MaskedScores:
    """Score each image times each of its rectified maps.

    The product is taken in normalized space, as in all published code: where the map is 0 the pixel gets the training
    data's mean colour, in between its contrast is reduced.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits.
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    targets : Tensor of int64, shape (B,)
        Class whose score is read, before and after.
    attributions : Tensor, shape (B, M, H, W)
        Signed maps. One without positive evidence, or constant, masks nothing in particular: undefined, and no pass
        is spent on it.
    clean : Tensor, shape (B,), optional
        Scores of the clean images where they are known already, for instance from a curve; else one pass per image.
    stretch : bool, default True
        Whether the map is stretched to [0, 1] at the image's resolution, as the papers do. False multiplies with the
        map as given, rectified: torch-cam stretches before it upsamples, after which the map fills [0, 1] no longer.
    score : {"probability", "log_probability", "logit"}
        What is read from the model.
    batch_size : int, default 32
        Images per forward pass.
    """
    network = network_of(model)
    check_inputs(images, targets, attributions)
    n_images, n_maps = attributions.shape[:2]
    flat = why_undefined(attributions.flatten(0, 1).clamp(min=0), positive=True, varying=stretch)
    reasons = np.array(flat, dtype=object).reshape(n_images, n_maps)
    clean_at, masked_at = np.full((n_images, 1), -1), np.full((n_images, n_maps), -1)
    scaled = unit_range if stretch else _rectified
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=(score,))
        for b, target in enumerate(targets.tolist()):
            defined = np.flatnonzero(reasons[b] == "")
            if clean is None:
                clean_at[b] = queue.put(1, target, _times(images[b], images.new_ones(1, 1, 1)))
            masked_at[b, defined] = [
                queue.put(1, target, _times(images[b], scaled(attributions[b, m]))) for m in defined
            ]
        table = torch.cat([queue.results()[:, 0], torch.tensor([torch.nan])])  # the last value is what -1 finds
    before = table[torch.from_numpy(clean_at)[:, 0]] if clean is None else clean.cpu().to(table)
    return _gather(before, table[torch.from_numpy(masked_at)], reasons, extra=clean is None)


def _rectified(attributions: Tensor) -> Tensor:
    return attributions.clamp(min=0)


def _gather(clean: Tensor, masked: Tensor, reasons: np.ndarray, *, extra: bool) -> MaskedScores:
    scored = torch.from_numpy(reasons == "")
    bad = scored & ~(masked.isfinite() & clean.isfinite()[:, None])
    reasons = np.where(bad.numpy(), MODEL_NOT_FINITE, reasons)
    passes = scored.double() + (1 / scored.shape[1] if extra else 0.0)
    masked = masked.masked_fill(bad, torch.nan)
    return MaskedScores(clean, masked, passes, tuple(tuple(row) for row in reasons.tolist()))


def _times(image: Tensor, mask: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        torch.mul(image, mask, out=rows[0])

    return write


@dataclass(frozen=True)
class AverageDrop:
    """Settings of the average drop; called with clean and masked scores."""

    score: str = "probability"
    higher_is_better: ClassVar[bool] = False

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `average_drop`."""
        return average_drop(clean, masked)


@dataclass(frozen=True)
class IncreaseInConfidence:
    """Settings of the increase in confidence; called with clean and masked scores."""

    score: str = "probability"
    higher_is_better: ClassVar[bool] = True

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `increase_in_confidence`."""
        return increase_in_confidence(clean, masked)
