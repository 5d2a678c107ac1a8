"""The engine: closed forms, exact counts, and that nothing depends on how the work is cut."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xaibench.metrics.baselines import Mean, RiseBlur, Zero
from xaibench.metrics.curve import Curve
from xaibench.metrics.ordering import Order
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.steps import EqualSteps, PixelSteps
from xaibench.metrics.undefined import MODEL_NOT_FINITE, NOT_FINITE

HEIGHT, WIDTH, CLASSES = 7, 9, 4
PIXELS = HEIGHT * WIDTH


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logit k is the sum of weight times pixel; counts what it is asked."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", weights)
        self.n_images, self.batches = 0, []

    def forward(self, images):
        self.n_images += len(images)
        self.batches.append(len(images))
        return torch.einsum("bchw,kchw->bk", images, self.weights)


@pytest.fixture
def linear():
    return Linear(torch.randn(CLASSES, 3, HEIGHT, WIDTH, generator=generator(), dtype=torch.float64))


@pytest.fixture
def convolutional():
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )
    torch.set_rng_state(torch_state)
    return network.eval()


def examples(n_images=3, n_maps=2, dtype=torch.float64, seed=1):
    images = torch.randn(n_images, 3, HEIGHT, WIDTH, generator=generator(seed), dtype=dtype)
    maps = torch.randn(n_images, n_maps, HEIGHT, WIDTH, generator=generator(seed + 1), dtype=dtype)
    targets = torch.arange(n_images) % CLASSES
    return images, targets, maps


def deletion(**choices):
    return Curve("deletion", "deletion", **{"steps": PixelSteps(8), **choices})


def insertion(**choices):
    return Curve("insertion", "insertion", **{"steps": PixelSteps(8), "baseline": RiseBlur(), **choices})


@pytest.mark.parametrize("baseline", [Zero(), Mean(), RiseBlur()], ids=str)
@pytest.mark.parametrize("direction", ["deletion", "insertion"])
@pytest.mark.parametrize("steps", [PixelSteps(8), PixelSteps(1), EqualSteps(5), PixelSteps(1000)], ids=str)
def test_linear_model_has_a_known_curve(linear, direction, baseline, steps):
    """The logit is a sum over pixels, so each step adds the terms of its pixels, whatever the order."""
    images, targets, maps = examples()
    curve = Curve("c", direction, baseline=baseline, steps=steps, score="logit", area="trapezoid")
    drawn = perturbation_curves(linear, images, targets, maps, [curve], batch_size=5)["c"]
    counts = steps(PIXELS)
    for b in range(len(images)):
        weights = linear.weights[targets[b]]
        kept, removed = ((weights * x).sum(dim=0).flatten() for x in (images[b], baseline(images[b : b + 1])[0]))
        if direction == "insertion":
            kept, removed = removed, kept
        for m in range(maps.shape[1]):
            order = maps[b, m].flatten().argsort(descending=True)
            expected = [float(removed[order[:k]].sum() + kept[order[k:]].sum()) for k in counts]
            torch.testing.assert_close(drawn.scores[b, m].tolist(), expected, atol=1e-12, rtol=0)
    fractions = torch.tensor(counts, dtype=torch.float64) / PIXELS
    torch.testing.assert_close(drawn.fractions, fractions)
    torch.testing.assert_close(drawn.areas, torch.trapezoid(drawn.scores, fractions), atol=1e-12, rtol=0)


@pytest.mark.parametrize("ties", ["raster", "reverse_raster", "random", "signed"])
def test_negating_the_map_exchanges_most_and_least_relevant_first(linear, ties):
    images, targets, maps = examples()
    maps = maps.round()  # many ties
    most = deletion(order=Order(ties=ties, first="most"))
    least = deletion(order=Order(ties=ties, first="least"))
    forwards = perturbation_curves(linear, images, targets, maps, [most])["deletion"]
    backwards = perturbation_curves(linear, images, targets, -maps, [least])["deletion"]
    torch.testing.assert_close(forwards.scores, backwards.scores, atol=0, rtol=0)
    other = perturbation_curves(linear, images, targets, maps, [least])["deletion"]
    assert (forwards.scores - other.scores).abs().max() > 1e-3


def test_deleting_and_inserting_in_opposite_orders_mirror_each_other(linear):
    images, targets, maps = examples()
    steps = EqualSteps(PIXELS)
    down = Curve("down", "deletion", Mean(), steps)
    up = Curve("up", "insertion", Mean(), steps, Order(first="least"))
    drawn = perturbation_curves(linear, images, targets, maps, [down, up])
    torch.testing.assert_close(drawn["down"].scores, drawn["up"].scores.flip(2), atol=1e-12, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10), shift=st.floats(-3, 3))
def test_a_monotone_transform_changes_nothing(seed, scale, shift):
    images, targets, maps = examples(n_images=1, n_maps=1, seed=seed)
    model = Linear(torch.randn(CLASSES, 3, HEIGHT, WIDTH, generator=generator(seed), dtype=torch.float64))
    before = perturbation_curves(model, images, targets, maps, [deletion(), insertion()])
    after = perturbation_curves(model, images, targets, torch.exp(scale * maps) + shift, [deletion(), insertion()])
    for name in before:
        torch.testing.assert_close(before[name].scores, after[name].scores, atol=0, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 1000])
def test_cutting_the_work_otherwise_changes_nothing(convolutional, batch_size):
    images, targets, maps = examples(n_images=4, n_maps=3, dtype=torch.float32)
    curves = [deletion(), insertion()]
    together = perturbation_curves(convolutional, images, targets, maps, curves, batch_size=32)
    for b in range(4):
        for m in range(3):
            alone = perturbation_curves(
                convolutional,
                images[b : b + 1],
                targets[b : b + 1],
                maps[b : b + 1, m : m + 1],
                curves,
                batch_size=batch_size,
            )
            for name, drawn in together.items():
                torch.testing.assert_close(drawn.scores[b, m], alone[name].scores[0, 0], atol=1e-6, rtol=0)
                torch.testing.assert_close(drawn.areas[b, m], alone[name].areas[0, 0], atol=1e-6, rtol=0)


def test_order_of_images_changes_nothing(convolutional):
    images, targets, maps = examples(n_images=4, n_maps=2, dtype=torch.float32)
    shuffled = torch.tensor([2, 0, 3, 1])
    straight = perturbation_curves(convolutional, images, targets, maps, [deletion()])["deletion"]
    mixed = perturbation_curves(convolutional, images[shuffled], targets[shuffled], maps[shuffled], [deletion()])
    torch.testing.assert_close(mixed["deletion"].scores, straight.scores[shuffled], atol=1e-6, rtol=0)


def total(drawn):
    return sum(float(curve.forward_passes.sum()) for curve in drawn.values())


def test_shared_points_are_scored_once(linear):
    images, targets, maps = examples(n_images=3, n_maps=2)
    inner = -(-PIXELS // 8) - 1
    alone = perturbation_curves(linear, images, targets, maps, [deletion()])
    assert linear.n_images == 3 * (2 + 2 * inner)
    assert total(alone) == pytest.approx(linear.n_images)
    linear.n_images = 0
    both = perturbation_curves(linear, images, targets, maps, [deletion(), insertion()])
    assert linear.n_images == 3 * (1 + 2 + 2 * 2 * inner)  # clean, zeros, blur
    assert total(both) == pytest.approx(linear.n_images)
    assert both["deletion"].forward_passes[0, 0] == pytest.approx(inner + 1 / 4 + 1 / 2)
    linear.n_images = 0
    same = [deletion(), Curve("logit", "deletion", steps=PixelSteps(8), score="logit"), insertion(baseline=Zero())]
    drawn = perturbation_curves(linear, images, targets, maps, same)
    assert linear.n_images == 3 * (2 + 2 * 2 * inner)  # another score costs nothing; zeros serve both directions
    assert total(drawn) == pytest.approx(linear.n_images)


def test_all_batches_but_the_last_are_full(linear):
    perturbation_curves(linear, *examples(n_images=3, n_maps=2), [deletion(), insertion()], batch_size=10)
    assert set(linear.batches[:-1]) == {10}
    assert 0 < linear.batches[-1] <= 10


def test_one_batch_is_written_again_and_again(linear):
    """So memory depends on the batch size, not on steps, maps or images."""
    places = set()
    linear.register_forward_pre_hook(lambda _, inputs: places.add(inputs[0].data_ptr()))
    perturbation_curves(linear, *examples(n_images=3, n_maps=2), [deletion(), insertion()], batch_size=10)
    assert len(linear.batches) > 5
    assert len(places) == 1


def test_missing_endpoints_are_not_scored(linear):
    images, targets, maps = examples(n_images=1, n_maps=1)
    drawn = perturbation_curves(linear, images, targets, maps, [deletion(endpoints="neither")])["deletion"]
    assert linear.n_images == drawn.scores.shape[2] == -(-PIXELS // 8) - 1
    assert 0 < drawn.fractions[0] < drawn.fractions[-1] < 1


def test_one_pixel():
    model = Linear(torch.randn(CLASSES, 3, 1, 1, generator=generator(), dtype=torch.float64))
    images = torch.randn(2, 3, 1, 1, generator=generator(), dtype=torch.float64)
    maps, targets = torch.zeros(2, 1, 1, 1, dtype=torch.float64), torch.tensor([0, 1])
    drawn = perturbation_curves(model, images, targets, maps, [deletion(), insertion()])
    clean = model(images).softmax(dim=1)[torch.arange(2), targets]
    torch.testing.assert_close(drawn["deletion"].scores[:, 0, 0], clean)
    torch.testing.assert_close(drawn["insertion"].scores[:, 0, 1], clean)
    torch.testing.assert_close(drawn["deletion"].scores[:, 0, 1], torch.full((2,), 1 / CLASSES, dtype=torch.float64))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_map_without_order_is_undefined_and_the_others_go_on(linear, bad):
    images, targets, maps = examples(n_images=3, n_maps=2)
    good = perturbation_curves(linear, images, targets, maps, [deletion()])["deletion"]
    linear.n_images = 0
    maps[1, 0, 3, 3] = bad
    maps[2] = bad
    drawn = perturbation_curves(linear, images, targets, maps, [deletion()])["deletion"]
    assert drawn.reasons == (("", ""), (NOT_FINITE, ""), (NOT_FINITE, NOT_FINITE))
    undefined = torch.tensor([[False, False], [True, False], [True, True]])
    assert torch.equal(drawn.areas.isnan(), undefined)
    assert torch.equal(drawn.scores.isnan().all(dim=2), undefined)
    torch.testing.assert_close(drawn.scores[~undefined], good.scores[~undefined])
    inner = -(-PIXELS // 8) - 1
    assert linear.n_images == 2 * 2 + 3 * inner  # nothing is spent on what is undefined
    assert float(drawn.forward_passes.sum()) == pytest.approx(linear.n_images)
    assert (drawn.forward_passes[undefined] == 0).all()


def test_only_undefined_maps(linear):
    images, targets, maps = examples(n_images=2, n_maps=1)
    drawn = perturbation_curves(linear, images, targets, maps * torch.nan, [deletion()])["deletion"]
    assert drawn.areas.isnan().all()
    assert linear.n_images == 0


class FailsOnBrightImages(Linear):
    def forward(self, images):
        logits = super().forward(images)
        return torch.where((images > 50).flatten(1).any(dim=1)[:, None], torch.nan, logits)


def test_nan_in_the_models_output_stays_with_its_image():
    model = FailsOnBrightImages(torch.randn(CLASSES, 3, HEIGHT, WIDTH, generator=generator(), dtype=torch.float64))
    images, targets, maps = examples(n_images=3, n_maps=2)
    good = perturbation_curves(model, images, targets, maps, [deletion()], batch_size=7)["deletion"]
    images[1, 0, 2, 2] = 100
    drawn = perturbation_curves(model, images, targets, maps, [deletion()], batch_size=7)["deletion"]
    assert drawn.reasons == (("", ""), (MODEL_NOT_FINITE, MODEL_NOT_FINITE), ("", ""))
    assert drawn.scores[1].isnan().all()
    torch.testing.assert_close(drawn.scores[[0, 2]], good.scores[[0, 2]])


def test_inputs_are_left_alone(convolutional):
    images, targets, maps = examples(dtype=torch.float32)
    copies = images.clone(), targets.clone(), maps.clone()
    perturbation_curves(convolutional, images, targets, maps, [deletion(order=Order(rectify=True)), insertion()])
    for now, before in zip((images, targets, maps), copies, strict=True):
        assert torch.equal(now, before)


def test_modes_are_restored_also_after_an_error(convolutional):
    images, targets, maps = examples(dtype=torch.float32)
    expected = perturbation_curves(convolutional, images, targets, maps, [deletion()])["deletion"].scores
    convolutional.train()
    convolutional[2].eval()
    drawn = perturbation_curves(convolutional, images, targets, maps, [deletion()])["deletion"].scores
    torch.testing.assert_close(drawn, expected)
    with pytest.raises(ValueError, match="out of range"):
        perturbation_curves(convolutional, images, targets + 5, maps, [deletion()])
    modes = [module.training for module in convolutional]
    assert modes == [True, True, False, True, True, True]


def test_batch_follows_the_models_memory_layout(convolutional):
    seen = []
    convolutional[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    images, targets, maps = examples(dtype=torch.float32)
    plain = perturbation_curves(convolutional, images, targets, maps, [deletion()])["deletion"].scores
    assert not any(seen)
    seen.clear()
    convolutional.to(memory_format=torch.channels_last)
    last = perturbation_curves(convolutional, images, targets, maps, [deletion()])["deletion"].scores
    assert all(seen)
    torch.testing.assert_close(plain, last, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("as_in_production")
class TestErrors:
    def run(self, model, *, images=None, targets=None, maps=None, curves=None):
        defaults = examples()
        given = (images, targets, maps)
        inputs = [default if value is None else value for value, default in zip(given, defaults, strict=True)]
        return perturbation_curves(model, *inputs, curves or [deletion()])

    def test_attributions_of_another_shape(self, linear):
        with pytest.raises(ValueError, match=r"shape \(3, 2, 4, 4\), expected \(3, 2, 7, 9\).*upsample"):
            self.run(linear, maps=torch.zeros(3, 2, 4, 4))
        with pytest.raises(ValueError, match=r"expected .*'M'"):
            self.run(linear, maps=torch.zeros(3, 7, 9))
        assert linear.n_images == 0

    def test_attributions_on_another_device(self, linear):
        with pytest.raises(ValueError, match="attributions are on meta, images on cpu"):
            self.run(linear, maps=torch.zeros(3, 2, HEIGHT, WIDTH, device="meta"))

    def test_targets(self, linear):
        with pytest.raises(ValueError, match="target 4 is out of range: the model has 4 classes"):
            self.run(linear, targets=torch.tensor([0, 4, 1]))
        with pytest.raises(ValueError, match="from 0 on, got -1"):
            self.run(linear, targets=torch.tensor([0, -1, 1]))
        with pytest.raises(ValueError, match="3 class indices, one per image"):
            self.run(linear, targets=torch.tensor([0, 1]))

    def test_images_as_bytes(self, linear):
        with pytest.raises(ValueError, match=r"images must be float \(B, C, H, W\), got torch.uint8"):
            self.run(linear, images=torch.zeros(3, 3, HEIGHT, WIDTH, dtype=torch.uint8))

    def test_a_model_that_returns_a_tuple(self, linear):
        with pytest.raises(TypeError, match=r"returned a tuple.*returns the logits alone"):
            self.run(lambda images: (linear(images),))

    def test_a_model_that_returns_one_logit(self, linear):
        def one(images):
            return linear(images)[:, :1]

        targets = torch.zeros(3, dtype=torch.int64)
        with pytest.raises(ValueError, match=r"one logit.*return the two logits \(0, z\)"):
            self.run(one, targets=targets)
        drawn = self.run(one, targets=targets, curves=[deletion(score="logit")])
        assert drawn["deletion"].areas.isfinite().all()

    def test_a_model_that_returns_maps(self, linear):
        with pytest.raises(ValueError, match="returned shape"):
            self.run(lambda images: images)

    def test_curves_of_one_name(self, linear):
        with pytest.raises(ValueError, match="different names"):
            self.run(linear, curves=[deletion(), deletion()])

    def test_no_model(self):
        with pytest.raises(TypeError, match="must be callable"):
            self.run("resnet50")
