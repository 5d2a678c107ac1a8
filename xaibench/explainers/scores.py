"""What is read from the logits for one class, and differentiated: the logit (Grad-CAM's own) or what is made of it."""

from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Tensor

from xaibench.names import pick

Logits = Float[Tensor, "B classes"]
Targets = Int64[Tensor, " B"]
Scores = Float[Tensor, " B"]


def logit(logits: Logits, targets: Targets) -> Scores:
    """Return the target's logit, as the Grad-CAM paper has it (before the softmax)."""
    return logits.gather(1, targets[:, None])[:, 0]


def probability(logits: Logits, targets: Targets) -> Scores:
    """Return the target's softmax probability, in [0, 1]; its gradient vanishes where the model is certain."""
    return logit(logits.softmax(dim=1), targets)


def log_probability(logits: Logits, targets: Targets) -> Scores:
    """Return the logarithm of the target's softmax probability, at most 0."""
    return logit(logits.log_softmax(dim=1), targets)


def margin(logits: Logits, targets: Targets) -> Scores:
    """Return the target's logit less the highest other one; among equal others only the first is differentiated.

    Raises
    ------
    ValueError
        If there is no other class.
    """
    if logits.shape[1] < 2:
        raise ValueError("the margin needs another class, but the model knows one only; choose score='logit'")
    others = logits.scatter(1, targets[:, None], float("-inf"))
    return logit(logits, targets) - others.max(dim=1).values


def sigmoid(logits: Logits, targets: Targets) -> Scores:
    """Return the sigmoid of the target's logit, in [0, 1]: its probability if the classes do not exclude each other."""
    return logit(logits, targets).sigmoid()


SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "logit": logit,
    "probability": probability,
    "log_probability": log_probability,
    "margin": margin,
    "sigmoid": sigmoid,
}


def score_of(logits: Logits, targets: Targets, score: str = "logit") -> Scores:
    """Return each image's score by its name in `SCORES`."""
    return pick("score", score, SCORES)(logits, targets)
