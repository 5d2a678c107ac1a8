"""Single deletion: do the cells of a grid rank by relevance as by what the removal of each alone costs? [1]_.

.. [1] R. Hesse, S. Schaub-Meyer, S. Roth, "Benchmarking the Attribution Quality of Vision Models", NeurIPS 2024,
   Datasets and Benchmarks: the in-domain single deletion score (IDSDS).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import Changes, correlation_scores, plain_baseline, removals, responses
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.regions import Grid
from xaibench.metrics.scores import SCORES
from xaibench.names import pick


@dataclass(frozen=True)
class SingleDeletion:
    """Settings of the single deletion score: the paper's, unless told otherwise.

    Spearman's correlation over the cells between the map's sum over a cell and the fall of the score when that cell
    alone is removed. The paper measures models that were fine-tuned with cells removed.

    Attributes
    ----------
    rows, columns : int
        Of the grid of cells.
    baseline : str or Baseline
        What replaces a cell.
    score : str
        A name in `SCORES`.
    """

    rows: int = 4
    columns: int = 4
    baseline: str | Baseline = "zero"
    score: str = "logit"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Grid(self.rows, self.columns)
        if self.rows * self.columns < 2:
            raise ValueError("a rank correlation needs at least two cells; got one row of one column")
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def scores(
        self,
        model: object,
        images: Float[Tensor, "B C H W"],
        targets: Int[Tensor, " B"],
        attributions: Float[Tensor, "B M H W"],
        *,
        batch_size: int = 32,
    ) -> MapScores:
        """Correlate, for M signed maps of each image.

        Returns
        -------
        MapScores
            In [-1, 1], higher is better; NaN for a constant map, for cells of equal relevance, and where no removal
            changes the score (an image of one pixel has one cell only). Cells + 1 passes per image, shared by its maps.
        """
        baseline = plain_baseline(self.baseline)
        cells = Grid(self.rows, self.columns)(images[:1])[0]
        masks = cells == torch.arange(int(cells.max()) + 1, device=cells.device)[:, None, None]

        def changes_of(b: int) -> Iterator[Changes]:
            return removals(images[b], baseline(images[b : b + 1])[0], [masks[:, None]])

        found = responses(model, images, targets, attributions, changes_of, score=self.score, batch_size=batch_size)
        return correlation_scores(found, ranks=True)
