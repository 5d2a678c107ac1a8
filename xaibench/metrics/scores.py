"""What is read from the model's output: one number per image for its target class."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor


def probability(logits: Float[Tensor, "B K"], targets: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Softmax probability of the target, in [0, 1]."""
    return _pick(logits.softmax(dim=1), targets)


def log_probability(logits: Float[Tensor, "B K"], targets: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Natural logarithm of the softmax probability, at most 0."""
    return _pick(logits.log_softmax(dim=1), targets)


def logit(logits: Float[Tensor, "B K"], targets: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """The model's output for the target as it is."""
    return _pick(logits, targets)


def _pick(values: Tensor, targets: Tensor) -> Tensor:
    return values.gather(1, targets[:, None])[:, 0]


SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "probability": probability,
    "log_probability": log_probability,
    "logit": logit,
}
