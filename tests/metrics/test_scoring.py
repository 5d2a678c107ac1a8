"""What the model puts out, as far as it can be wrong; how the queue cuts its work is in test_perturbation."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xaibench.metrics.curve import Curve
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.scoring import ProbabilitiesAsLogitsWarning, look_like_probabilities
from xaibench.metrics.steps import PixelSteps

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(2, 3, 4, 5, generator=GENERATOR)
MAPS = torch.randn(2, 1, 4, 5, generator=GENERATOR)
WEIGHTS = torch.randn(60, 4, generator=GENERATOR)
TARGETS = torch.tensor([0, 1])


def logits(images):
    return images.flatten(1) @ WEIGHTS


def draw(model, score="probability", **choices):
    curve = Curve("c", "deletion", steps=PixelSteps(5), score=score, **choices)
    return perturbation_curves(model, IMAGES, TARGETS, MAPS, [curve], batch_size=4)["c"]


@pytest.mark.parametrize("score", ["probability", "log_probability", "margin", "correct"])
def test_probabilities_given_as_logits_are_noticed(score):
    with pytest.warns(ProbabilitiesAsLogitsWarning, match="second softmax.*score='logit'"):
        draw(lambda images: logits(images).softmax(dim=1), score)


def test_one_warning_a_call_which_can_be_made_an_error_or_silenced():
    def model(images):
        return logits(images).softmax(dim=1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw(model)
    assert [one.category for one in caught] == [ProbabilitiesAsLogitsWarning]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=ProbabilitiesAsLogitsWarning)
        with pytest.raises(ProbabilitiesAsLogitsWarning):
            draw(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ProbabilitiesAsLogitsWarning)
        draw(model)


def test_the_way_out_gives_what_the_logits_give():
    """Read as it is, a model that ends in a softmax has the curve of its logits' probability; no warning."""
    expected = draw(logits).scores
    found = draw(lambda images: logits(images).softmax(dim=1), "logit").scores
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_one_real_logit_row_is_enough_to_say_nothing():
    def model(images):
        return torch.where((images != 0).all(dim=(1, 2, 3))[:, None], logits(images), logits(images).softmax(dim=1))

    draw(model)  # the clean images have logits, all others probabilities; warnings are errors here


def test_a_single_image_says_nothing():
    one = Curve("c", "deletion", steps=PixelSteps(20), endpoints="end")
    perturbation_curves(lambda images: logits(images).softmax(dim=1), IMAGES[:1], TARGETS[:1], MAPS[:1], [one])


@given(scale=st.floats(0.1, 20), dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]))
def test_softmaxes_are_recognized_in_every_precision_and_logits_are_not(scale, dtype):
    values = torch.randn(16, 50, generator=torch.Generator().manual_seed(1)) * scale
    assert look_like_probabilities(values.softmax(dim=1).to(dtype))
    assert not look_like_probabilities(values.to(dtype))
    assert not look_like_probabilities(values.sigmoid().to(dtype))
    assert not look_like_probabilities(values.log_softmax(dim=1).to(dtype))


def test_nan_is_no_probability():
    assert not look_like_probabilities(torch.tensor([[0.5, 0.5], [torch.nan, 0.5]]))


@pytest.mark.usefixtures("as_in_production")
class TestErrors:
    def test_one_logit_and_a_score_that_needs_two(self):
        def one(images):
            return logits(images)[:, :1]

        for score in ("probability", "log_probability", "margin", "correct"):
            with pytest.raises(ValueError, match=r"one logit.*'logit' or 'sigmoid'"):
                draw(one, score)
        only = torch.zeros(2, dtype=torch.int64)
        drawn = Deletion(step_px=5, score="sigmoid")(one, IMAGES, MAPS[:, 0], only)
        expected = logits(IMAGES)[:, 0].sigmoid()
        torch.testing.assert_close(drawn.scores[:, 0], expected)

    def test_outputs_that_are_no_logits(self):
        with pytest.raises(TypeError, match=r"returned a dict.*returns the logits alone"):
            draw(lambda images: {"logits": logits(images)})
        with pytest.raises(ValueError, match=r"returned shape \(4,\), expected \(4, classes\)"):
            draw(lambda images: logits(images)[:, 0])
