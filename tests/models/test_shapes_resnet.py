import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import resnet50

from xaibench.data.shapes import Shapes
from xaibench.models import shapes_resnet
from xaibench.models.checks import check_classifier
from xaibench.models.shapes_resnet import WEIGHTS, card, export_half, load_shapes_resnet50, shapes_resnet50
from xaibench.models.weights import UnusableWeights

packaged = pytest.mark.skipif(not WEIGHTS.exists(), reason="the packaged weights have not been trained yet")


def seeded(width_per_group=4, num_classes=8):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return shapes_resnet50(width_per_group, num_classes)


def n_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_width_64_is_the_full_resnet50():
    ours, theirs = shapes_resnet50(64, 8), resnet50(weights=None, num_classes=8)
    assert n_parameters(ours) == n_parameters(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


def test_width_16_has_the_same_modules_and_fewer_parameters():
    ours, theirs = shapes_resnet50(), resnet50(weights=None)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert round(n_parameters(ours) / 1e6, 1) == 5.9


def test_bad_widths_are_refused():
    with pytest.raises(ValueError, match="at least 1, not 0 and 8"):
        shapes_resnet50(0, 8)


@pytest.mark.parametrize(("width", "classes"), [(4, 8), (8, 3)])
def test_an_exported_file_comes_back_rounded_to_half(tmp_path, width, classes):
    model = seeded(width, classes)
    sha256 = export_half(model, tmp_path / "mine.safetensors")
    assert sha256 == hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"]
    stored = load_file(tmp_path / "mine.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}
    classifier = load_shapes_resnet50(tmp_path / "mine.safetensors")
    assert not classifier.network.training
    for name, tensor in model.state_dict().items():
        loaded = classifier.network.state_dict()[name]
        assert loaded.dtype == tensor.dtype
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        torch.testing.assert_close(loaded, expected, rtol=0, atol=0)
    assert check_classifier(classifier) == classes
    assert (classifier.weights, len(classifier.categories)) == ("mine.safetensors", 8 if classes == 8 else 0)


def test_weights_too_large_for_half_are_named_and_nothing_is_written(tmp_path):
    model = seeded()
    with torch.no_grad():
        model.fc.bias[0] = 1e6
    with pytest.raises(ValueError, match=r"half precision: fc\.bias"):
        export_half(model, tmp_path / "mine.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_unusable_files_are_refused(tmp_path):
    with pytest.raises(UnusableWeights, match=r"missing\.safetensors"):
        load_shapes_resnet50(tmp_path / "missing.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not a file of tensors")
    with pytest.raises(UnusableWeights, match=r"broken\.safetensors"):
        load_shapes_resnet50(tmp_path / "broken.safetensors")
    export_half(torch.nn.Linear(2, 2), tmp_path / "linear.safetensors")
    with pytest.raises(UnusableWeights, match=r"does not fit shapes_resnet50: it has no 'layer1\.0\.conv1\.weight'"):
        load_shapes_resnet50(tmp_path / "linear.safetensors")


def test_a_packaged_file_unlike_its_card_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "shapes_resnet50.safetensors"
    export_half(seeded(), path)
    path.with_suffix(".json").write_text('{"sha256": "another"}')
    monkeypatch.setattr(shapes_resnet, "WEIGHTS", path)
    with pytest.raises(UnusableWeights, match="not the file that its card describes"):
        load_shapes_resnet50()


@packaged
def test_the_card_describes_the_packaged_weights():
    facts = card()
    classifier = load_shapes_resnet50()
    assert facts["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert tuple(facts["categories"]) == classifier.categories
    assert facts["image_size_px"] == classifier.preprocessing.crop
    assert (tuple(facts["mean"]), tuple(facts["std"])) == (classifier.preprocessing.mean, classifier.preprocessing.std)
    assert facts["test"]["accuracy"] >= 0.95
    assert facts["test"]["n"] == 5000


@pytest.mark.slow
@packaged
def test_the_packaged_network_knows_the_shapes():
    """At a true accuracy of 95 %, 256 images have fewer than 229 hits with a probability below 0.1 %."""
    classifier = load_shapes_resnet50()
    samples = list(Shapes(n=256, seed=90210))
    images = torch.stack([classifier.preprocessing.image(sample.image) for sample in samples])
    with torch.inference_mode():
        predicted = classifier.network(images).argmax(dim=1).numpy()
    assert (predicted == np.array([sample.labels[0] for sample in samples])).sum() >= 229
