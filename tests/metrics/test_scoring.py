"""What the model puts out, as far as it can be wrong; how the queue cuts its work is in test_perturbation."""

import warnings
import weakref
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xaibench.metrics.curve import Curve
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.scoring import ProbabilitiesAsLogitsWarning, look_like_probabilities, network_of
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


def test_a_module_is_asked_itself_and_not_the_network_that_it_wraps():
    """A wrapper that picks the logits out of a tuple, as the error for tuples says to write, would else be passed by."""

    class Tupled(nn.Module):
        def forward(self, images):
            return logits(images), images

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = Tupled()

        def forward(self, images):
            return self.network(images)[0]

    torch.testing.assert_close(draw(Logits()).scores, draw(logits).scores)
    assert network_of(SimpleNamespace(network=logits)) is logits


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


# ── the network's precision ──────────────────────────────────────────────────────────────────────────────────────


class Seeing(torch.nn.Module):
    """A linear network that keeps the precision and the size of every batch that it sees."""

    def __init__(self, dtype):
        super().__init__()
        self.weights = torch.nn.Parameter(WEIGHTS.to(dtype), requires_grad=False)
        self.seen = []

    def forward(self, images):
        self.seen.append((images.dtype, len(images), images.data_ptr()))
        return images.flatten(1) @ self.weights


@pytest.mark.parametrize("of_images", [torch.float32, torch.float64])
@pytest.mark.parametrize("of_network", [torch.bfloat16, torch.float32, torch.float64])
def test_images_reach_the_network_in_its_precision_and_scores_come_back_in_float32_at_least(of_network, of_images):
    network = Seeing(of_network)
    curve = Curve("c", "deletion", steps=PixelSteps(5))
    drawn = perturbation_curves(network, IMAGES.to(of_images), TARGETS, MAPS, [curve], batch_size=4)["c"]
    assert {dtype for dtype, _, _ in network.seen} == {of_network}
    assert drawn.scores.dtype == (torch.float64 if of_network == torch.float64 else torch.float32)
    tolerance = 0.05 if of_network == torch.bfloat16 else 1e-6
    torch.testing.assert_close(drawn.scores.float(), draw(logits).scores, atol=tolerance, rtol=0)
    if of_network == torch.bfloat16:  # the softmax is float32's: rounding its result would show
        assert not torch.equal(drawn.scores, drawn.scores.bfloat16().float())


def test_points_are_made_in_the_images_precision_and_cast_once():
    """Each batch is what casting the float32 points gives, bit for bit."""
    exact, cast = [], []

    def keeping(batches):
        return lambda images: batches.append(images.clone()) or logits(images.float())

    network = Seeing(torch.bfloat16)
    network.forward = keeping(cast)
    curves = [Curve("c", "insertion", steps=PixelSteps(3))]
    for model in (network, keeping(exact)):
        perturbation_curves(model, IMAGES, TARGETS, MAPS, curves, batch_size=4)
    assert len(cast) == len(exact) > 2
    for found, expected in zip(cast, exact, strict=True):
        assert torch.equal(found, expected.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_batch_in_one_place_whatever_the_numbers_of_images_maps_and_steps(dtype):
    network = Seeing(dtype)
    images, maps = torch.randn(5, 3, 4, 5, generator=GENERATOR), torch.randn(5, 3, 4, 5, generator=GENERATOR)
    curves = [Curve(name, name, steps=PixelSteps(1)) for name in ("deletion", "insertion")]
    perturbation_curves(network, images, torch.zeros(5, dtype=torch.int64), maps, curves, batch_size=4)
    sizes = [size for _, size, _ in network.seen]
    assert sizes == [4] * (len(sizes) - 1) + sizes[-1:]
    assert sum(sizes) == 5 * (2 + 2 * 3 * 19)  # deletion to zero ends where insertion starts
    assert len({place for _, _, place in network.seen}) == 1


class Held(TorchDispatchMode):
    """Follows how many bytes the tensors made meanwhile hold at once, those of `given` aside."""

    def __init__(self, *given):
        super().__init__()
        self.given = {tensor.untyped_storage().data_ptr() for tensor in given}
        self.made, self.most = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.made += [weakref.ref(leaf) for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.made = [made for made in self.made if made() is not None]
        storages = [made().untyped_storage() for made in self.made]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        self.most = max(self.most, sum(size for place, size in sizes.items() if place not in self.given))
        return result


def held_bytes(n_images, n_maps, step_px, batch_size=8, side=16):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n_images, 3, side, side, generator=generator)
    maps = torch.randn(n_images, n_maps, side, side, generator=generator)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * side**2, 4)).requires_grad_(False)
    curves = [Curve(name, name, steps=PixelSteps(step_px)) for name in ("deletion", "insertion")]
    with Held(images, maps, *network.parameters()) as held:
        targets = torch.zeros(n_images, dtype=torch.int64)
        perturbation_curves(network, images, targets, maps, curves, batch_size=batch_size)
    return held.most


def test_memory_depends_on_the_batch_alone():
    """Twice the steps, maps or images hold less than a third of an image more: a point keeps the few bytes of its scores."""
    image, held = 3 * 16 * 16 * 4, held_bytes(2, 2, 32)
    for twice in (held_bytes(2, 2, 16), held_bytes(2, 4, 32), held_bytes(4, 2, 32)):
        assert 0 < twice - held < image / 3
    assert held_bytes(2, 2, 32, batch_size=16) - held >= 8 * image
