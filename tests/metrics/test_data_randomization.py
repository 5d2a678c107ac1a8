"""Maps of two networks compared, against answers that algebra gives; and labels dealt out anew."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.references import Random
from xaibench.metrics.data_randomization import DataRandomization, compare_networks, permuted
from xaibench.metrics.memorizing import Memorizing

SIDE, CLASSES = 12, 4
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(5, 1, SIDE, SIDE, generator=GENERATOR)
TARGETS = torch.tensor([0, 1, 2, 3, 1])


@dataclass(frozen=True)
class Gradient(Explainer):
    """Of a linear model this is the target's row of weights."""

    name: ClassVar[str] = "gradient"

    def maps(self, model, images, targets, *, generator=None):
        images = images.clone().requires_grad_()
        return {"": torch.autograd.grad(model(images).gather(1, targets[:, None]).sum(), images)[0][:, 0]}


def linear(weight):
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, len(weight)))
    network[1].weight.data.copy_(weight)
    return network.eval()


def convolutional(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (
            nn.Conv2d(1, 6, 3, padding=1),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, CLASSES),
        )
        return nn.Sequential(*layers).eval()


WEIGHT, OTHER = torch.randn(2, CLASSES, SIDE * SIDE, generator=GENERATOR)


def compared(honest, other, explainers=None, *, similarities=("spearman",), images=IMAGES, targets=TARGETS, **choices):
    explainers = explainers or {"mine": Gradient()}
    choices = {"rectify": False, "seed": 0} | choices
    return compare_networks(honest, other, images, targets, explainers, similarities=similarities, **choices)


def test_a_network_compared_with_itself_is_the_same():
    network = convolutional(0)
    explainers = {"mine": Gradient(), "cam": GradCAM(("1",))}
    names = ("spearman", "spearman_abs", "ssim", "pearson")
    found = compared(network, network, explainers, similarities=names).found
    assert set(found) == {(key, layer, name) for key, layer in (("mine", ""), ("cam", "1")) for name in names}
    for values, reasons in found.values():
        torch.testing.assert_close(values, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
        assert reasons == [""] * 5


def test_two_linear_networks_are_as_similar_as_their_weights():
    values, _ = compared(linear(WEIGHT), linear(OTHER)).found["mine", "", "spearman"]
    expected = [spearmanr(WEIGHT[target], OTHER[target]).statistic for target in TARGETS]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_negated_weights_differ_in_sign_alone():
    found = compared(linear(WEIGHT), linear(-WEIGHT), similarities=("spearman", "spearman_abs")).found
    for name, value in (("spearman", -1.0), ("spearman_abs", 1.0)):
        expected = torch.full((5,), value, dtype=torch.float64)
        torch.testing.assert_close(found["mine", "", name][0], expected, rtol=0, atol=1e-12)


def test_the_other_networks_maps_come_along_at_their_own_resolution():
    maps = compared(convolutional(0), convolutional(1), {"cam": GradCAM(("1",))}, rectify=True).maps["cam", "1"]
    expected = GradCAM(("1",)).maps(convolutional(1), IMAGES, TARGETS)["1"].relu()
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-7)


def test_rectified_maps_are_compared_where_there_is_a_layer():
    explainers = {"cam": GradCAM(("1",)), "mine": Gradient()}
    honest, other = convolutional(0), convolutional(1)
    signed, cut = (compared(honest, other, explainers, rectify=rectify).found for rectify in (False, True))
    assert not torch.equal(signed["cam", "1", "spearman"][0], cut["cam", "1", "spearman"][0])
    torch.testing.assert_close(
        signed["mine", "", "spearman"][0], cut["mine", "", "spearman"][0], rtol=0, atol=1e-12, equal_nan=True
    )


def test_random_maps_are_drawn_for_each_network_anew():
    images, targets = torch.zeros(1, 1, 64, 64), torch.tensor([0])
    network = nn.Sequential(nn.Flatten(), nn.Linear(64 * 64, 2))
    value = compared(network, network, {"r": Random()}, images=images, targets=targets).found["r", "", "spearman"][0]
    assert abs(value.item()) < 5 / 64  # five deviations, 1 / √pixels, were all pixels independent
    again = compared(network, network, {"r": Random()}, images=images, targets=targets).found["r", "", "spearman"][0]
    assert value == again


def test_a_constant_map_of_the_retrained_network_is_undefined():
    weight = OTHER.clone()
    weight[1] = 0.5
    values, reasons = compared(linear(WEIGHT), linear(weight)).found["mine", "", "spearman"]
    assert [math.isnan(value) for value in values.tolist()] == [False, True, False, False, True]
    assert reasons == ["", "constant map (retrained network)", "", "", "constant map (retrained network)"]
    assert (
        compared(linear(weight), linear(WEIGHT)).found["mine", "", "spearman"][1][1] == "constant map (trained model)"
    )


class Wrapped(nn.Module):
    """A network that may overflow at the third image."""

    def __init__(self, network, *, overflows):
        super().__init__()
        self.network, self.overflows = network, overflows

    def forward(self, images):
        third = (images == IMAGES[2]).flatten(1).all(dim=1)
        return self.network(images).masked_fill((third & self.overflows)[:, None], torch.inf)


def test_images_at_which_the_retrained_network_overflows_are_undefined_and_the_others_are_not():
    honest = Wrapped(convolutional(0), overflows=False)
    found = [
        compared(honest, Wrapped(convolutional(1), overflows=overflows), {"cam": GradCAM(("network.1",))}).found
        for overflows in (False, True)
    ]
    (clean, _), (values, reasons) = (one["cam", "network.1", "spearman"] for one in found)
    assert reasons == ["", "", "map holds NaN or infinity (retrained network)", "", ""]
    assert values[2].isnan()
    kept = [0, 1, 3, 4]
    torch.testing.assert_close(values[kept], clean[kept], rtol=0, atol=1e-6)


def test_neighbours_and_batches_change_nothing():
    explainers = {"mine": Gradient(), "cam": GradCAM(("1",))}
    networks, names = (convolutional(0), convolutional(1)), ("spearman", "ssim")
    together = compared(*networks, explainers, similarities=names).found
    for b in range(len(IMAGES)):
        alone = compared(
            *networks, explainers, similarities=names, images=IMAGES[b : b + 1], targets=TARGETS[b : b + 1]
        )
        for key, (values, _) in alone.found.items():
            torch.testing.assert_close(values[0], together[key][0][b], rtol=0, atol=1e-6, equal_nan=True)


def test_networks_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="the honest one has 4, the other 3"):
        compared(linear(WEIGHT), linear(WEIGHT[:3]))


def test_targets_must_exist():
    with pytest.raises(ValueError, match="class 4 of image 0 is out of range"):
        compared(linear(WEIGHT), linear(OTHER), targets=TARGETS + 4)


def test_a_permutation_deals_out_the_same_labels():
    labels = torch.arange(10).repeat_interleave(100)
    dealt = permuted(labels, 3)
    assert torch.equal(dealt.labels.sort().values, labels)
    assert dealt.share_kept == (dealt.labels == labels).double().mean().item()
    # one in ten is kept by chance: a variance of 0.09 / 1000 and a little more for dealing without replacement
    assert abs(dealt.share_kept - 0.1) < 5 * math.sqrt(0.09 / 1000 * 1.01)
    assert torch.equal(permuted(labels, 3).labels, dealt.labels)
    assert not torch.equal(permuted(labels, 4).labels, dealt.labels)


@pytest.mark.parametrize("labels", [torch.full((5,), 2), torch.zeros(0, dtype=torch.int64)])
def test_equal_labels_cannot_be_permuted(labels):
    with pytest.raises(ValueError, match="labels must be of two classes at least"):
        permuted(labels, 0)


def test_settings_of_a_training():
    settings = DataRandomization(accuracy=0.9, max_epochs=7, learning_rate=0.1, batch_size=3)
    assert settings.memorizing(5) == Memorizing(0.9, 7, 0.1, 3, 5)
    assert set(settings.defining()).isdisjoint({"seeds", "n_images", "similarities", "control"})


@pytest.mark.parametrize(("change", "message"), [
    ({"seeds": []}, "at least one seed"),
    ({"n_images": 0}, "one image to compare"),
    ({"n_train": 1}, "two to train on"),
    ({"train_seed": -1}, "train_seed of 0 or more"),
    ({"similarities": ["spearmann"]}, "did you mean spearman"),
    ({"accuracy": 95.0}, "strictly between 0 and 1"),
    ({"max_epochs": 0}, "max_epochs"),
])  # fmt: skip
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(DataRandomization(), **change)
