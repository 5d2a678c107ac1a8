"""A network learns labels by heart, whatever they are; a killed training goes on as if nothing had happened."""

import copy
import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from xaibench.metrics.memorizing import Memorizing
from xaibench.training.memorize import CACHE_VARIABLE, fresh_copy, memorize, memorized_file

N, CLASSES = 18, 3
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(N, 3, 6, 6, generator=GENERATOR)
LABELS = torch.randint(CLASSES, (N,), generator=GENERATOR)
SETTINGS = Memorizing(learning_rate=0.02, batch_size=6, max_epochs=80)


def small(*, stride=1, width=8, dropout=0.1):
    """Batch norm and dropout: whatever makes training and evaluation differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=stride, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, CLASSES),
        )
    with torch.no_grad():  # "trained": away from every initial value
        for tensor in network.state_dict().values():
            tensor.add_(1)
    return network.eval()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    result = memorize(small(), IMAGES, LABELS, settings=SETTINGS)
    torch.set_num_threads(before)
    return result


class Killed(BaseException):
    pass


def killed_after(epochs):
    def progress(epoch, row):
        if epoch == epochs:
            raise Killed

    return progress


def assert_same(first, second):
    states = [result.network.state_dict() for result in (first, second)]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=0, atol=0)
    values = [[(row["loss"], row["accuracy"]) for row in result.history] for result in (first, second)]
    assert values[0] == values[1]


def test_it_ends_at_the_first_epoch_that_knows_enough_in_evaluation_mode(undisturbed):
    assert undisturbed.reached
    assert not undisturbed.network.training
    with torch.no_grad():
        predicted = undisturbed.network(IMAGES).argmax(dim=1)
    assert undisturbed.accuracy == (predicted == LABELS).double().mean().item() > 0.95
    assert all(row["accuracy"] <= 0.95 for row in undisturbed.history[:-1])
    assert undisturbed.history[-1]["loss"] < undisturbed.history[0]["loss"]
    assert undisturbed.seconds > 0


def test_one_epoch_is_adam_on_cross_entropy():
    reference = fresh_copy(small(dropout=0.0), seed=0)
    result = memorize(small(dropout=0.0), IMAGES, LABELS, settings=replace(SETTINGS, batch_size=N, max_epochs=1))
    loss = nn.functional.cross_entropy(reference(IMAGES), LABELS)
    gradients = torch.autograd.grad(loss, list(reference.parameters()))
    assert result.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for parameter, gradient, trained in zip(
        reference.parameters(), gradients, result.network.parameters(), strict=True
    ):  # Adam's first step is the rate times the sign; where the gradient is all but zero, rounding decides that
        clear = gradient.abs() > 1e-4
        expected = parameter - SETTINGS.learning_rate * gradient.sign()
        torch.testing.assert_close(trained[clear], expected[clear], rtol=0, atol=1e-4)


def test_the_network_and_global_state_stay_as_they_were():
    network = small()
    network[0].weight.requires_grad_(False)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        result = memorize(network, IMAGES, LABELS, settings=replace(SETTINGS, max_epochs=1))
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(torch.get_rng_state(), state, rtol=0, atol=0)
    assert not network.training
    assert not network[0].weight.requires_grad
    fresh = fresh_copy(network, seed=SETTINGS.seed)
    assert not torch.equal(result.network[0].weight, fresh[0].weight)  # a frozen layer learns, too


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(undisturbed, tmp_path, epochs):
    file = tmp_path / "x" / "training.pt"
    with pytest.raises(Killed):
        memorize(small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file, progress=killed_after(epochs))
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    torch.manual_seed(99)  # nothing comes from the global generator
    seen = []
    resumed = memorize(
        small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file, progress=lambda epoch, row: seen.append(epoch)
    )
    assert seen == list(range(epochs + 1, len(undisturbed.history) + 1))
    assert_same(undisturbed, resumed)


def test_a_finished_training_is_found_again(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    file = memorized_file(small(), IMAGES, LABELS, SETTINGS)
    assert file.is_relative_to(tmp_path)
    memorize(small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file)
    again = memorize(small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file, progress=killed_after(1))
    assert not again.network.training
    assert_same(undisturbed, again)


def test_the_cache_key_tells_everything_that_decides_a_training():
    def key(network=None, images=IMAGES, labels=LABELS, **settings):
        return memorized_file(network or small(), images, labels, replace(SETTINGS, **settings)).name

    other = IMAGES.clone()
    other[3, 1, 2, 2] += 1e-3
    keys = [
        key(),
        key(small(stride=2)),
        key(small(width=9)),
        key(small(dropout=0.2)),
        key(images=other),
        key(labels=LABELS.roll(1)),
        key(seed=1),
        key(accuracy=0.9),
        key(max_epochs=81),
        key(learning_rate=0.03),
        key(batch_size=5),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(fresh_copy(small(), seed=5))  # weights that are drawn anew do not count
    assert key(images=IMAGES.contiguous(memory_format=torch.channels_last), labels=LABELS.int()) == key()


def test_another_trainings_checkpoint_is_refused(tmp_path):
    file = tmp_path / "training.pt"
    memorize(small(), IMAGES, LABELS, settings=replace(SETTINGS, max_epochs=1), checkpoint=file)
    with pytest.raises(ValueError, match="belongs to a training of another network, other images, labels or settings"):
        memorize(small(), IMAGES, LABELS.roll(1), settings=replace(SETTINGS, max_epochs=1), checkpoint=file)


def test_an_unreadable_checkpoint_begins_anew(undisturbed, tmp_path, caplog):
    file = tmp_path / "training.pt"
    file.write_bytes(b"no checkpoint")
    with caplog.at_level(logging.WARNING):
        assert_same(undisturbed, memorize(small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file))
    assert "is no readable checkpoint" in caplog.text
    assert_same(undisturbed, memorize(small(), IMAGES, LABELS, settings=SETTINGS, checkpoint=file))


def test_a_fresh_copy_has_forgotten_everything():
    network = small()
    fresh, again, other = (fresh_copy(network, seed=seed) for seed in (0, 0, 1))
    for name, tensor in network.named_parameters():
        assert not torch.isclose(fresh.get_parameter(name), tensor, atol=1e-3).any(), name
    norm = fresh[1]
    torch.testing.assert_close(norm.running_mean, torch.zeros(8), rtol=0, atol=0)
    torch.testing.assert_close(norm.running_var, torch.ones(8), rtol=0, atol=0)
    torch.testing.assert_close(fresh.state_dict(), again.state_dict(), rtol=0, atol=0)
    assert not torch.equal(fresh[0].weight, other[0].weight)
    assert fresh[0].weight.abs().max() <= 27**-0.5  # the layer's own initialization is uniform within this
    assert fresh.training


class Sizes(nn.Module):
    """Batch norm of single pixels, which fails in training on one image alone."""

    seen: list = []  # noqa: RUF012  shared by all copies

    def __init__(self):
        super().__init__()
        self.norm, self.fc = nn.BatchNorm1d(3), nn.Linear(3, CLASSES)

    def forward(self, images):
        if self.training:
            self.seen.append(len(images))
        return self.fc(self.norm(images.mean(dim=(2, 3))))


def test_no_step_is_left_with_a_single_image():
    Sizes.seen.clear()
    memorize(Sizes(), IMAGES[:13], LABELS[:13], settings=replace(SETTINGS, batch_size=4, max_epochs=1))
    assert Sizes.seen == [4, 3, 3, 3]


def test_too_few_epochs_are_told():
    result = memorize(small(), IMAGES, LABELS, settings=replace(SETTINGS, max_epochs=2))
    assert len(result.history) == 2
    assert not result.reached


def test_a_lost_loss_ends_the_training():
    result = memorize(small(), IMAGES, LABELS, settings=replace(SETTINGS, learning_rate=1e30))
    assert len(result.history) < 5
    assert not result.reached


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("a lock cannot be pickled")


@pytest.mark.parametrize(("network", "images", "labels", "message"), [
    (small(), IMAGES, LABELS + 1, "labels must be the network's classes, 0 to 2; got 1 to 3"),
    (small(), IMAGES, LABELS - 1, "got -1 to 1"),
    (small(), IMAGES[:1], LABELS[:1], "need two images or more"),
    (nn.Sequential(nn.Flatten(), Uncopyable(108, 3)), IMAGES, LABELS, "cannot be copied .*a lock cannot be pickled"),
    (nn.Flatten(), IMAGES, LABELS, "has no parameters"),
])  # fmt: skip
def test_what_cannot_be_trained_is_told(network, images, labels, message):
    with pytest.raises(ValueError, match=message):
        memorize(network, images, labels, settings=SETTINGS)


def test_a_label_for_each_image(as_in_production):
    with pytest.raises(ValueError, match="a label for each; got 18 and 17 labels"):
        memorize(small(), IMAGES, LABELS[:-1], settings=SETTINGS)


@pytest.mark.parametrize(("change", "message"), [
    ({"accuracy": 1.0}, "strictly between 0 and 1"),
    ({"max_epochs": 0}, "max_epochs must be at least 1"),
    ({"batch_size": 1}, "batch_size at least 2"),
    ({"learning_rate": 0.0}, "above zero"),
])  # fmt: skip
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)


@pytest.mark.slow
def test_the_packaged_networks_architecture_learns_permuted_labels_with_the_default_settings():
    from xaibench.data.shapes import Shapes
    from xaibench.metrics.data_randomization import DataRandomization, permuted
    from xaibench.models.shapes_resnet import load_shapes_resnet50

    settings, classifier = DataRandomization(), load_shapes_resnet50()
    samples = list(Shapes(settings.n_train, settings.train_seed))
    images = torch.stack([classifier.preprocessing.image(sample.image) for sample in samples])
    labels = permuted(torch.tensor([sample.labels[0] for sample in samples]), seed=0).labels
    result = memorize(classifier.network, images, labels, settings=settings.memorizing(0))
    assert result.reached
