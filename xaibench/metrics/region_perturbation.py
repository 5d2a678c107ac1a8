"""Region perturbation: how far the score falls while patches are replaced by noise, most relevant first [1]_.

.. [1] W. Samek, A. Binder, G. Montavon, S. Lapuschkin, K.-R. Müller, "Evaluating the Visualization of What a Deep
   Neural Network Has Learned", IEEE Transactions on Neural Networks and Learning Systems 28(11), 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from xaibench.metrics.baselines import Baseline, Imputer, named_baseline
from xaibench.metrics.combined_curves import forward_passes, reasons, repeated
from xaibench.metrics.curve import Curve, RegionScore
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.ordering import Order
from xaibench.metrics.regions import Patches
from xaibench.metrics.steps import SingleSteps


@dataclass(frozen=True)
class RegionPerturbation:
    """Settings of the region perturbation curve (AOPC): the paper's, unless told otherwise.

    The value is the mean over k = 0 … L of f(x₀) − f(x_k), where x_k lacks the k first patches, and over `repeats`
    draws of the baseline.

    Attributes
    ----------
    side_px : int
        Side of the patches; those at the far borders are smaller where it does not divide the image.
    n_regions : int
        L, how many patches are replaced; all of them in an image with fewer.
    baseline : str or Baseline
        What replaces them; the paper found uniform noise to tell maps apart best.
    repeats : int
        Draws of the baseline; without effect on one that has no seed.
    score : str
        A name in `SCORES`; the paper takes the classifier's output before the softmax.
    order : Order
        ``first="least"`` gives the LeRF curve, which should fall late: lower is better there.
    region_score : {"sum", "mean"}
        By which patches are ranked; the paper sums.
    """

    side_px: int = 9
    n_regions: int = 100
    baseline: str | Baseline | Imputer = "noise"
    repeats: int = 10
    score: str = "logit"
    order: Order = field(default_factory=lambda: Order(ties="raster"))
    region_score: RegionScore = "sum"
    higher_is_better: ClassVar[bool] = True

    def curves(self, key: str = "region_perturbation") -> tuple[Curve, ...]:
        """Return one curve for each draw of the baseline."""
        return tuple(
            Curve(
                name=f"{key}/{i}",
                direction="deletion",
                baseline=baseline,
                steps=SingleSteps(self.n_regions),
                order=self.order,
                score=self.score,
                area="mean_drop",
                regions=Patches(self.side_px),
                region_score=self.region_score,
            )
            for i, baseline in enumerate(repeated(named_baseline(self.baseline), self.repeats))
        )

    def value(self, drawn: Sequence[CurveScores]) -> MapScores:
        """Average the draws: the area of each, and the curves point by point, as they share their fractions."""
        areas = torch.stack([curve.areas for curve in drawn]).mean(dim=0)
        scores = torch.stack([curve.scores for curve in drawn]).mean(dim=0)
        return MapScores(areas, forward_passes(drawn), reasons(drawn), drawn[0].fractions, scores)
