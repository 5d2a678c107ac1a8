"""Infidelity: how far the map is from predicting what a perturbation does to the score [1]_.

.. [1] C.-K. Yeh, C.-Y. Hsieh, A. S. Suggala, D. I. Inouye, P. Ravikumar, "On the (In)fidelity and Sensitivity of
   Explanations", NeurIPS 2019.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from xaibench.metrics.baselines import Baseline
from xaibench.metrics.changes import Changes, Responses, check_given, plain_baseline, responses
from xaibench.metrics.differences import NOISE, squares
from xaibench.metrics.draws import generator_for
from xaibench.metrics.map_scores import ByFunction, MapScores
from xaibench.metrics.scores import SCORES
from xaibench.names import pick, unknown

READINGS = ("contributions", "slopes")
NO_SCALE = "no perturbation meets any relevance, so the best scale is undefined"


def infidelity(
    model: object,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    *,
    perturbation: str = "square",
    reading: str = "contributions",
    n_samples: int = 100,
    sigma: float = 0.2,
    largest_square: float = 0.36,
    normalized: bool = True,
    baseline: str | Baseline = "zero",
    score: str = "logit",
    seed: int = 0,
    removed: Bool[Tensor, "B N H W"] | None = None,
    perturbations: Float[Tensor, "B N C H W"] | None = None,
    batch_size: int = 32,
) -> MapScores:
    """Mean over perturbations I of ``(β ⟨map, I⟩ − (f(x) − f(x − I)))²``.

    Parameters
    ----------
    model, images, targets, attributions, baseline, score, seed, batch_size
        As in `faithfulness_correlation`.
    perturbation : {"square", "gaussian", "noisy_baseline"}
        What I is: the difference to the image with a square replaced by the baseline, or noise; see `differences`.
    reading : {"contributions", "slopes"}
        What the map tells of a pixel: what it adds to the score (a class activation map, input × gradient), so that
        ⟨map, I⟩ is the sum over the pixels that a square removes, the authors' for such maps; or the score's change per
        unit (a gradient), for each of its channels, which noise needs.
    n_samples : int, default 100
        Perturbations, shared by all maps of an image.
    sigma : float, default 0.2
        Standard deviation of the noise, in normalized units.
    largest_square : float, default 0.36
        Largest side of a square, as a share of the image's shorter side; the authors' is 10 of 28 pixels.
    normalized : bool, default True
        Whether each map is scaled by the β that suits it best, ``mean(ab) / mean(a²)`` of ``a = ⟨map, I⟩`` and the
        score's change b, as in the authors' code. Without (β = 1, Captum's default) the value depends on the map's
        scale, which says nothing for a class activation map.
    removed : Tensor of bool, shape (B, N, H, W), optional
        Pixels to replace, instead of drawn squares.
    perturbations : Tensor, shape (B, N, C, H, W), optional
        Perturbations to take instead, with ``reading="slopes"``.
    batch_size : int, default 32
        Images per forward pass.

    Returns
    -------
    MapScores
        At least 0, in squared units of the score; lower is better. 0 for a linear model and its exact attribution. NaN
        for a map with NaN or infinity and, if normalized, where no perturbation meets any relevance.

    Notes
    -----
    The authors' setting for 28 × 28 images is every square of side 1 to 10, which `removed` can hold. Captum's takes
    whatever perturbations it is given, ten by default, with ``reading="slopes", normalized=False``.
    """
    metric = Infidelity(
        "gaussian" if perturbations is not None else perturbation,
        reading, n_samples, sigma, largest_square, normalized, baseline, score, seed,
    )  # fmt: skip
    check_given(removed, images, "removed")
    check_given(perturbations, images, "perturbations")
    pictures = plain_baseline(baseline)(images)

    def changes_of(b: int) -> Iterable[Changes]:
        if removed is not None:
            return [_replacement(images[b], pictures[b], removed[b], reading)]
        if perturbations is not None:
            return [_subtraction(images[b], perturbations[b])]
        return metric.draw(images[b], pictures[b])

    found = responses(
        model, images, targets, attributions, changes_of, score=score, varying=False, batch_size=batch_size
    )
    return _squared_differences(found, normalized=normalized)


def _replacement(image: Tensor, baseline: Tensor, masks: Tensor, reading: str) -> Changes:
    masks = masks.to(image.device)

    def write(rows: Tensor, start: int) -> None:
        torch.where(masks[start : start + len(rows), None], baseline, image, out=rows)

    return Changes(masks if reading == "contributions" else masks * (image - baseline).sum(dim=0), write)


def _subtraction(image: Tensor, perturbations: Tensor) -> Changes:
    def write(rows: Tensor, start: int) -> None:
        torch.sub(image, perturbations[start : start + len(rows)], out=rows)

    return Changes(perturbations.sum(dim=1), write)


def _squared_differences(found: Responses, *, normalized: bool) -> MapScores:
    predicted, drops = found.relevance, found.drops[:, None]
    reasons = np.array(found.reasons, dtype=object)
    if normalized:
        squares = predicted.square().mean(dim=2, keepdim=True)
        reasons = np.where((reasons == "") & (squares == 0)[:, :, 0].numpy(), NO_SCALE, reasons)
        predicted = predicted * ((predicted * drops).mean(dim=2, keepdim=True) / squares)
    values = (predicted - drops).square().mean(dim=2).masked_fill(torch.from_numpy(reasons != ""), torch.nan)
    return MapScores(values, found.forward_passes, tuple(tuple(row) for row in reasons.tolist()))


@dataclass(frozen=True)
class Infidelity(ByFunction):
    """Settings of infidelity; see `infidelity`."""

    perturbation: str = "square"
    reading: str = "contributions"
    n_samples: int = 100
    sigma: int | float = 0.2
    largest_square: float = 0.36
    normalized: bool = True
    baseline: str | Baseline = "zero"
    score: str = "logit"
    seed: int = 0
    higher_is_better: ClassVar[bool] = False
    function: ClassVar = staticmethod(infidelity)

    def __post_init__(self) -> None:
        if self.n_samples < 1 or not self.sigma > 0 or not 0 < self.largest_square <= 1:
            raise ValueError(
                "infidelity needs n_samples of at least 1, sigma above 0 and largest_square in (0, 1], "
                f"got {self.n_samples}, {self.sigma} and {self.largest_square}"
            )
        if self.perturbation not in ("square", *NOISE):
            raise unknown("perturbation", self.perturbation, ("square", *NOISE))
        if self.reading not in READINGS:
            raise unknown("reading", self.reading, READINGS)
        if self.perturbation != "square" and self.reading != "slopes":
            raise ValueError(
                f"perturbation={self.perturbation!r} changes every pixel a little: only reading='slopes' predicts that; "
                "contributions need perturbation='square'"
            )
        pick("score", self.score, SCORES)
        plain_baseline(self.baseline)

    def draw(self, image: Float[Tensor, "C H W"], baseline: Float[Tensor, "C H W"]) -> Iterator[Changes]:
        """Draw the image's perturbations, piece by piece."""
        generator = generator_for(image, self.seed, "infidelity")
        if self.perturbation == "square":
            size = (image.shape[1], image.shape[2])
            for masks in squares(size, self.n_samples, self.largest_square, generator):
                yield _replacement(image, baseline, masks, self.reading)
        else:
            for noise in NOISE[self.perturbation](image, baseline, self.n_samples, self.sigma, generator):
                yield _subtraction(image, noise)
