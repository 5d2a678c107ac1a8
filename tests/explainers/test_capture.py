import copy
import gc
import threading
import weakref

import pytest
import torch
from small_networks import pictures, slow_reference, tiny_resnet
from torch import nn

from xaibench.explainers import capture as capture_module
from xaibench.explainers.capture import activations_of, capture
from xaibench.explainers.errors import LayerError, NonFiniteOutput
from xaibench.names import UnknownName

STAGES = ["layer1", "layer2", "layer3", "layer4"]
ONCE = [
    "conv1", "bn1", "relu", "maxpool",
    "layer1.0.conv1", "layer1.0.bn1", "layer1.0.bn3", "layer1.0.downsample", "layer1.0.downsample.0", "layer1.0",
    "layer2.0.bn2", "layer2.0.downsample.1", "layer2.1.conv3", "layer2.1.bn3", "layer2.1", "layer2",
    "layer3.0.conv2", "layer3.0.bn3", "layer4.0.downsample", "layer4.1.conv2", "layer4.1.bn2", "layer4.1.bn3",
    "layer4.1",
]  # fmt: skip


@pytest.fixture
def network():
    return tiny_resnet()


@pytest.fixture
def images():
    return pictures()


# ---- values


def test_every_layer_of_a_resnet_equals_full_autograd_image_by_image():
    network, images = tiny_resnet().double(), pictures(2, dtype=torch.float64)
    targets = torch.tensor([0, 3])
    captured = capture(network, images, ONCE, targets=targets)
    for layer in ONCE:
        activations, gradients = slow_reference(network, images, layer, targets)
        torch.testing.assert_close(captured.activations[layer], activations, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(captured.gradients[layer], gradients, rtol=1e-9, atol=1e-14)
        assert captured.gradients[layer].abs().max() > 1e-6


def test_maps_belong_to_their_layers_in_the_order_asked_for(network, images):
    forwards, backwards = capture(network, images, ONCE), capture(network, images, ONCE[::-1])
    assert list(backwards.activations) == list(backwards.gradients) == ONCE[::-1]
    for layer in ONCE:
        assert torch.equal(forwards.activations[layer], backwards.activations[layer])
        assert torch.equal(forwards.gradients[layer], backwards.gradients[layer])


@pytest.mark.parametrize("layer", ["bn1", "layer2.1.bn3", "layer4.1.bn2", "layer1.0.downsample", "layer4"])
def test_a_layer_alone_equals_the_same_layer_among_others(network, images, layer):
    alone = capture(network, images, [layer], targets=2)
    among = capture(network, images, ONCE + STAGES, targets=2)
    torch.testing.assert_close(alone.activations[layer], among.activations[layer])
    torch.testing.assert_close(alone.gradients[layer], among.gradients[layer])
    torch.testing.assert_close(alone.logits, network(images).detach())


class Overwriting(nn.Module):
    """An Identity, a view, and writing in place through views and into what a ReLU returned."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.identity = nn.Identity()
        self.turn = Turn()
        self.second = nn.Conv2d(4, 4, 3)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(x)
        x.flatten(1).mul_(3.0)
        self.relu(x)  # the returned tensor is thrown away
        x = self.identity(x) + 0.5 * x
        y = self.second(x)
        y = self.turn(y)
        y.add_(1.0).relu_()
        y = self.drop(y) * y
        return self.fc(y.mean((2, 3)))


class Turn(nn.Module):
    def forward(self, x):
        return x.transpose(2, 3)


@pytest.mark.parametrize("layers", [["conv"], ["relu"], ["identity"], ["second"], ["turn"], ["drop"], None])
def test_overwritten_and_aliased_outputs_are_what_the_layer_put_out(layers):
    torch.manual_seed(0)
    network, images = Overwriting().double().eval(), pictures(2, 9, 12, dtype=torch.float64)
    layers = layers or ["conv", "relu", "identity", "second", "turn", "drop"]
    for _ in range(2):  # finding the overwritten layers, and knowing them
        captured = capture(network, images, layers, targets=1)
        torch.testing.assert_close(captured.logits, network(images).detach())
        for layer in layers:
            activations, gradients = _overwriting_by_hand(network, images, layer)
            torch.testing.assert_close(captured.activations[layer], activations)
            torch.testing.assert_close(captured.gradients[layer], gradients)


def _overwriting_by_hand(network, images, layer):
    """The same computation without any writing in place, each layer's output a node of its own."""
    kept = {}

    def node(name, value):
        kept[name] = value * 1.0
        return kept[name]

    x = node("conv", network.conv(images))
    x = node("relu", (3.0 * x).relu())
    x = node("identity", x) + 0.5 * x
    y = node("turn", node("second", network.second(x)).transpose(2, 3))
    y = (y + 1.0).relu()
    y = node("drop", y) * y
    score = network.fc(y.mean((2, 3)))[:, 1].sum()
    return kept[layer].detach(), torch.autograd.grad(score, kept[layer])[0]


def test_an_overwritten_layer_costs_a_second_forward_only_once(network, images):
    calls = []
    network.register_forward_pre_hook(lambda *_: calls.append(1))
    capture(network, images, ["layer1.0.bn3", "layer4.1"])
    assert len(calls) == 2
    capture(network, images, ["layer4.1", "layer1.0.bn3"])
    assert len(calls) == 3
    capture(copy.deepcopy(network), images, ["layer4.1"])
    assert len(calls) == 4
    assert capture_module._overwritten[network] == {"layer1.0.bn3"}


def test_one_forward_and_one_backward_that_ends_at_the_shallowest_layer(images):
    class Trap(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise AssertionError("the backward pass went below the shallowest layer")

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            backward.append(1)
            return gradient

    forward, backward = [], []
    network = tiny_resnet()
    for module in network.modules():
        module.register_forward_pre_hook(lambda module, _: forward.append(module))
    network.conv1.register_forward_hook(lambda _, __, output: Trap.apply(output.requires_grad_()))
    with pytest.raises(AssertionError, match="below the shallowest"):  # the trap works
        network(images).sum().backward()
    forward.clear()
    network.conv1._forward_hooks.clear()
    # after layer1: a function that counts; before it: one that must not run
    network.layer1.register_forward_pre_hook(lambda _, inputs: (Trap.apply(inputs[0]),))
    network.layer2.register_forward_pre_hook(lambda _, inputs: (Counted.apply(inputs[0]),))
    capture(network, images, ["layer1", "layer2", "layer3", "layer4"])
    assert len(backward) == 1
    assert forward.count(network) == forward.count(network.conv1) == forward.count(network.layer4) == 1


def test_nothing_before_the_shallowest_layer_is_recorded(network, images):
    recorded = []
    network.layer1.register_forward_hook(lambda _, __, output: recorded.append(output.requires_grad))
    capture(network, images, ["layer2"])
    assert recorded == [False]


def test_batch_composition_changes_nothing(network):
    images = pictures(5).double()
    network.double()
    together = capture(network, images, [*STAGES, "layer3.0.bn3"])
    for i in range(5):
        alone = capture(network, images[i : i + 1], [*STAGES, "layer3.0.bn3"])
        for layer in together.gradients:
            torch.testing.assert_close(together.activations[layer][i : i + 1], alone.activations[layer])
            torch.testing.assert_close(together.gradients[layer][i : i + 1], alone.gradients[layer])


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability", "margin"])
def test_the_score_asked_for_is_differentiated(network, images, score):
    targets = torch.tensor([4, 0, 2])
    captured = capture(network, images, ["layer4"], targets=targets, score=score)
    logits = {s: capture(network, images, ["layer4"], targets=s).gradients["layer4"] for s in range(5)}
    jacobian = torch.stack([logits[s] for s in range(5)], dim=1)  # d logit / d activation
    outer = torch.zeros(3, 5)
    probabilities = captured.logits.softmax(1)
    for i, t in enumerate(targets.tolist()):
        onehot = torch.eye(5)[t]
        other = captured.logits[i].masked_fill(onehot.bool(), -torch.inf).argmax()
        outer[i] = {
            "logit": onehot,
            "probability": probabilities[i, t] * (onehot - probabilities[i]),
            "log_probability": onehot - probabilities[i],
            "margin": onehot - torch.eye(5)[other],
        }[score]
    expected = torch.einsum("bc,bckhw->bkhw", outer, jacobian)
    torch.testing.assert_close(captured.gradients["layer4"], expected, rtol=1e-4, atol=1e-7)


def test_forward_alone_gives_the_same_activations(network, images):
    both = capture(network, images, ONCE)
    alone = activations_of(network, images, ONCE)
    for layer in ONCE:
        torch.testing.assert_close(alone[layer], both.activations[layer])
        assert not alone[layer].requires_grad


def test_channels_last_and_reduced_precision_are_kept(network, images):
    network.to(memory_format=torch.channels_last)
    captured = capture(network, images.to(memory_format=torch.channels_last), STAGES)
    assert captured.activations["layer2"].is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert capture(network, images, ["layer2.1.conv3"]).gradients["layer2.1.conv3"].dtype == torch.bfloat16


# ---- errors


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.unused = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1)
        self.pair, self.pool, self.aside = Pair(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1)
        self.numbers, self.fc = Numbers(), nn.Linear(4, 3)

    def forward(self, x):
        x = self.relu(self.relu(self.conv(x)))
        self.aside(x)
        self.numbers(x)
        x, _ = self.pair(x)
        return self.fc(self.pool(x).flatten(1))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Numbers(nn.Module):
    def forward(self, x):
        return x.argmax(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("relu", "'relu' is called more than once"),
        ("unused", "'unused' is never called"),
        ("pair", "'pair' puts out no tensor but tuple"),
        ("pool", "'pool' puts out a map of a single cell"),
        ("fc", "'fc' puts out no spatial map"),
        ("numbers", r"'numbers' puts out no map.*int64"),
        ("aside", "'aside' has no differentiable influence"),
    ],
)
def test_a_layer_without_a_map_is_named(images, layer, message):
    network = Odd()
    with pytest.raises(LayerError, match=message):
        capture(network, images, ["conv", layer])
    assert network.training
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    capture(network, images, ["conv"])


def test_unknown_layers_come_with_their_neighbours(network, images):
    with pytest.raises(UnknownName, match=r"unknown layer 'layer4\.9'.*layer4\.0"):
        capture(network, images, ["layer4.9"])
    with pytest.raises(UnknownName, match="unknown layer ''"):
        capture(network, images, [""])
    for layers in ("layer4", []):
        with pytest.raises(ValueError, match="must be a list"):
            capture_module.find_layers(network, layers)


def test_unknown_score_and_rule_are_found_before_any_pass(network, images):
    network.register_forward_pre_hook(lambda *_: pytest.fail("a pass was wasted"))
    with pytest.raises(UnknownName, match=r"unknown score 'logits'.*did you mean logit"):
        capture(network, images, ["layer4"], score="logits")
    with pytest.raises(UnknownName, match="unknown target rule"):
        capture(network, images, ["layer4"], targets="predict")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_images_with_a_non_finite_answer_are_named(network, images, bad):
    images[1, 0, 3, 3] = bad
    with pytest.raises(NonFiniteOutput, match=r"image\(s\) 1 of the batch") as caught:
        capture(network, images, ["layer4"])
    assert caught.value.indices == (1,)


@pytest.mark.parametrize(("output", "message"), [
    (lambda y: (y, y), "got tuple"),
    (lambda y: y[:, :, None], r"shape \(3, 5, 1\)"),
    (lambda y: y[:2], r"for 3 images"),
])  # fmt: skip
def test_a_model_that_gives_no_logits_is_refused(network, images, output, message):
    network.register_forward_hook(lambda _, __, y: output(y))
    with pytest.raises(ValueError, match=message):
        capture(network, images, ["layer4"])


def test_targets_that_do_not_fit_are_refused(network, images):
    with pytest.raises(ValueError, match="class 5 of image 1 is out of range: the model knows 5 classes"):
        capture(network, images, ["layer4"], targets=torch.tensor([0, 5, 0]))
    with pytest.raises(ValueError, match="one class for each of 3 images"):
        capture(network, images, ["layer4"], targets=torch.tensor([0, 1]))


# ---- what is left behind


def _state(network):
    return (
        [(name, module.training) for name, module in network.named_modules()],
        [(name, parameter.requires_grad, parameter.grad) for name, parameter in network.named_parameters()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in network.modules()],
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_rng_state().tolist(),
    )


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_everything_is_as_before(images, fail, context):
    network = tiny_resnet().train()
    network.layer2.eval()
    network.layer3.requires_grad_(False)
    values = copy.deepcopy(network.state_dict())

    def disturb(module, inputs):
        torch.rand(3)
        if fail:
            raise RuntimeError("from the forward pass")

    network.layer4.register_forward_pre_hook(disturb)
    with context():
        before = _state(network)
        if fail:
            with pytest.raises(RuntimeError, match="from the forward pass"):
                capture(network, images, ["layer1.0.bn3", *STAGES])
        else:
            captured = capture(network, images, ["layer1.0.bn3", *STAGES])
            assert captured.gradients["layer1"].abs().sum() > 0
        assert _state(network) == before
    for name, value in network.state_dict().items():
        assert torch.equal(value, values[name])


def test_images_made_in_inference_mode_or_with_a_graph_work_and_stay_untouched(network, images):
    expected = capture(network, images, ["conv1"]).gradients["conv1"]
    with torch.inference_mode():
        inside = images.clone()
        torch.testing.assert_close(capture(network, inside, ["conv1"]).gradients["conv1"], expected)
    leaf = images.clone().requires_grad_()
    torch.testing.assert_close(capture(network, leaf, ["conv1"]).gradients["conv1"], expected)
    assert leaf.grad is None
    assert torch.equal(leaf, images)


def test_a_model_that_draws_numbers_draws_the_same_in_the_second_pass(network, images):
    network.maxpool.register_forward_hook(lambda _, __, output: output + torch.rand_like(output))
    torch.manual_seed(3)
    first = capture(network, images, ["layer1.0.bn3"])  # two passes
    torch.manual_seed(3)
    second = capture(network, images, ["layer1.0.bn3"])  # one pass
    assert torch.equal(first.gradients["layer1.0.bn3"], second.gradients["layer1.0.bn3"])


def test_nothing_survives_but_what_is_returned(network, images):
    seen = []
    for layer in ("layer1", "layer2", "layer4"):
        network.get_submodule(layer).register_forward_hook(lambda _, __, output: seen.append(weakref.ref(output)))
    gc.collect()
    gc.disable()
    try:
        captured = capture(network, images, ["layer1", "layer1.0.bn3", "layer4.1"])
        returned = [weakref.ref(value) for value in (*captured.activations.values(), *captured.gradients.values())]
        assert all(value.grad_fn is None for value in (captured.logits, captured.scores))
        assert [reference() for reference in seen] == [None] * 6  # three layers, two passes
        del captured
        assert [reference() for reference in returned] == [None] * 6
    finally:
        gc.enable()


def test_captures_inside_a_capture_and_in_other_threads_do_not_meet(network, images):
    expected = capture(network, images, STAGES, targets=1)
    inner = []

    def again(module, inputs):
        if not inner:
            inner.append(None)
            inner[0] = capture(network, images[:1], STAGES, targets=1)

    handle = network.layer3.register_forward_pre_hook(again)
    outer = capture(network, images, STAGES, targets=1)
    handle.remove()
    results = [None] * 4

    def work(i):
        if i == 3:
            with torch.no_grad():
                results[i] = [network(images) for _ in range(3)][-1]  # plain use beside the captures
        else:
            results[i] = [capture(network, images, STAGES, targets=1) for _ in range(2)][-1]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for layer in STAGES:
        torch.testing.assert_close(inner[0].gradients[layer], expected.gradients[layer][:1])
        for captured in (outer, *results[:3]):
            torch.testing.assert_close(captured.gradients[layer], expected.gradients[layer])
    torch.testing.assert_close(results[3], expected.logits)


def test_wrappers_are_taken_off(network, images):
    expected = capture(network, images, STAGES)
    wrapped = nn.DataParallel(network)
    compiled = torch.compile(network, backend="eager")
    for model in (wrapped, compiled):
        torch.testing.assert_close(capture(model, images, STAGES).gradients["layer2"], expected.gradients["layer2"])
    with pytest.raises(UnknownName, match="did you mean layer2"):
        capture(wrapped, images, ["module.layer2"])


def test_networks_that_run_only_compiled_are_refused(network, images):
    network.compile(backend="eager")
    with pytest.raises(TypeError, match="compiled in place"):
        capture(network, images, ["layer1"])
