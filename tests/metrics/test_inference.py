import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.metrics.fusing import Fused, fused
from xaibench.metrics.inference import Inference, _ProductsIn, fast_copy, largest_deviation
from xaibench.metrics.scoring import dtype_of, layout_of

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def trained(network):
    """Give batch norms statistics and weights that a fold must take into account."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator).mul_(0.1)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(generator=generator).mul_(0.1)
    return network.eval()


@pytest.fixture(scope="module")
def resnet():
    state = torch.get_rng_state()
    torch.manual_seed(0)
    network = trained(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=10, width_per_group=8))
    torch.set_rng_state(state)
    return network


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_every_batch_norm_of_a_resnet_is_folded_and_the_result_kept(resnet):
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    fast = fast_copy(resnet)
    assert len(norms(resnet)) == 17
    assert norms(fast) == []
    assert largest_deviation(resnet, fast, IMAGES) < 1e-6
    exact = largest_deviation(resnet.double(), fast_copy(resnet.double()), IMAGES.double())
    resnet.float()
    assert exact < 1e-12
    assert fast.layer4[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert [name for name, _ in fast.named_modules()] == [name for name, _ in resnet.named_modules()]
    for name, value in resnet.state_dict().items():
        assert torch.equal(value, before[name])


class Forked(nn.Module):
    """The convolution's output is read beside the batch norm, so that folding would be wrong."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fold, self.folded = (
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),
        )  # fmt: skip

    def forward(self, images):
        x = self.conv(images)
        return self.folded(self.fold(self.norm(x) + x)).mean(dim=(2, 3))


class Twice(Forked):
    def forward(self, images):
        x = self.norm(self.conv(images))
        return self.folded(self.fold(self.norm(x))).mean(dim=(2, 3))


class Untraceable(Forked):
    def forward(self, images):
        x = self.norm(self.conv(images))
        return x.mean(dim=(2, 3)) if x.sum() > 0 else -x.mean(dim=(2, 3))


@pytest.mark.parametrize(("kind", "left"), [(Forked, 1), (Twice, 1), (Untraceable, 2)])
def test_what_cannot_be_folded_is_left(kind, left):
    network = trained(kind())
    fast = fast_copy(network)
    assert len(norms(fast)) == left
    assert largest_deviation(network, fast, IMAGES) < 1e-6


def test_hooked_modules_are_left():
    network = trained(Forked())
    network.folded.register_forward_hook(lambda *_: None)
    assert len(norms(fast_copy(network))) == 2


def test_a_training_models_copy_is_for_evaluation(resnet):
    resnet.train()
    assert not any(module.training for module in fast_copy(resnet).modules())
    assert resnet.training
    resnet.eval()


def test_deviation_is_seen(resnet):
    other = fast_copy(resnet)
    other.fc.bias.data[3] += 1
    assert largest_deviation(resnet, other, IMAGES) > 1e-2


@pytest.mark.parametrize(("dtype", "least", "most"), [("float32", 0, 1e-6), ("bfloat16", 1e-5, 5e-3)])
def test_copies_in_less_precision(resnet, dtype, least, most):
    """bfloat16 keeps eight bits; what comes out is off by some of the last of them, and float32 is not."""
    fast = Inference(dtype)(resnet)
    assert norms(fast) == []
    assert dtype_of(fast) == getattr(torch, dtype)
    assert layout_of(fast) == torch.channels_last
    assert all(value.dtype == torch.float32 for value in resnet.parameters())
    assert least <= largest_deviation(resnet, fast, IMAGES) < most


def test_batch_norm_is_folded_before_the_cast(resnet):
    """The product of scale and kernel is rounded once."""
    expected = fast_copy(resnet).layer1[0].conv2.weight.bfloat16()
    assert torch.equal(fast_copy(resnet, dtype="bfloat16").layer1[0].conv2.weight, expected)
    two_roundings = fast_copy(resnet.bfloat16()).layer1[0].conv2.weight
    resnet.float()
    assert not torch.equal(two_roundings, expected)


def test_a_norm_that_stays_keeps_its_statistics_in_float32(resnet):
    fast = Inference("bfloat16", fold=False)(resnet)
    assert len(norms(fast)) == len(norms(resnet)) == 17
    assert {value.dtype for norm in norms(fast) for value in (norm.running_var, norm.weight)} == {torch.float32}
    assert dtype_of(fast) == torch.bfloat16
    assert largest_deviation(resnet, fast, IMAGES) < 5e-3


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        (Inference("float16"), "'float16' needs a CUDA device, but the model is on 'cpu'"),
        (Inference("tf32"), "'tf32' needs a CUDA device"),
    ],
)
def test_what_the_device_cannot_do(resnet, inference, message):
    with pytest.raises(ValueError, match=message):
        inference.check(torch.device("cpu"))
    with pytest.raises(ValueError, match=message):
        inference(resnet)
    inference.check(torch.device("cuda"))


def test_fusing_is_for_the_cpu_and_needs_an_image(resnet):
    with pytest.raises(ValueError, match="fuse=True is for the CPU"):
        Inference(fuse=True).check(torch.device("cuda"))
    with pytest.raises(ValueError, match="needs an image"):
        Inference(fuse=True)(resnet)


def test_unknown_precision(as_in_production):
    with pytest.raises(ValueError, match="unknown dtype of inference 'bfloat'; did you mean bfloat16"):
        Inference("bfloat")


def flags():
    return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision


@pytest.mark.parametrize("precision", ["tf32", "ieee"])
def test_flags_hold_during_the_forward_only(precision):
    class Looking(nn.Module):
        def forward(self, images):
            seen.append(flags())
            if images is None:
                raise RuntimeError("no images")
            return images

    before, seen, network = flags(), [], Looking()
    _ProductsIn(precision).during_forward_of(network)
    network(IMAGES)
    assert flags() == before
    with pytest.raises(RuntimeError, match="no images"):
        network(None)
    assert flags() == before
    assert seen == [(precision, precision)] * 2
    assert before != seen[0]


def test_fused(resnet):
    fast = Inference(fuse=True)(resnet, image=IMAGES[0])
    assert isinstance(fast, Fused)
    assert not any(module.training for module in fast.modules())
    assert layout_of(fast) == torch.channels_last
    assert dtype_of(fast) == torch.float32
    for n in (1, 2, 4):
        assert largest_deviation(resnet, fast, IMAGES[:n]) < 1e-5


class Remembering(Forked):
    """Its trace takes the sum of the images that it saw for a constant."""

    def forward(self, images):
        return super().forward(images) * float(images.sum())


class Failing(Forked):
    def forward(self, images):
        return {"logits": super().forward(images), "n": len(images)}


@pytest.mark.parametrize(("kind", "why"), [(Remembering, "moves a probability by"), (Failing, "could not trace it")])
def test_what_cannot_be_fused_stays(kind, why, caplog):
    network = trained(kind())
    assert fused(network, IMAGES[0]) is network
    assert f"the network is not fused: {'that ' if kind is Remembering else 'torch '}{why}" in caplog.text
