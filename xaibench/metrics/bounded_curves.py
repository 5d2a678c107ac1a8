"""Curves drawn to a stated precision: points are placed where they matter, in rounds over all images and maps.

In each round every curve that is not precise enough yet names the points it wants next (see `refinement`), and all of
them go through the model in full batches. The area is that of the whole grid, with straight lines where it was not
looked at, by the curve's own rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from xaibench.metrics.areas import AREAS
from xaibench.metrics.baselines import Baseline, Imputer
from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.drawing import Family, copy_of, family_of, removed_from, writer_of
from xaibench.metrics.ordering import Order
from xaibench.metrics.refinement import Refinement
from xaibench.metrics.scoring import ScoringQueue
from xaibench.metrics.undefined import MODEL_NOT_FINITE

Key = tuple[str, int, int]  # curve, image, map


class _Point(NamedTuple):
    """Where in the queue's results a point of a curve is."""

    position: int
    curve: str
    b: int
    m: int
    place: int


class _OneImage:
    """Queues points of one image: ends once for all its curves, ranks once for a map and order."""

    def __init__(self, queue: ScoringQueue, image: Tensor, target: int, curves: Sequence[Curve]) -> None:
        self.queue, self.target = queue, target
        self.image = image.contiguous(memory_format=queue.layout)
        baselines = dict.fromkeys(curve.baseline for curve in curves)
        self.pictures: dict[Baseline | Imputer, Tensor] = {
            baseline: baseline(self.image).contiguous(memory_format=queue.layout)
            for baseline in baselines
            if not isinstance(baseline, Imputer)
        }
        self.ends: dict[object, int] = {}
        self.ranks: dict[tuple[int, Order], Tensor] = {}

    def put(self, family: Family, counts: NDArray[np.int64], m: int, attribution: Tensor) -> dict[int, int]:
        """Queue the image with `counts` pixels of map `m` changed; return where each is in the results."""
        n_pixels = attribution.numel()
        clean = 0 if family.direction == "deletion" else n_pixels
        positions = {count: self._end(family, clean=count == clean) for count in (0, n_pixels) if count in counts}
        inner = counts[(counts > 0) & (counts < n_pixels)]
        if len(inner):
            on_device = torch.from_numpy(inner).to(self.image.device, torch.int32).view(-1, 1, 1, 1)
            ranks = self._ranks(m, family.rule.order, attribution)
            write = writer_of(self.image, self.pictures.get(family.baseline), ranks, on_device, family)
            start = self.queue.put(len(inner), self.target, write)
            positions |= {int(count): start + i for i, count in enumerate(inner)}
        return positions

    def _end(self, family: Family, *, clean: bool) -> int:
        key = None if clean else family.baseline
        if key not in self.ends:
            picture = self.image if clean else removed_from(self.image, family.baseline, self.pictures)
            self.ends[key] = self.queue.put(1, self.target, copy_of(picture))
        return self.ends[key]

    def _ranks(self, m: int, order: Order, attribution: Tensor) -> Tensor:
        if (m, order) not in self.ranks:
            self.ranks = {key: ranks for key, ranks in self.ranks.items() if key[0] == m}  # one map's at a time
            ranks = order(attribution[None], self.image).view(1, 1, *attribution.shape).expand_as(self.image)
            self.ranks[m, order] = ranks.contiguous(memory_format=self.queue.layout)
        return self.ranks[m, order]


class BoundedDrawing:
    """Draws curves that have a precision."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        curves: Sequence[Curve],
        *,
        defined: NDArray[np.bool_],
        batch_size: int,
    ) -> None:
        self.network, self.images, self.targets, self.attributions = network, images, targets.tolist(), attributions
        self.curves, self.defined, self.batch_size = curves, defined, batch_size
        self.n_pixels = attributions.shape[2] * attributions.shape[3]
        self.grids = {curve.name: np.array(curve.counts(self.n_pixels)) for curve in curves}
        shape = defined.shape
        self.scores = {name: np.full((*shape, len(grid)), np.nan) for name, grid in self.grids.items()}
        self.passes = {name: np.zeros(shape) for name in self.grids}
        self.failed = {name: np.zeros(shape, dtype=bool) for name in self.grids}
        self.score_names = sorted({curve.score for curve in curves})
        self.families: dict[Family, list[Curve]] = {}
        for curve in curves:
            self.families.setdefault(family_of(curve), []).append(curve)

    def draw(self) -> None:
        """Look at points, round after round, until every curve is precise enough."""
        while wanted := self._wanted():
            queue = ScoringQueue(self.network, self.images, batch_size=self.batch_size, scores=self.score_names)
            points = [point for b in sorted({key[1] for key in wanted}) for point in self._put(queue, b, wanted)]
            self._take(queue.results(), points)

    def _wanted(self) -> dict[Key, NDArray[np.int64]]:
        """Places of the grid to look at next, by curve, image and map."""
        found = {}
        for curve in self.curves:
            rule = Refinement(curve.precision or 0.0)
            for b, m in np.argwhere(self.defined & ~self.failed[curve.name]).tolist():
                values = self.scores[curve.name][b, m]
                known = np.flatnonzero(np.isfinite(values))
                more = rule.more(known, values[known], len(values)) if len(known) else rule.first(len(values))
                if len(more):
                    found[curve.name, b, m] = more
        return found

    def _put(self, queue: ScoringQueue, b: int, wanted: Mapping[Key, NDArray[np.int64]]) -> list[_Point]:
        one = _OneImage(queue, self.images[b][None], self.targets[b], self.curves)
        points: list[_Point] = []
        for m in sorted({key[2] for key in wanted if key[1] == b}):
            for family, members in self.families.items():
                places = {c.name: wanted[c.name, b, m] for c in members if (c.name, b, m) in wanted}
                if places:
                    counts = np.unique(np.concatenate([self.grids[name][at] for name, at in places.items()]))
                    found = one.put(family, counts, m, self.attributions[b, m])
                    points += [
                        _Point(found[int(self.grids[name][place])], name, b, m, int(place))
                        for name, at in places.items()
                        for place in at
                    ]
        return points

    def _take(self, table: Tensor, points: list[_Point]) -> None:
        uses = np.bincount([point.position for point in points], minlength=len(table))
        columns = {curve.name: self.score_names.index(curve.score) for curve in self.curves}
        values = table.double().numpy()
        for position, name, b, m, place in points:
            value = values[position, columns[name]]
            self.scores[name][b, m, place] = value
            self.failed[name][b, m] |= not np.isfinite(value)
            self.passes[name][b, m] += 1 / uses[position]

    def collect(self, map_reasons: NDArray[np.object_]) -> dict[str, CurveScores]:
        """Give what was drawn."""
        return {curve.name: self._curve_scores(curve, map_reasons) for curve in self.curves}

    def _curve_scores(self, curve: Curve, map_reasons: NDArray[np.object_]) -> CurveScores:
        scores, grid = self.scores[curve.name], self.grids[curve.name]
        bad = self.failed[curve.name] | ~self.defined
        scores[bad] = np.nan
        known = np.isfinite(scores)
        longest = int(known.sum(axis=2).max(initial=1))
        x, y = (np.full((*bad.shape, longest), np.nan) for _ in range(2))
        whole, errors = np.full(scores.shape, np.nan), np.full(bad.shape, np.nan)
        rule = Refinement(curve.precision or 0.0)
        for b, m in np.argwhere(~bad).tolist():
            places = np.flatnonzero(known[b, m])
            values = scores[b, m, places]
            x[b, m, : len(places)], y[b, m, : len(places)] = grid[places] / self.n_pixels, values
            whole[b, m] = np.interp(np.arange(len(grid)), places, values)
            errors[b, m] = rule.error(places, values, len(grid))
        fractions = torch.from_numpy(grid / self.n_pixels)
        reasons = np.where(self.failed[curve.name] & (map_reasons == ""), MODEL_NOT_FINITE, map_reasons)
        return CurveScores(
            fractions=torch.from_numpy(x),
            scores=torch.from_numpy(y),
            areas=AREAS[curve.area](fractions, torch.from_numpy(whole)),
            forward_passes=torch.from_numpy(self.passes[curve.name]),
            reasons=tuple(tuple(row) for row in reasons.tolist()),
            errors=torch.from_numpy(errors),
        )
