"""The perturbation engine: all curves of all maps of all images, as one queue of full batches.

Points are built on the device from pixel ranks: the k most relevant pixels are ``ranks < k``. Ranks are computed once
per map and order. The clean image and the fully removed one are scored once per image, however many curves and maps
share them; so is a point that two curves have in common. Only one image, its baselines and one map's ranks are held
at a time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.areas import AREAS
from xaibench.metrics.baselines import Baseline
from xaibench.metrics.curve import Curve, Direction
from xaibench.metrics.ordering import Order
from xaibench.metrics.scoring import ScoringQueue, Write, evaluating, network_of, predicted
from xaibench.metrics.undefined import MODEL_NOT_FINITE, why_undefined

Family = tuple[Order, Baseline, Direction]  # points that differ in the number of changed pixels only


@dataclass(frozen=True, eq=False)
class CurveScores:
    """One curve for every map of every image.

    Attributes
    ----------
    fractions : Tensor of float64, shape (T,)
        Share of pixels removed or inserted at each point, in [0, 1].
    scores : Tensor, shape (B, M, T)
        Score at each point; NaN along the whole curve where it is undefined.
    areas : Tensor of float64, shape (B, M)
        Area by the curve's rule; NaN where undefined.
    forward_passes : Tensor of float64, shape (B, M)
        Images put through the model for this curve; a point that several curves share counts in equal parts, so the
        sum over all curves is the exact number.
    reasons : tuple of tuples of str, (B, M)
        Why a curve is undefined; "" where it is not.
    """

    fractions: Float[Tensor, " T"]
    scores: Float[Tensor, "B M T"]
    areas: Float[Tensor, "B M"]
    forward_passes: Float[Tensor, "B M"]
    reasons: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class CurveResult:
    """One curve per image.

    Attributes
    ----------
    fractions : Tensor of float64, shape (T,)
        Share of pixels removed or inserted at each point.
    scores : Tensor, shape (B, T)
        Score at each point; NaN along an undefined curve.
    areas : Tensor of float64, shape (B,)
        Area by the curve's rule; NaN where undefined.
    reasons : tuple of str, (B,)
        Why a curve is undefined; "" where it is not.
    """

    fractions: Float[Tensor, " T"]
    scores: Float[Tensor, "B T"]
    areas: Float[Tensor, " B"]
    reasons: tuple[str, ...]


def single_curve(
    model: object,
    images: Float[Tensor, "B C H W"],
    attributions: Float[Tensor, "B H W"],
    targets: Int[Tensor, " B"] | None,
    curve: Curve,
    *,
    batch_size: int = 32,
) -> CurveResult:
    """Draw one curve for one map per image; the predicted class is followed where no targets are given."""
    if targets is None:
        targets = predicted(model, images, batch_size=batch_size)
    drawn = perturbation_curves(model, images, targets, attributions[:, None], [curve], batch_size=batch_size)[
        curve.name
    ]
    reasons = tuple(row[0] for row in drawn.reasons)
    return CurveResult(drawn.fractions, drawn.scores[:, 0], drawn.areas[:, 0], reasons)


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
    n_images, n_maps, height, width = attributions.shape
    reasons = np.array(why_undefined(attributions.flatten(0, 1)), dtype=object).reshape(n_images, n_maps)
    score_names = sorted({curve.score for curve in curves})
    with evaluating(network):
        queue = ScoringQueue(network, images, batch_size=batch_size, scores=score_names)
        drawing = _Drawing(queue, curves, n_pixels=height * width)
        for image, target, maps, why in zip(images, targets.tolist(), attributions, reasons, strict=True):
            drawing.add(image[None], target, maps, defined=why == "")
        table = queue.results()
    return drawing.collect(table, score_names, reasons)


class _Drawing:
    """Puts the points of all curves into the queue, and finds them again in its results."""

    def __init__(self, queue: ScoringQueue, curves: Sequence[Curve], *, n_pixels: int) -> None:
        self.queue, self.curves, self.n_pixels = queue, curves, n_pixels
        self.counts = {curve.name: np.array(curve.counts(n_pixels)) for curve in curves}
        inner: defaultdict[Family, set[int]] = defaultdict(set)
        for curve in curves:
            inner[_family(curve)].update(k for k in self.counts[curve.name].tolist() if 0 < k < n_pixels)
        self.inner = {family: np.array(sorted(counts), dtype=np.int64) for family, counts in inner.items()}
        self.on_device: dict[Family, Tensor] = {}
        self.positions: dict[str, list[NDArray[np.int64]]] = {curve.name: [] for curve in curves}

    def add(self, image: Tensor, target: int, maps: Tensor, *, defined: NDArray[np.bool_]) -> None:
        """Queue the points of one image (1, C, H, W) with its maps (M, H, W)."""
        image = self._laid_out(image)
        baselines = {curve.baseline: self._laid_out(curve.baseline(image)) for curve in self.curves}
        ends = self._put_ends(image, baselines, target) if defined.any() else {}
        starts: dict[tuple[int, Family], int] = {}
        for m in np.flatnonzero(defined).tolist():
            ranks = {
                order: self._laid_out(order(maps[m][None]).view(1, 1, *maps.shape[1:]).expand_as(image))
                for order in {order for order, _, _ in self.inner}
            }
            for family, counts in self.inner.items():
                order, baseline, direction = family
                write = _writer(image, baselines[baseline], ranks[order], self._counts(family, image.device), direction)
                starts[m, family] = self.queue.put(len(counts), target, write)
        for curve in self.curves:
            self.positions[curve.name].append(self._positions(curve, ends, starts, len(maps)))

    def _laid_out(self, picture: Tensor) -> Tensor:
        """Bring what is combined into the batch's memory layout, all channels: far quicker than broadcasting."""
        return picture.contiguous(memory_format=self.queue.layout)

    def _counts(self, family: Family, device: torch.device) -> Tensor:
        if family not in self.on_device:
            self.on_device[family] = torch.from_numpy(self.inner[family]).to(device, torch.int32).view(-1, 1, 1, 1)
        return self.on_device[family]

    def _put_ends(self, image: Tensor, baselines: dict[Baseline, Tensor], target: int) -> dict[Baseline | None, int]:
        """Queue the clean image (key None) and each fully removed one, where a curve has them."""
        wanted: dict[Baseline | None, Tensor] = {}
        for curve in self.curves:
            counts = self.counts[curve.name]
            clean, full = (0, self.n_pixels) if curve.direction == "deletion" else (self.n_pixels, 0)
            if clean in counts:
                wanted[None] = image
            if full in counts:
                wanted[curve.baseline] = baselines[curve.baseline]
        return {key: self.queue.put(1, target, _copy(picture)) for key, picture in wanted.items()}

    def _positions(
        self, curve: Curve, ends: dict[Baseline | None, int], starts: dict[tuple[int, Family], int], n_maps: int
    ) -> NDArray[np.int64]:
        """Where the curve's points are in the results, (M, T); -1 for an undefined map."""
        family, counts = _family(curve), self.counts[curve.name]
        clean, full = (0, self.n_pixels) if curve.direction == "deletion" else (self.n_pixels, 0)
        positions = np.full((n_maps, len(counts)), -1)
        for m in range(n_maps):
            if (m, family) in starts:
                positions[m] = starts[m, family] + np.searchsorted(self.inner[family], counts)
                positions[m, counts == clean] = ends.get(None, -1)
                positions[m, counts == full] = ends.get(curve.baseline, -1)
        return positions

    def collect(
        self, table: Tensor, score_names: Sequence[str], map_reasons: NDArray[np.object_]
    ) -> dict[str, CurveScores]:
        """Cut the queue's results (N, S) into curves."""
        positions = {name: np.stack(found) for name, found in self.positions.items()}
        everywhere = np.concatenate([found[found >= 0] for found in positions.values()])
        uses = np.bincount(everywhere, minlength=len(table))
        table = torch.cat([table, table.new_full((1, table.shape[1]), torch.nan)])  # the last row is what -1 finds
        shares = np.append(1 / np.maximum(uses, 1), 0.0)
        return {
            curve.name: self._curve_scores(
                curve, positions[curve.name], table[:, score_names.index(curve.score)], shares, map_reasons
            )
            for curve in self.curves
        }

    def _curve_scores(
        self,
        curve: Curve,
        positions: NDArray[np.int64],
        column: Tensor,
        shares: NDArray[np.float64],
        map_reasons: NDArray[np.object_],
    ) -> CurveScores:
        scores = column[torch.from_numpy(positions)]
        bad = ~scores.isfinite().all(dim=2)
        scores = scores.masked_fill(bad[:, :, None], torch.nan)
        reasons = np.where(bad.numpy() & (map_reasons == ""), MODEL_NOT_FINITE, map_reasons)
        fractions = torch.from_numpy(self.counts[curve.name] / self.n_pixels)
        return CurveScores(
            fractions=fractions,
            scores=scores,
            areas=AREAS[curve.area](fractions, scores.double()),
            forward_passes=torch.from_numpy(shares[positions].sum(axis=2)),
            reasons=tuple(tuple(row) for row in reasons.tolist()),
        )


def _family(curve: Curve) -> Family:
    return curve.order, curve.baseline, curve.direction


def _copy(picture: Tensor) -> Write:
    def write(rows: Tensor, start: int) -> None:
        rows.copy_(picture)

    return write


def _writer(image: Tensor, baseline: Tensor, ranks: Tensor, counts: Tensor, direction: Direction) -> Write:
    """Fill rows with the image whose `counts` first pixels were changed."""
    changed, unchanged = (baseline, image) if direction == "deletion" else (image, baseline)

    def write(rows: Tensor, start: int) -> None:
        torch.where(ranks < counts[start : start + len(rows)], changed, unchanged, out=rows)

    return write


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
