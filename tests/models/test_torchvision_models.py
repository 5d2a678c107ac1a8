import hashlib
import shutil
import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch.testing import assert_close

from xaibench.models.preprocessing import Preprocessing
from xaibench.models.torchvision_models import build_torchvision, checkpoint, listed_weights, torchvision_names
from xaibench.models.weights import UnusableWeights, digest
from xaibench.names import UnknownName

MOBILE = "mobilenet_v3_small"


def build(name=MOBILE, weights=None, num_classes=None, seed=0):
    return build_torchvision(name, weights=weights, num_classes=num_classes, seed=seed)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def publish(monkeypatch, entry, network, folder: Path) -> Path:
    """Save a network as the file of listed weights would be, with its hash in its name."""
    torch.save(network.state_dict(), folder / "new")
    sha = hashlib.sha256((folder / "new").read_bytes()).hexdigest()
    path = (folder / "new").rename(folder / f"fake-{sha[:8]}.pth")
    monkeypatch.setattr(entry.value, "url", f"https://example.org/models/{path.name}")
    return path


def test_every_classifier_of_torchvisions_has_weights_with_a_preset_that_we_read():
    assert {"resnet50", "vgg16_bn", "vit_b_16", "swin_t"} <= set(torchvision_names())
    for name in torchvision_names():
        assert listed_weights(name)
        for entry in listed_weights(name).values():
            assert Preprocessing.from_torchvision(entry.transforms()).image_size


def test_random_weights_follow_their_seed_and_leave_the_global_generator_alone():
    state = torch.random.get_rng_state()
    first = digest(build(weights="random", seed=3).network)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(7)
    assert digest(build(weights="random", seed=3).network) == first
    assert digest(build(weights="random", seed=4).network) != first


def test_random_weights_have_any_number_of_classes_and_no_categories():
    built = build(weights="random", num_classes=7)
    assert built.network.classifier[-1].out_features == 7
    assert built.categories == ()
    assert built.weights == "random"


def test_unknown_weights_come_with_the_nearest():
    with pytest.raises(UnknownName, match=r"weights of resnet50 'IMAGENET1K_V3'; did you mean IMAGENET1K_V"):
        build("resnet50", "IMAGENET1K_V3")


def test_without_a_network_the_error_says_in_one_sentence_which_file_to_put_where(offline, hub):
    with pytest.raises(UnusableWeights) as caught:
        build("resnet50")
    message = str(caught.value)
    assert message == (
        "weights IMAGENET1K_V2 of resnet50 could not be downloaded (<urlopen error no route to host>): put the file "
        "resnet50-11ad3fa6.pth (from https://download.pytorch.org/models/resnet50-11ad3fa6.pth, SHA-256 beginning "
        f"11ad3fa6) into {hub}"
    )


def test_a_file_in_the_checkpoint_folder_is_enough(offline, hub, monkeypatch):
    entry = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    source = build(weights="random", seed=5).network
    publish(monkeypatch, entry, source, hub)
    for weights in (None, "DEFAULT", "IMAGENET1K_V1", "MobileNet_V3_Small_Weights.IMAGENET1K_V1"):
        built = build(weights=weights)
        assert digest(built.network) == digest(source)
        assert built.weights == "IMAGENET1K_V1"
        assert built.categories[:2] == ("tench", "goldfish")
        assert built.preprocessing == Preprocessing.from_torchvision(entry.transforms())


def test_a_download_lands_in_the_checkpoint_folder(hub, monkeypatch, tmp_path):
    entry = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    source = build(weights="random", seed=5).network
    path = publish(monkeypatch, entry, source, tmp_path)

    def download(url, target, hash_prefix, progress):
        assert (url, hash_prefix) == (entry.url, path.stem.rpartition("-")[2])
        shutil.copy(path, target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert digest(build().network) == digest(source)
    assert (hub / path.name).is_file()


def test_a_damaged_file_in_the_checkpoint_folder_is_found_out(offline, hub, monkeypatch):
    entry = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1
    path = publish(monkeypatch, entry, build(weights="random").network, hub)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableWeights, match="is damaged or another file"):
        checkpoint(MOBILE, entry)


def test_a_number_of_classes_that_listed_weights_do_not_have():
    with pytest.raises(ValueError, match="num_classes is 10, but mobilenet_v3_small IMAGENET1K_V1 has 1000"):
        build(weights="IMAGENET1K_V1", num_classes=10)


def test_a_local_file_brings_its_number_of_classes(tmp_path):
    source = build(weights="random", num_classes=11).network
    torch.save({"model": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "mine.pth")
    built = build(weights=tmp_path / "mine.pth")
    assert digest(built.network) == digest(source)
    assert (built.categories, built.weights) == ((), "mine.pth")
    with pytest.raises(UnusableWeights, match="has 11 classes, but num_classes is 12"):
        build(weights=tmp_path / "mine.pth", num_classes=12)


def test_a_local_file_with_a_thousand_classes_has_imagenets_categories(tmp_path):
    torch.save(build(weights="random").network.state_dict(), tmp_path / "mine.pt")
    assert build(weights=str(tmp_path / "mine.pt")).categories[0] == "tench"


def test_a_local_file_with_the_name_of_listed_weights_has_their_preprocessing(tmp_path):
    v1, v2 = (torchvision.models.MobileNet_V2_Weights[key] for key in ("IMAGENET1K_V1", "IMAGENET1K_V2"))
    assert v1.transforms().resize_size != v2.transforms().resize_size
    network = torchvision.models.mobilenet_v2()
    for entry in (v1, v2):
        path = tmp_path / Path(entry.url).name
        torch.save(network.state_dict(), path)
        assert build("mobilenet_v2", path).preprocessing == Preprocessing.from_torchvision(entry.transforms())


def test_a_file_for_another_architecture_is_refused(tmp_path):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "mine.pth")
    with pytest.raises(UnusableWeights, match=r"mine\.pth does not fit MobileNetV3"):
        build(weights=tmp_path / "mine.pth")


def test_safetensors_without_format_versions_fill_a_network_that_asks_for_them(tmp_path):
    source = build("mnasnet0_5", "random").network
    save_file(source.state_dict(), tmp_path / "mine.safetensors")
    assert digest(build("mnasnet0_5", tmp_path / "mine.safetensors").network) == digest(source)


def test_old_names_in_densenets_file_are_understood(tmp_path):
    source = build("densenet121", "random").network
    old = {
        key.replace(f"{part}{i}.", f"{part}.{i}.") if "denselayer" in key else key: tensor
        for key, tensor in source.state_dict().items()
        for part, i in [next(((p, i) for p in ("norm", "conv") for i in (1, 2) if f".{p}{i}." in key), ("-", 0))]
    }
    assert any(".norm.1." in key for key in old)
    torch.save(old, tmp_path / "mine.pth")
    assert digest(build("densenet121", tmp_path / "mine.pth").network) == digest(source)


def test_a_vit_is_built_for_the_image_size_of_its_weights(tmp_path, monkeypatch):
    def builder(name, *, weights, **options):
        raise LookupError(options["image_size"])

    entry = torchvision.models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    publish(monkeypatch, entry, torch.nn.Linear(1, 1), tmp_path)
    monkeypatch.setattr("xaibench.models.torchvision_models.get_model", builder)  # the real one would take ten seconds
    with pytest.raises(LookupError, match="384"):
        build("vit_b_16", tmp_path / Path(entry.url).name)


@pytest.mark.parametrize("aux", [True, False])
def test_googlenet_gives_plain_logits_and_listens_to_its_files_heads(tmp_path, aux):
    images = torch.rand(1, 3, 224, 224)
    source = torchvision.models.googlenet(aux_logits=aux, transform_input=True, init_weights=False).eval()
    torch.save(source.state_dict(), tmp_path / "mine.pth")
    network = build("googlenet", tmp_path / "mine.pth").network.eval()
    with torch.no_grad():
        assert_close(network(images), source(images))
    assert network.transform_input  # hardly moves untrained logits, so that the comparison cannot see it
