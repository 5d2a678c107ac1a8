import pytest
import torch

from xaibench.explainers.targets import TARGET_RULES, check_targets, choose_targets
from xaibench.names import UnknownName

LOGITS = torch.tensor([[0.0, 3.0, 1.0, -2.0], [5.0, 5.0, 1.0, 1.0]])


def test_rules():
    chosen = {rule: choose_targets(LOGITS, rule, torch.tensor([2, 3])).tolist() for rule in TARGET_RULES}
    # ties go to the lower index
    assert chosen == {"predicted": [1, 0], "label": [2, 3], "runner_up": [2, 1], "least_likely": [3, 2]}
    assert choose_targets(LOGITS, 3).tolist() == [3, 3]
    assert choose_targets(LOGITS).dtype == torch.int64


def test_labels_of_any_integer_type():
    assert check_targets(torch.tensor([1, 2], dtype=torch.int32), LOGITS).dtype == torch.int64


@pytest.mark.parametrize(("rule", "labels", "message"), [
    ("label", None, "there are none"),
    ("label", torch.tensor([0, 4]), "class 4 of image 1 is out of range: the model knows 4 classes, 0 to 3"),
    ("label", torch.tensor([-1, 0]), "class -1 of image 0"),
    ("label", torch.tensor([0]), "one class for each of 2 images"),
    ("label", torch.tensor([0.0, 1.0]), "integer type"),
    (4, None, "class 4 of image 0 is out of range"),
    (-1, None, "class -1"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(rule, labels, message):
    with pytest.raises(ValueError, match=message):
        choose_targets(LOGITS, rule, labels)


def test_misspelt_rules_and_missing_runner_up():
    with pytest.raises(UnknownName, match="did you mean runner_up"):
        choose_targets(LOGITS, "runnerup")
    with pytest.raises(ValueError, match="one class only"):
        choose_targets(LOGITS[:, :1], "runner_up")
