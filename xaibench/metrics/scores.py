"""What a curve reads from the model's output: all that can be differentiated, and whether the target is predicted."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xaibench.explainers.scores import SCORES as DIFFERENTIABLE


def correct(logits: Float[Tensor, "B K"], targets: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return 1 where the target has the largest logit, else 0; of equal logits the first is the largest.

    NaN where a logit is NaN or infinite.
    """
    hit = (logits.argmax(dim=1) == targets).to(logits.dtype)
    return hit.masked_fill(~logits.isfinite().all(dim=1), torch.nan)


SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {**DIFFERENTIABLE, "correct": correct}

# these make sense of a single logit; all others compare it with other classes
OF_ONE_LOGIT = ("logit", "sigmoid")
