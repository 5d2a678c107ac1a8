"""The shard that holds each precision of a grid against float64: maps, scores and areas of curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from xaibench.explainers.cams import CAM_CLASSES
from xaibench.explainers.upsample import upsample
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.map_precision import Explained, explained, map_errors, score_errors
from xaibench.metrics.memory_limits import halving
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.records.record import Record, settings_json
from xaibench.shards.images import Batch, read_batches
from xaibench.shards.rows import map_record
from xaibench.timing.cells import Stock, conditions_of, why_unsupported
from xaibench.timing.conditions import device_name
from xaibench.timing.grid import Cell, TimingGrid
from xaibench.timing.sweep import EXPECTED_ERRORS, first_line
from xaibench.workbench import Workbench

PRECISION_SHARD = "precision-0000"


def precision_rows(
    bench: Workbench, grid: TimingGrid, cells: Sequence[Cell]
) -> tuple[list[Record], dict[str, np.ndarray]]:
    """Hold the precision of every cell against float64, on the run's first images and the cells' layers.

    Where images differ in size, those of the first one's size are taken; where float64 runs out of memory, half of them.
    """

    def rows(n_images: int) -> list[Record]:
        batches, _ = read_batches(bench, range(n_images))
        if not batches:
            return []
        comparison = _Comparison(bench, cells[0], batches[0], n_steps=grid.precision_steps)
        return [row for cell in cells for row in comparison.rows(cell)]

    return halving(min(grid.precision_images, len(bench.dataset)), rows).result, {}


class _Comparison:
    """Float64's maps, scores and areas, and what others are short of them."""

    def __init__(self, bench: Workbench, cell: Cell, batch: Batch, *, n_steps: int) -> None:
        self.batch, self.method = batch, cell.method
        self.device, self.batch_size = bench.device, bench.batch_size
        network = bench.classifier.network
        self.stock = Stock(network, batch.images, batch.targets)
        self.explainer = CAM_CLASSES[cell.method](
            cell.layers, score=bench.settings.score, upsampling=bench.settings.upsampling
        )
        exact = self._under(replace(cell, dtype="float64"))
        self.wanted = explained(self.stock.network(exact), self.stock.images(exact), batch.targets, self.explainer)
        metrics = {"deletion": Deletion(n_steps=n_steps), "insertion": Insertion(n_steps=n_steps)} if n_steps else {}
        self.curves = [metric.curve(name) for name, metric in metrics.items()]
        self.areas = self._areas(exact)

    def rows(self, cell: Cell) -> list[Record]:
        """Rows of a cell: one a map, an image's score and an area; or a single one that says why there are none."""
        if reason := why_unsupported(cell, self.device):
            return [self._missing(cell, "undefined", reason)]
        cell = self._under(cell)
        try:
            with conditions_of(cell, self.device):
                network, images = self.stock.network(cell), self.stock.images(cell)
                found = explained(network, images, self.batch.targets, self.explainer)
                areas = self._areas(cell)
        except EXPECTED_ERRORS as error:
            return [self._missing(cell, "failed", first_line(error))]
        return [*self._of_maps(cell, found), *self._of_scores(cell, found), *self._of_areas(cell, areas)]

    def _under(self, cell: Cell) -> Cell:
        """The cell with the images as the network sees them, each once."""
        return replace(cell, batch_size=len(self.batch.names), image_size=self.batch.images.shape[-1])

    def _areas(self, cell: Cell) -> dict[str, Tensor]:
        """Areas (B, M) of the curves under float64's maps, so that pixels are ranked alike in every precision."""
        if not self.curves:
            return {}
        size = (self.batch.images.shape[2], self.batch.images.shape[3])
        maps = torch.stack([upsample(values, size) for values in self.wanted.maps.values()], dim=1)
        network, images = self.stock.network(cell), self.batch.images
        drawn = perturbation_curves(
            network, images, self.batch.targets, maps.float(), self.curves, batch_size=self.batch_size
        )
        return {name: scores.areas for name, scores in drawn.items()}

    def _of_maps(self, cell: Cell, found: Explained) -> Iterator[Record]:
        for layer, errors in map_errors(found, self.wanted).items():
            for metric, values in zip(("map_relative_error", "map_rank_correlation"), errors, strict=True):
                for b, value in enumerate(values.tolist()):
                    yield self._record(cell, b, layer, metric, value)

    def _of_scores(self, cell: Cell, found: Explained) -> Iterator[Record]:
        for score, values in score_errors(found, self.wanted).items():
            for b, value in enumerate(values.tolist()):
                yield self._record(cell, b, "", "score_error", value, score=score)

    def _of_areas(self, cell: Cell, areas: dict[str, Tensor]) -> Iterator[Record]:
        for score, wanted in self.areas.items():
            differences = (areas[score].double() - wanted.double()).abs()
            for b, per_layer in enumerate(differences.tolist()):
                for layer, value in zip(self.wanted.maps, per_layer, strict=True):
                    yield self._record(cell, b, layer, "score_error", value, score=score)

    def _record(self, cell: Cell, b: int, layer: str, metric: str, value: float, *, score: str = "") -> Record:
        variant = f"{cell.dtype} {score}".strip()
        arm = (self.method, layer) if layer else ("", "")
        reason = "a map or score is not finite, or float64's map is zero or constant"
        return map_record(
            self.batch, b, arm, metric, value, reason, variant=variant, settings=self._settings(cell, score)
        )

    def _missing(self, cell: Cell, status: Literal["undefined", "failed"], reason: str) -> Record:
        settings = self._settings(cell, "")
        return Record(
            "map_relative_error", math.nan, variant=cell.dtype, status=status, reason=reason, settings=settings
        )

    def _settings(self, cell: Cell, score: str) -> str:
        known = {"dtype": cell.dtype, "memory_format": cell.memory_format, "against": "float64", "method": self.method}
        return settings_json({**known, "device": device_name(self.device), **({"score": score} if score else {})})
