"""Relevance against the score's change, for changes of the image that all its maps share.

An image is changed in N ways. Each changed copy is scored once, for however many maps; each map is asked how much
relevance the change concerned. What a metric makes of the two lists, a correlation or a squared difference, is its
own. Only one image and a few of its changes are held at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.perturbation import check_inputs
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of
from xaibench.metrics.similarity import average_ranks, correlation
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined

EQUAL_RELEVANCE = "every change concerns the same relevance"
EQUAL_SCORES = "the score is the same after every change"


@dataclass(frozen=True, eq=False)
class Changes:
    """Some changed copies of one image.

    Attributes
    ----------
    weights : Tensor, shape (N, H, W)
        How much of each pixel's relevance a change concerns: 1 where a pixel is removed; bool, or any number.
    write : callable
        ``write(rows, start)`` fills rows with the changed copies from number `start` on; called in that order.
    """

    weights: Bool[Tensor, "N H W"] | Float[Tensor, "N H W"] | Int[Tensor, "N H W"]
    write: Write


ChangesOf = Callable[[int], Iterable[Changes]]
"""The changes of the image with this number in the batch, in pieces."""


@dataclass(frozen=True, eq=False)
class Responses:
    """Relevance and score for each change; all on the CPU.

    Attributes
    ----------
    relevance : Tensor of float64, shape (B, M, N)
        Weighted sum of each map over each change.
    drops : Tensor of float64, shape (B, N)
        Clean score minus the changed copy's; NaN where no map of the image is defined.
    reasons : tuple of tuples of str, (B, M)
        Why a map or the model gives nothing; "" where they do.
    forward_passes : Tensor of float64, shape (B, M)
        Images put through the model, shared equally by the image's defined maps.
    """

    relevance: Float[Tensor, "B M N"]
    drops: Float[Tensor, "B N"]
    reasons: tuple[tuple[str, ...], ...]
    forward_passes: Float[Tensor, "B M"]


def responses(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    changes_of: ChangesOf,
    *,
    score: str,
    varying: bool = True,
    batch_size: int = 32,
) -> Responses:
    """Score the changed copies of each image and sum each map over the changes.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits.
    images, targets, attributions : Tensor, shapes (B, C, H, W), (B,), (B, M, H, W)
        Normalized images, classes whose score is read, signed maps.
    changes_of : callable
        Gives the same number N of changes for every image.
    score : str
        Name in `SCORES`.
    varying : bool, default True
        Whether a constant map is undefined. An image without a defined map costs no pass.
    batch_size : int, default 32
        Images per forward pass.
    """
    network = network_of(model)
    check_inputs(images, targets, attributions)
    flat = why_undefined(attributions.flatten(0, 1), varying=varying)
    reasons = np.array(flat, dtype=object).reshape(attributions.shape[:2])
    relevance: dict[int, Tensor] = {}
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=(score,))
        for b in np.flatnonzero((reasons == "").any(axis=1)).tolist():
            queue.put(1, int(targets[b]), _copy(images[b]))
            relevance[b] = _put_all(queue, int(targets[b]), changes_of(b), attributions[b])
        table = queue.results()[:, 0].double()
    return _collected(table, relevance, reasons)


def _copy(image: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        rows.copy_(image)

    return write


def _put_all(queue: ScoringQueue, target: int, parts: Iterable[Changes], maps: Tensor) -> Tensor:
    """Queue one image's changed copies; (M, N) relevance."""
    flat = maps.flatten(1).double()
    sums = []
    for part in parts:
        queue.put(len(part.weights), target, part.write)
        sums.append((flat @ part.weights.flatten(1).to(flat).T).cpu())
    return torch.cat(sums, dim=1)


def _collected(table: Tensor, relevance: dict[int, Tensor], reasons: NDArray[np.object_]) -> Responses:
    n_images, n_maps = reasons.shape
    n_changes = next(iter(relevance.values())).shape[1] if relevance else 0
    scores = table.new_full((n_images, 1 + n_changes), torch.nan)
    sums = table.new_full((n_images, n_maps, n_changes), torch.nan)
    if relevance:
        rows = list(relevance)
        scores[rows] = table.view(len(rows), 1 + n_changes)
        sums[rows] = torch.stack(list(relevance.values()))
    defined = reasons == ""
    finite = scores.isfinite().all(dim=1).numpy()[:, None]
    share = (1 + n_changes) / np.maximum(defined.sum(axis=1, keepdims=True), 1)
    return Responses(
        relevance=sums,
        drops=scores[:, :1] - scores[:, 1:],
        reasons=tuple(tuple(row) for row in np.where(defined & ~finite, MODEL_NOT_FINITE, reasons).tolist()),
        forward_passes=torch.from_numpy(np.where(defined, share, 0.0)),
    )


def correlated(
    relevance: Float[Tensor, "B M N"],
    drops: Float[Tensor, "B N"],
    reasons: Sequence[Sequence[str]],
    *,
    ranks: bool = False,
) -> tuple[Float[Tensor, "B M"], list[list[str]]]:
    """Correlate relevance with the drops of the score, over the changes of each image.

    Sums that agree in single precision count as equal: their difference is that of the order of summation.

    Parameters
    ----------
    relevance, drops : Tensor, shapes (B, M, N), (B, N)
    reasons : sequence of sequences of str, (B, M)
        Why a value is undefined already.
    ranks : bool, default False
        Spearman's correlation (equals share the average rank) in place of Pearson's.

    Returns
    -------
    values : Tensor of float64, shape (B, M)
        In [-1, 1]; NaN where undefined.
    reasons : list of lists of str, (B, M)
    """
    n_images, n_maps, n_changes = relevance.shape
    if n_changes == 0:  # no map of any image is defined
        return relevance.new_full((n_images, n_maps), torch.nan), [list(row) for row in reasons]
    rounded = relevance.float()
    first = average_ranks(rounded.flatten(0, 1)) if ranks else relevance.flatten(0, 1)
    second = (average_ranks(drops) if ranks else drops).repeat_interleave(n_maps, dim=0)
    values = correlation(first, second).view(n_images, n_maps)
    flat_relevance = (rounded == rounded[..., :1]).all(dim=2).tolist()
    flat_drops = (drops == drops[:, :1]).all(dim=1).tolist()
    told = [
        [
            reason or (EQUAL_RELEVANCE if flat_relevance[b][m] else EQUAL_SCORES if flat_drops[b] else "")
            for m, reason in enumerate(row)
        ]
        for b, row in enumerate(reasons)
    ]
    return values.masked_fill(torch.tensor([[bool(reason) for reason in row] for row in told]), torch.nan), told


def correlation_scores(found: Responses, *, ranks: bool = False) -> MapScores:
    """Correlate over all changes; see `correlated`."""
    values, told = correlated(found.relevance, found.drops, found.reasons, ranks=ranks)
    return MapScores(values, found.forward_passes, tuple(tuple(row) for row in told))


def removals(
    image: Float[Tensor, "C H W"], baseline: Float[Tensor, "C H W"], masks: Iterable[Bool[Tensor, "N K H W"]]
) -> Iterator[Changes]:
    """Replace the masked pixels (K = 1) or channel values (K = C) of an image by the baseline.

    A channel value carries the relevance of its pixel, so that a pixel removed in all three channels counts three
    times.
    """
    for piece in masks:
        yield _removal(image, baseline, piece.to(image.device))


def _removal(image: Tensor, baseline: Tensor, masks: Tensor) -> Changes:
    def write(rows: Tensor, start: int) -> None:
        torch.where(masks[start : start + len(rows)], baseline, image, out=rows)

    return Changes(masks.sum(dim=1), write)


def plain_baseline(baseline: str | Baseline) -> Baseline:
    """Return the baseline of that name, or the instance, if it is a picture whatever is removed.

    Raises
    ------
    ValueError
        If it is none: an imputer fills removed pixels from those that are left.
    """
    found = named_baseline(baseline)
    if isinstance(found, Imputer):
        raise ValueError(
            f"{type(found).__name__} fills pixels from those that are left, which this metric does not do; "
            "take a baseline that is a picture: zero, black, mean, blur, noise"
        )
    return found


def check_given(draws: Tensor | None, images: Tensor, what: str) -> None:
    """Name draws that do not belong to these images.

    Raises
    ------
    ValueError
        If there are draws for another number of images or for another size.
    """
    if draws is not None and (len(draws) != len(images) or draws.shape[-2:] != images.shape[-2:]):
        raise ValueError(
            f"{what} have shape {tuple(draws.shape)}, expected ({len(images)}, N, …, {images.shape[2]}, "
            f"{images.shape[3]}): N for each image, at its resolution"
        )
