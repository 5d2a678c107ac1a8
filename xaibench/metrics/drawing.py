"""What the perturbation engine puts into its queue for each image, and where it finds each curve in the results."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xaibench.metrics.baselines import Baseline, Imputer
from xaibench.metrics.curve import Curve, Direction
from xaibench.metrics.curve_scores import CurveScores, areas_of
from xaibench.metrics.division import Division, divide
from xaibench.metrics.ordering import Order
from xaibench.metrics.regions import Regions
from xaibench.metrics.scoring import ScoringQueue, Write
from xaibench.metrics.undefined import MODEL_NOT_FINITE, ONE_POINT


class Rule(NamedTuple):
    """What decides the ranks of a map."""

    order: Order
    regions: Regions | None
    region_score: str


class Family(NamedTuple):
    """Points that differ in the number of changed pixels only."""

    rule: Rule
    baseline: Baseline | Imputer
    direction: Direction


class Drawing:
    """Puts the points of all curves into the queue, and finds them again in its results."""

    def __init__(self, queue: ScoringQueue, curves: Sequence[Curve], *, n_pixels: int) -> None:
        self.queue, self.curves, self.n_pixels = queue, curves, n_pixels
        self.families: defaultdict[Rule, dict[Family, list[Curve]]] = defaultdict(dict)
        for curve in curves:
            self.families[family_of(curve).rule].setdefault(family_of(curve), []).append(curve)
        self.known_counts: dict[tuple[str, int], NDArray[np.int64]] = {}
        self.known_inner: dict[tuple[Family, int], tuple[NDArray[np.int64], Tensor]] = {}
        self.positions: dict[str, list[NDArray[np.int64]]] = {curve.name: [] for curve in curves}
        self.fractions: dict[str, list[Tensor]] = {curve.name: [] for curve in curves if curve.regions is not None}

    def add(self, image: Tensor, target: int, maps: Tensor, *, defined: NDArray[np.bool_]) -> None:
        """Queue the points of one image (1, C, H, W) with its maps (M, H, W)."""
        image = self._laid_out(image)
        which = np.flatnonzero(defined).tolist()
        divisions = {rule.regions: divide(image, rule.regions) for rule in self.families if rule.regions is not None}
        pictures = self._pictures(image)
        ends = self._put_ends(image, pictures, target, divisions) if which else {}
        starts: dict[tuple[int, Family], int] = {}
        shares: dict[tuple[int, Rule], Tensor] = {}
        for rule, families in self.families.items():
            random = rule.order.first == "random"
            for m in which[:1] if random else which:
                ranks, shares[m, rule] = self._ranks(rule, image, maps[m][None], divisions)
                for family in families:
                    inner, on_device = self._inner(family, self._size(rule.regions, divisions), image.device)
                    write = writer_of(image, pictures.get(family.baseline), ranks, on_device, family)
                    starts[m, family] = self.queue.put(len(inner), target, write)
            for m in which[1:] if random else ():
                shares[m, rule] = shares[which[0], rule]
                starts.update({(m, family): starts[which[0], family] for family in families})
        for curve in self.curves:
            n = self._size(curve.regions, divisions)
            self.positions[curve.name].append(self._positions(curve, n, ends, starts, len(maps)))
            if curve.regions is not None:
                self.fractions[curve.name].append(self._shares(curve, n, shares, maps))

    def _laid_out(self, picture: Tensor) -> Tensor:
        """Bring what is combined into the batch's memory layout, all channels: far quicker than broadcasting."""
        return picture.contiguous(memory_format=self.queue.layout)

    def _size(self, regions: Regions | None, divisions: dict[Regions, Division]) -> int:
        return self.n_pixels if regions is None else len(divisions[regions].sizes)

    def _counts(self, curve: Curve, n: int) -> NDArray[np.int64]:
        if (curve.name, n) not in self.known_counts:
            self.known_counts[curve.name, n] = np.array(curve.counts(n))
        return self.known_counts[curve.name, n]

    def _inner(self, family: Family, n: int, device: torch.device) -> tuple[NDArray[np.int64], Tensor]:
        """Counts between nothing and everything of all curves of a family, also on the device as (N, 1, 1, 1)."""
        if (family, n) not in self.known_inner:
            curves = self.families[family.rule][family]
            counts = np.unique(np.concatenate([self._counts(curve, n) for curve in curves]))
            counts = counts[(counts > 0) & (counts < n)]
            on_device = torch.from_numpy(counts).to(device, torch.int32).view(-1, 1, 1, 1)
            self.known_inner[family, n] = counts, on_device
        return self.known_inner[family, n]

    def _pictures(self, image: Tensor) -> dict[Baseline | Imputer, Tensor]:
        """What stands in removed pixels, by baseline; an imputer has no picture before it knows what is removed."""
        baselines = dict.fromkeys(curve.baseline for curve in self.curves)
        return {made: self._laid_out(made(image)) for made in baselines if not isinstance(made, Imputer)}

    def _put_ends(
        self,
        image: Tensor,
        pictures: dict[Baseline | Imputer, Tensor],
        target: int,
        divisions: dict[Regions, Division],
    ) -> dict[Baseline | Imputer | None, int]:
        """Queue the clean image (key None) and each fully removed one, where a curve has them."""
        wanted: dict[Baseline | Imputer | None, Tensor] = {}
        for curve in self.curves:
            n = self._size(curve.regions, divisions)
            counts, (clean, full) = self._counts(curve, n), ends_of(curve, n)
            if clean in counts:
                wanted[None] = image
            if full in counts and curve.baseline not in wanted:
                wanted[curve.baseline] = removed_from(image, curve.baseline, pictures)
        return {key: self.queue.put(1, target, copy_of(picture)) for key, picture in wanted.items()}

    def _ranks(
        self, rule: Rule, image: Tensor, attribution: Tensor, divisions: dict[Regions, Division]
    ) -> tuple[Tensor, Tensor]:
        """Rank of each pixel, in all channels, and with regions the share of pixels in the first k of them."""
        shares = torch.empty(0)
        if rule.regions is None:
            ranks = rule.order(attribution, image)
        else:
            division = divisions[rule.regions]
            of_regions = division.ranks(rule.order, attribution, image, score=rule.region_score)
            ranks, shares = of_regions.int()[division.labels], division.shares(of_regions)
        return self._laid_out(ranks.view(1, 1, *image.shape[2:]).expand_as(image)), shares

    def _positions(
        self,
        curve: Curve,
        n: int,
        ends: dict[Baseline | Imputer | None, int],
        starts: dict[tuple[int, Family], int],
        n_maps: int,
    ) -> NDArray[np.int64]:
        """Where the curve's points are in the results, (M, T); -1 for an undefined map."""
        family, counts, (clean, full) = family_of(curve), self._counts(curve, n), ends_of(curve, n)
        positions = np.full((n_maps, len(counts)), -1)
        for m in range(n_maps):
            if (m, family) in starts:
                positions[m] = starts[m, family] + np.searchsorted(self.known_inner[family, n][0], counts)
                positions[m, counts == clean] = ends.get(None, -1)
                positions[m, counts == full] = ends.get(curve.baseline, -1)
        return positions

    def _shares(self, curve: Curve, n: int, shares: dict[tuple[int, Rule], Tensor], maps: Tensor) -> Tensor:
        """Share of pixels changed at each point of a curve over regions, (M, T); NaN for an undefined map."""
        counts = torch.from_numpy(self._counts(curve, n)).to(maps.device)
        undefined = torch.full((len(counts),), torch.nan, dtype=torch.float64, device=maps.device)
        rule = family_of(curve).rule
        found = (shares.get((m, rule)) for m in range(len(maps)))
        return torch.stack([undefined if share is None else share[counts] for share in found])

    def collect(
        self, table: Tensor, score_names: Sequence[str], map_reasons: NDArray[np.object_]
    ) -> dict[str, CurveScores]:
        """Cut the queue's results (N, S) into curves."""
        everywhere = np.concatenate([found[found >= 0] for rows in self.positions.values() for found in rows])
        uses = np.bincount(everywhere, minlength=len(table))
        table = torch.cat([table, table.new_full((1, table.shape[1]), torch.nan)])  # the last row is what -1 finds
        shares = np.append(1 / np.maximum(uses, 1), 0.0)
        return {
            curve.name: self._curve_scores(curve, table[:, score_names.index(curve.score)], shares, map_reasons)
            for curve in self.curves
        }

    def _curve_scores(
        self, curve: Curve, column: Tensor, shares: NDArray[np.float64], map_reasons: NDArray[np.object_]
    ) -> CurveScores:
        rows = self.positions[curve.name]
        lengths = np.array([row.shape[1] for row in rows])
        positions = np.stack(
            [np.pad(row, ((0, 0), (0, lengths.max() - row.shape[1])), constant_values=-1) for row in rows]
        )
        inside = torch.from_numpy(np.arange(lengths.max()) < lengths[:, None])
        scores = column[torch.from_numpy(positions)]
        bad = (~scores.isfinite() & inside[:, None]).any(dim=2)
        scores = scores.masked_fill(bad[:, :, None], torch.nan)
        reasons = np.where(bad.numpy() & (map_reasons == ""), MODEL_NOT_FINITE, map_reasons)
        fractions = self._fractions(curve, int(lengths.max()))
        areas = areas_of(fractions, scores, inside, rule=curve.area)
        reasons = np.where(areas.isnan().numpy() & (reasons == ""), ONE_POINT, reasons)
        return CurveScores(
            fractions=fractions,
            scores=scores,
            areas=areas,
            forward_passes=torch.from_numpy(shares[positions].sum(axis=2)),
            reasons=tuple(tuple(row) for row in reasons.tolist()),
        )

    def _fractions(self, curve: Curve, n_points: int) -> Tensor:
        if curve.regions is None:
            return torch.from_numpy(self._counts(curve, self.n_pixels) / self.n_pixels)
        rows = [row.cpu() for row in self.fractions[curve.name]]
        return torch.stack([F.pad(row, (0, n_points - row.shape[1]), value=torch.nan) for row in rows])


def family_of(curve: Curve) -> Family:
    """Return what the curve's points have in common."""
    return Family(Rule(curve.order, curve.regions, curve.region_score), curve.baseline, curve.direction)


def ends_of(curve: Curve, n: int) -> tuple[int, int]:
    """At which counts of `n` the image is clean, and fully removed."""
    return (0, n) if curve.direction == "deletion" else (n, 0)


def removed_from(image: Tensor, baseline: Baseline | Imputer, pictures: dict[Baseline | Imputer, Tensor]) -> Tensor:
    """Return the image with every pixel removed."""
    if isinstance(baseline, Imputer):
        return baseline.fill(image, torch.ones_like(image[:, :1], dtype=torch.bool))
    return pictures[baseline]


def copy_of(picture: Tensor) -> Write:
    """Write one picture as it is."""

    def write(rows: Tensor, start: int) -> None:
        rows.copy_(picture)

    return write


def writer_of(image: Tensor, picture: Tensor | None, ranks: Tensor, counts: Tensor, family: Family) -> Write:
    """Fill rows with the image whose `counts` first pixels were changed; `picture` is None for an imputer."""
    deleting, baseline = family.direction == "deletion", family.baseline

    def fill(rows: Tensor, start: int) -> None:
        changed = ranks[:, :1] < counts[start : start + len(rows)]
        rows.copy_(baseline.fill(image, changed if deleting else ~changed))  # type: ignore[union-attr]

    if picture is None:
        return fill
    changed, unchanged = (picture, image) if deleting else (image, picture)

    def combine(rows: Tensor, start: int) -> None:
        torch.where(ranks < counts[start : start + len(rows)], changed, unchanged, out=rows)

    return combine
