"""Average drop and increase in confidence: whether the image, masked by its map, keeps its score [1]_.

.. [1] A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
   Networks", WACV 2018.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.masks import Mask, Sign
from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scores import SCORES
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of
from xaibench.metrics.undefined import MODEL_NOT_FINITE
from xaibench.names import pick


def average_drop(
    clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"], *, relative: bool = True
) -> Float[Tensor, "*B"]:
    """Share of the clean score that is lost under the mask, ``max(clean - masked, 0) / clean``.

    Parameters
    ----------
    clean, masked : Tensor, same shape
        Score of the image and of the masked image, usually the target's probability.
    relative : bool, default True
        Whether to divide by the clean score.

    Returns
    -------
    Tensor, same shape
        In [0, 1] for probabilities, lower is better. With logits it may exceed 1, and is negative for a negative
        clean score; NaN where the clean score is 0. Papers state the mean over images, in percent.
    """
    lost = (clean - masked).clamp(min=0)
    return lost / clean.masked_fill(clean == 0, torch.nan) if relative else lost


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
    mask: Mask | None = None,
    score: str = "probability",
    batch_size: int = 32,
) -> MaskedScores:
    """Score each image times a mask made of each of its maps.

    The product is taken in normalized space, as in all published code: where the mask is 0 the pixel gets the training
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
        is spent on it; see `Mask.why_undefined`.
    clean : Tensor, shape (B,), optional
        Scores of the clean images where they are known already, for instance from a curve; else one pass per image.
    mask : Mask, optional
        What the map becomes before the image is multiplied with it; by default rectified and stretched to [0, 1].
    score : {"probability", "log_probability", "logit"}
        What is read from the model.
    batch_size : int, default 32
        Images per forward pass.
    """
    network, mask = network_of(model), mask or Mask()
    check_inputs(images, targets, attributions)
    n_images, n_maps = attributions.shape[:2]
    reasons = np.array(mask.why_undefined(attributions.flatten(0, 1)), dtype=object).reshape(n_images, n_maps)
    clean_at, masked_at = np.full((n_images, 1), -1), np.full((n_images, n_maps), -1)
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=(score,))
        for b, target in enumerate(targets.tolist()):
            defined = np.flatnonzero(reasons[b] == "")
            if clean is None:
                clean_at[b] = queue.put(1, target, _times(images[b], images.new_ones(1, 1, 1)))
            masked_at[b, defined] = [
                queue.put(1, target, _times(images[b], mask(attributions[b, m : m + 1]))) for m in defined
            ]
        table = torch.cat([queue.results()[:, 0], torch.tensor([torch.nan])])  # the last value is what -1 finds
    before = table[torch.from_numpy(clean_at)[:, 0]] if clean is None else clean.cpu().to(table)
    return _gather(before, table[torch.from_numpy(masked_at)], reasons, extra=clean is None)


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
class MaskingSettings:
    """What all metrics of masked images can be told; those with equal `score` and `mask` share their passes.

    Attributes
    ----------
    score : str
        What is read from the model.
    sign : {"rectified", "absolute"}
    stretch : bool
    muted_share : float, optional
        See `Mask`.
    """

    score: str = "probability"
    sign: Sign = "rectified"
    stretch: bool = True
    muted_share: int | float | None = None
    complement: ClassVar[bool] = False

    def __post_init__(self) -> None:
        pick("score", self.score, SCORES)
        _ = self.mask  # which checks its own choices

    @property
    def mask(self) -> Mask:
        """The mask that these settings make of a map."""
        return Mask(self.sign, self.stretch, self.muted_share, self.complement)


@dataclass(frozen=True)
class AverageDrop(MaskingSettings):
    """Settings of the average drop; called with clean and masked scores.

    Attributes
    ----------
    relative : bool
        Whether the loss is divided by the clean score; pytorch-grad-cam's ``DropInConfidence`` does not.
    """

    relative: bool = True
    higher_is_better: ClassVar[bool] = False

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `average_drop`."""
        return average_drop(clean, masked, relative=self.relative)


@dataclass(frozen=True)
class IncreaseInConfidence(MaskingSettings):
    """Settings of the increase in confidence; called with clean and masked scores."""

    higher_is_better: ClassVar[bool] = True

    def __call__(self, clean: Float[Tensor, "*B"], masked: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `increase_in_confidence`."""
        return increase_in_confidence(clean, masked)
