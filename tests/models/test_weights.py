from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from xaibench.models.weights import UnusableWeights, digest, load_weights, read_state_dict


def net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4), head=nn.Linear(4, 2)))


def test_a_bare_state_dict_comes_back(tmp_path):
    for file, save in (("w.pth", torch.save), ("w.safetensors", save_file)):
        save(net(1).state_dict(), tmp_path / file)
        network = net(2)
        load_weights(network, tmp_path / file)
        assert_close(network.state_dict(), net(1).state_dict(), rtol=0, atol=0)


def test_the_old_format_of_torch_save_is_read(tmp_path):
    torch.save(net(1).state_dict(), tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    assert_close(read_state_dict(tmp_path / "w.pt")["head.bias"], net(1).state_dict()["head.bias"])


@pytest.mark.parametrize("key", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "model."])
def test_checkpoints_are_unwrapped_and_prefixes_dropped(tmp_path, key, prefix):
    state = {prefix + name: tensor for name, tensor in net(1).state_dict().items()}
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, key: state}, tmp_path / "w.pth")
    network = net(2)
    load_weights(network, tmp_path / "w.pth")
    assert digest(network) == digest(net(1))


def test_a_prefix_that_the_network_has_itself_stays(tmp_path):
    wrapped = nn.Sequential(OrderedDict(model=net(1)))
    torch.save(wrapped.state_dict(), tmp_path / "w.pth")
    target = nn.Sequential(OrderedDict(model=net(2)))
    load_weights(target, tmp_path / "w.pth")
    assert digest(target) == digest(wrapped)


def test_a_file_from_before_batch_counters_fits(tmp_path):
    state = {name: tensor for name, tensor in net(1).state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "w.pth")
    network = net(2)
    load_weights(network, tmp_path / "w.pth")
    assert_close(network.get_parameter("conv.weight"), net(1).get_parameter("conv.weight"))


def test_a_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "resnet50.pth").touch()
    with pytest.raises(UnusableWeights, match=r"resnet5O\.pth does not exist; did you mean resnet50\.pth"):
        read_state_dict(tmp_path / "resnet5O.pth")
    with pytest.raises(UnusableWeights, match="nor does its folder"):
        read_state_dict(tmp_path / "nowhere" / "w.pth")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.98])
@pytest.mark.parametrize("kind", ["w.pth", "old.pth", "w.safetensors"])
def test_a_truncated_file_is_called_corrupt(tmp_path, kept, kind):
    path = tmp_path / kind
    if kind == "w.safetensors":
        save_file(net().state_dict(), path)
    else:
        torch.save(net().state_dict(), path, _use_new_zipfile_serialization=kind == "w.pth")
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(UnusableWeights, match=rf"{kind}.*corrupt"):
        read_state_dict(path)


def test_a_text_file_is_called_no_weights(tmp_path):
    (tmp_path / "w.pth").write_text("not found\n")
    with pytest.raises(UnusableWeights, match="no weights file"):
        read_state_dict(tmp_path / "w.pth")


class Bomb:
    """Pickles to something that creates a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_code_is_refused_and_not_run(tmp_path):
    torch.save({"state_dict": net().state_dict(), "extra": Bomb(tmp_path / "boom")}, tmp_path / "w.pth")
    with pytest.raises(UnusableWeights, match="pickled Python objects"):
        read_state_dict(tmp_path / "w.pth")
    assert not (tmp_path / "boom").exists()


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(net(), tmp_path / "w.pth")
    with pytest.raises(UnusableWeights, match=r"torch\.save\(model\.state_dict\(\)"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, {"a": {"b": torch.zeros(2)}}])
def test_something_else_than_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UnusableWeights, match="expected a state dict"):
        read_state_dict(tmp_path / "w.pth")


def test_wrong_shapes_are_named_and_leave_the_network_alone(tmp_path):
    state = net(1).state_dict() | {"head.weight": torch.zeros(5, 4), "head.bias": torch.zeros(5)}
    torch.save(state, tmp_path / "w.pth")
    network = net(2)
    with pytest.raises(UnusableWeights, match=r"head\.weight is \(5, 4\) in the file, \(2, 4\) in the network"):
        load_weights(network, tmp_path / "w.pth")
    assert digest(network) == digest(net(2))


def test_wrong_names_are_given_with_the_nearest_and_leave_the_network_alone(tmp_path):
    state = net(1).state_dict()
    state["heads.bias"] = state.pop("head.bias")
    torch.save(state, tmp_path / "w.pth")
    network = net(2)
    with pytest.raises(UnusableWeights, match=r"lacks head\.bias \(nearest: heads\.bias\); it has unknown heads\.bias"):
        load_weights(network, tmp_path / "w.pth")
    assert digest(network) == digest(net(2))


def test_many_wrong_names_are_counted(tmp_path):
    torch.save({f"layer{i}.weight": torch.zeros(1) for i in range(9)}, tmp_path / "w.pth")
    with pytest.raises(UnusableWeights, match=r"layer3\.weight.* and 5 more"):
        load_weights(net(), tmp_path / "w.pth")


def test_the_digest_sees_every_value_and_name_but_no_memory_format():
    network = net(1)
    before = digest(network)
    assert before == digest(net(1)) == digest(net(1).to(memory_format=torch.channels_last))
    assert before != digest(net(2))
    with torch.no_grad():
        network.bn.running_mean[3] += 1e-6
    assert digest(network) != before
    assert digest(nn.Sequential(net(1))) != before
    assert digest(net(1).half()) != before
    assert digest(nn.Linear(2, 2).bfloat16())
