"""What the model and the encoder say about a picture whose pixels are put back by a map: points of an information curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.scattered import Blurred, Normalization, webp_bytes
from xaibench.metrics.scoring import ScoringQueue, evaluating, network_of
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined

NOT_SMALLER = "blurred picture holds as much information as the picture"
NOT_LOWER = "blurred picture scores no lower than the picture"


def why_no_curve(
    full_score: float, blurred_score: float, full_bytes: int, blurred_bytes: int, *, least_score: float
) -> str:
    """Say why an image has no information curve, whatever the map; "" where it has one."""
    if not np.isfinite([full_score, blurred_score]).all():
        return MODEL_NOT_FINITE
    if full_score < least_score:
        return f"clean score below {least_score:g}"
    if blurred_bytes >= full_bytes:
        return NOT_SMALLER
    return NOT_LOWER if blurred_score >= full_score else ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the model and the encoder say; S readings of each picture.

    Attributes
    ----------
    ends : array, shape (B, 2, S)
        Scores of the original and of the blurred picture.
    end_bytes : array, shape (B, 2)
        Their sizes.
    inner : array, shape (B, M, T, S)
        Scores with more and more pixels put back; NaN where none were scored.
    inner_bytes : array, shape (B, M, T)
        Their sizes.
    reasons : array of str, shape (B, M, S)
        Why there is no curve.
    forward_passes : array, shape (B, M)
    """

    ends: NDArray[np.float64]
    end_bytes: NDArray[np.int64]
    inner: NDArray[np.float64]
    inner_bytes: NDArray[np.int64]
    reasons: NDArray[np.object_]
    forward_passes: NDArray[np.float64]


def gather(
    model: object,
    images: Tensor,
    targets: Tensor,
    attributions: Tensor,
    blurred: Sequence[Blurred],
    normalization: Normalization,
    *,
    readings: Sequence[str],
    thresholds: Sequence[float],
    least_score: float,
    batch_size: int,
) -> Evidence:
    """Score the pictures; the ends first: where no reading can have a curve, nothing is rebuilt.

    Parameters are those of `information_curves.information_curves`; `readings` are names in `SCORES`.
    """
    network = network_of(model)
    n_images, n_maps = attributions.shape[:2]
    end_bytes = np.array([[one.full_bytes, one.blurred_bytes] for one in blurred])
    with evaluating(network):
        asked = _Asked(ScoringQueue(network, images, batch_size=batch_size, scores=readings), normalization)
        for one, target in zip(blurred, targets.tolist(), strict=True):
            asked.put(one.original, target)
            asked.put(one.blurred, target)
        ends = asked.queue.results().double().numpy().reshape(n_images, 2, len(readings))
        reasons = _reasons(attributions, ends, end_bytes, least_score)
        asked = _Asked(ScoringQueue(network, images, batch_size=batch_size, scores=readings), normalization)
        inner_bytes = np.zeros((n_images, n_maps, len(thresholds)), dtype=np.int64)
        places = np.full(inner_bytes.shape, -1)
        for b, m in np.argwhere((reasons == "").any(axis=2)).tolist():
            for t, picture in enumerate(blurred[b].put_back(attributions[b, m].cpu().numpy(), thresholds)):
                inner_bytes[b, m, t] = webp_bytes(picture)
                places[b, m, t] = asked.put(picture, int(targets[b]))
        table = asked.queue.results().double()
    table = torch.cat([table, torch.full((1, len(readings)), torch.nan, dtype=torch.float64)])  # what -1 finds
    inner = table[torch.from_numpy(places)].numpy()
    broken = np.asarray((places >= 0).all(axis=2))[:, :, None] & ~np.isfinite(inner).all(axis=2)
    reasons = np.where((reasons == "") & broken, MODEL_NOT_FINITE, reasons)
    return Evidence(ends, end_bytes, inner, inner_bytes, reasons, (places >= 0).sum(axis=2) + 2 / n_maps)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A queue that takes pictures."""

    queue: ScoringQueue
    normalization: Normalization

    def put(self, picture: NDArray[np.uint8], target: int) -> int:
        def write(rows: Tensor, start: int) -> None:
            rows[0] = self.normalization.image(picture).to(rows)

        return self.queue.put(1, target, write)


def _reasons(
    attributions: Tensor, ends: NDArray[np.float64], end_bytes: NDArray[np.int64], least_score: float
) -> NDArray[np.object_]:
    n_images, n_maps = attributions.shape[:2]
    reasons = np.array(why_undefined(attributions.flatten(0, 1), varying=True), dtype=object)
    reasons = reasons.reshape(n_images, n_maps)[:, :, None].repeat(ends.shape[2], axis=2)
    for b in range(n_images):
        for s in range(ends.shape[2]):
            why = why_no_curve(*ends[b, :, s].tolist(), *end_bytes[b].tolist(), least_score=least_score)
            reasons[b, :, s] = np.where(reasons[b, :, s] == "", why, reasons[b, :, s])
    return reasons
