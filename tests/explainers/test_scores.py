import math

import pytest
import torch

from xaibench.explainers.scores import score_of
from xaibench.names import UnknownName

LOGITS = torch.tensor([[0.0, math.log(3.0)], [2.0, 2.0]], dtype=torch.float64)
TARGETS = torch.tensor([1, 0])


@pytest.mark.parametrize(("score", "expected"), [
    ("logit", [math.log(3.0), 2.0]),
    ("probability", [0.75, 0.5]),
    ("log_probability", [math.log(0.75), math.log(0.5)]),
    ("margin", [math.log(3.0), 0.0]),
    ("sigmoid", [0.75, 1 / (1 + math.exp(-2.0))]),
])  # fmt: skip
def test_closed_forms(score, expected):
    torch.testing.assert_close(score_of(LOGITS, TARGETS, score), torch.tensor(expected, dtype=torch.float64))


def test_log_probability_and_its_gradient_survive_where_the_probability_is_zero():
    logits = torch.tensor([[0.0, 500.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(score_of(logits, torch.tensor([0]), "log_probability").sum(), logits)
    assert gradient.tolist() == [[1.0, -1.0]]


def test_the_margin_needs_another_class():
    with pytest.raises(ValueError, match="knows one only"):
        score_of(LOGITS[:, :1], torch.tensor([0, 0]), "margin")
    with pytest.raises(UnknownName, match="did you mean margin"):
        score_of(LOGITS, TARGETS, "margins")
