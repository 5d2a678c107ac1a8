"""The perturbation engine: all curves of all maps of all images, as one queue of full batches.

Points are built on the device from ranks: the k most relevant pixels are ``ranks < k``, and with regions all pixels of
a region have its rank. Ranks are computed once per map and order. The clean image and the fully removed one are scored
once per image, however many curves and maps share them; so is a point that two curves have in common, and a curve in
random order, which is the same for all maps. Only one image, its baselines and one map's ranks are held at a time.
Curves with a precision are drawn in rounds, see `bounded_curves`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.bounded_curves import BoundedDrawing
from xaibench.metrics.curve import Curve, CurveMetric
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.drawing import Drawing
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.scoring import ScoringQueue, evaluating, network_of
from xaibench.metrics.undefined import why_undefined


def perturbation_curves(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    curves: Sequence[Curve],
    *,
    batch_size: int = 32,
) -> dict[str, CurveScores]:
    """Draw perturbation curves for M maps of each of B images.

    Parameters
    ----------
    model : nn.Module, or an object with one as its ``network``
        Maps (B, C, H, W) to logits (B, classes). Run in evaluation and inference mode, in its own precision and
        memory layout.
    images : Tensor, shape (B, C, H, W)
        Normalized images.
    targets : Tensor of int64, shape (B,)
        Class whose score is drawn.
    attributions : Tensor, shape (B, M, H, W)
        Signed maps, on the images' device. A map with NaN or infinity gives an undefined curve and costs nothing.
    curves : sequence of Curve
        What to draw; names must differ.
    batch_size : int, default 32
        Images per forward pass.

    Returns
    -------
    dict from curve name to CurveScores
        On the CPU.

    Raises
    ------
    ValueError, TypeError
        If shapes or devices disagree, a target is out of range, or the model's output is no (images, classes) tensor.
    """
    network = network_of(model)
    check_inputs(images, targets, attributions, curves)
    n_images, n_maps = attributions.shape[:2]
    reasons = np.array(why_undefined(attributions.flatten(0, 1)), dtype=object).reshape(n_images, n_maps)
    whole, bounded = ([c for c in curves if (c.precision is None) is exact] for exact in (True, False))
    found = _drawn_whole(network, images, targets, attributions, whole, reasons, batch_size) if whole else {}
    if bounded:
        with evaluating(network):
            drawing = BoundedDrawing(
                network, images, targets, attributions, bounded, defined=reasons == "", batch_size=batch_size
            )
            drawing.draw()
        found |= drawing.collect(reasons)
    return {curve.name: found[curve.name] for curve in curves}


def _drawn_whole(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    targets: Tensor,
    attributions: Tensor,
    curves: Sequence[Curve],
    reasons: NDArray[np.object_],
    batch_size: int,
) -> dict[str, CurveScores]:
    """Draw every point."""
    height, width = attributions.shape[2:]
    score_names = sorted({curve.score for curve in curves})
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=score_names)
        drawing = Drawing(queue, curves, n_pixels=height * width)
        for image, target, maps, why in zip(images, targets.tolist(), attributions, reasons, strict=True):
            drawing.add(image[None], target, maps, defined=why == "")
        table = queue.results()
    return drawing.collect(table, score_names, reasons)


def draw_metric(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    metric: CurveMetric,
    *,
    batch_size: int = 32,
) -> MapScores:
    """Draw all curves of one metric and make its value of them; see `perturbation_curves`."""
    curves = metric.curves("metric")
    drawn = perturbation_curves(model, images, targets, attributions, curves, batch_size=batch_size)
    return metric.value([drawn[curve.name] for curve in curves])


def check_inputs(images: Tensor, targets: Tensor, attributions: Tensor, curves: Sequence[Curve] = ()) -> None:
    """Name what does not fit together before any work starts.

    Raises
    ------
    ValueError
        If shapes or devices disagree, or two curves have the same name.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(f"images must be float (B, C, H, W), got {images.dtype} {tuple(images.shape)}")
    expected = (len(images), attributions.shape[1] if attributions.ndim == 4 else "M", *images.shape[2:])
    if attributions.ndim != 4 or tuple(attributions.shape) != expected:
        raise ValueError(
            f"attributions have shape {tuple(attributions.shape)}, expected {expected} at the images' resolution; "
            "upsample the maps first"
        )
    if attributions.device != images.device:
        raise ValueError(f"attributions are on {attributions.device}, images on {images.device}; move one of them")
    if targets.shape != (len(images),) or targets.is_floating_point():
        raise ValueError(
            f"targets must be {len(images)} class indices, one per image, got {targets.dtype} {tuple(targets.shape)}"
        )
    names = [curve.name for curve in curves]
    if len(set(names)) < len(names):
        raise ValueError(f"curves must have different names, got {names}")
