from collections import namedtuple
from dataclasses import replace

import pytest
import torch
from torch import nn

from xaibench.models.checks import check_classifier
from xaibench.models.classifier import Classifier
from xaibench.models.preprocessing import Preprocessing

SMALL = Preprocessing(16, 16, (0.5,) * 3, (0.25,) * 3)


class Pooled(nn.Module):
    """Three channel means as logits, handed out by a function."""

    def __init__(self, output=lambda logits: logits):
        super().__init__()
        self.output = output
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return self.output(self.scale * images.mean(dim=(2, 3)))


def classifier(output=lambda logits: logits, categories=()):
    return Classifier("toy", Pooled(output).eval(), SMALL, categories, "own", "")


def test_the_classes_are_counted():
    assert check_classifier(classifier(categories=("a", "b", "c"))) == 3


def test_images_of_free_size_are_tried_at_the_usual_one():
    free = Preprocessing(None, None, (0.0,) * 3, (1.0,) * 3)
    assert check_classifier(replace(classifier(), preprocessing=free)) == 3


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: (x, x), "tuple of 2"),
        (lambda x: {"out": x}, "dict with out"),
        (lambda x: namedtuple("Output", "logits")(x), r"returns \.logits"),
        (lambda x: x[0], r"shape \(3,\)"),
        (lambda x: x.reshape(1, -1), r"shape \(1, 6\)"),
        (lambda x: x[:, :, None, None], r"shape \(2, 3, 1, 1\)"),
        (lambda x: x[:, :1], "one number"),
        (lambda x: x.argmax(1, keepdim=True).expand(-1, 2), "no logits"),
        (lambda x: x / 0 * 0, "NaN"),
        (lambda x: 3, "puts out a int"),
        (lambda x: x @ x, r"fails on images \(2, 3, 16, 16\)"),
    ],
)
def test_other_outputs_are_refused_with_a_way_out(output, message):
    with pytest.raises(ValueError, match=message):
        check_classifier(classifier(output))


def test_categories_must_be_as_many_as_classes():
    with pytest.raises(ValueError, match="has 3 classes, but 2 categories"):
        check_classifier(classifier(categories=("a", "b")))
