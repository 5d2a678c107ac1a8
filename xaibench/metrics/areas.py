"""Area under a curve, by the rules in use; from stored curves any of them can be computed without the model."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def uniform_trapezoid(fractions: Float[Tensor, " T"], scores: Float[Tensor, "*rest T"]) -> Float[Tensor, "*rest"]:
    """Trapezoid that takes all steps as equally wide, though the last may be shorter: RISE's rule.

    A curve of one point has no area: NaN, as in the other trapezoid.
    """
    n_steps = scores.shape[-1] - 1
    if n_steps < 1:
        return scores.new_full(scores.shape[:-1], torch.nan)
    return (scores.sum(dim=-1) - (scores[..., 0] + scores[..., -1]) / 2) / n_steps


def trapezoid(fractions: Float[Tensor, " T"], scores: Float[Tensor, "*rest T"]) -> Float[Tensor, "*rest"]:
    """Trapezoid over the true fractions, not divided by their span."""
    if scores.shape[-1] < 2:
        return scores.new_full(scores.shape[:-1], torch.nan)
    return torch.trapezoid(scores, fractions.to(scores), dim=-1)


def mean(fractions: Float[Tensor, " T"], scores: Float[Tensor, "*rest T"]) -> Float[Tensor, "*rest"]:
    """Plain mean of the points, both ends counting as much as any other."""
    return scores.mean(dim=-1)


AREAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "uniform_trapezoid": uniform_trapezoid,
    "trapezoid": trapezoid,
    "mean": mean,
}
