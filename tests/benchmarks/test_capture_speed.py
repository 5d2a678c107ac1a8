"""Grad-CAM of ResNet-50 against the least work that the job needs, and against peers. Run with ``--benchmark-only``.

Each test times its contenders in turn, repetition by repetition, so that whatever else the machine does hits all
alike, asserts that they computed the same, and stores times, ratios and the target in the benchmark's ``extra_info``:
no time is a pass or a fail. The peers and the floor run as eager channels-last float32, as ours does.
"""

import copy
import warnings

import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from taking_turns import in_turn
from torch.nn.functional import interpolate
from torchcam.methods import GradCAM as TorchCAM
from torchvision.models import resnet50

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.capture import capture

BATCH, REPETITIONS = 4, 9
STAGES = ("layer1.2", "layer2.3", "layer3.5", "layer4.2")
BLOCKS = tuple(f"layer{stage}.{i}" for stage, depth in enumerate((3, 4, 6, 3), 1) for i in range(depth))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return resnet50().eval().to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def images():
    values = torch.randn(BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    return values.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def targets():
    return torch.arange(BATCH)


def interleaved(benchmark, baseline, contenders, *, targets, repetitions=REPETITIONS):
    """Warm all up and time them in turn; hand one more round of the last contender to pytest-benchmark."""
    for function in contenders.values():  # warm-up of the very path
        function()
    alone = {name: lambda _, function=function: function() for name, function in contenders.items()}
    in_turn(benchmark, baseline, alone, rounds=repetitions, targets=targets)
    benchmark.extra_info.update(batch=BATCH)
    benchmark.pedantic(list(contenders.values())[-1], rounds=1)


def by_hand(network, images, targets, kept):
    """Forward and backward of a ResNet, the backward ending at the first block of `kept`; no library."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    outputs = []
    for stage in range(1, 5):
        for i, block in enumerate(getattr(network, f"layer{stage}")):
            x = block(x)
            if f"layer{stage}.{i}" in kept:
                outputs.append(x if outputs else x.requires_grad_())
    logits = network.fc(network.avgpool(x).flatten(1))
    return outputs, torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), outputs)


def with_maps(network, images, targets, layers):
    outputs, gradients = by_hand(network, images, targets, layers)
    maps = [(a * g.mean((2, 3), keepdim=True)).sum(1, keepdim=True) for a, g in zip(outputs, gradients, strict=True)]
    return [interpolate(values, size=(224, 224), mode="bilinear")[:, 0].detach() for values in maps]


@pytest.mark.benchmark(group="capture")
@pytest.mark.parametrize("layers", [STAGES, BLOCKS], ids=["4 stages", "16 blocks"])
def test_grad_cam_against_the_floor(benchmark, network, images, targets, layers):
    cam = GradCAM(layers)
    for layer, expected in zip(layers, with_maps(network, images, targets, layers), strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(cam(network, images, targets)[layer], expected, rtol=0, atol=1e-4 * scale)
    interleaved(
        benchmark,
        "floor",
        {
            "floor": lambda: by_hand(network, images, targets, layers),
            "capture": lambda: capture(network, images, layers, targets=targets),
            "maps": lambda: cam(network, images, targets),
        },
        targets={"maps": "at most 1.05"},
    )


@pytest.mark.benchmark(group="capture")
def test_sixteen_blocks_against_one_at_the_same_depth(benchmark, network, images, targets):
    one, all_of_them = GradCAM(("layer1.0",)), GradCAM(BLOCKS)
    interleaved(
        benchmark,
        "one",
        {"one": lambda: one(network, images, targets), "sixteen": lambda: all_of_them(network, images, targets)},
        targets={"sixteen": "at most 1.25"},
    )


@pytest.mark.benchmark(group="capture")
def test_grad_cam_against_peers(benchmark, network, images, targets):
    size = (224, 224)
    modules = [network.get_submodule(layer) for layer in STAGES]

    def captum():
        maps = [LayerGradCam(network, module).attribute(images, target=targets) for module in modules]
        return [interpolate(values, size=size, mode="bilinear")[:, 0] for values in maps]

    def torchcam():
        with TorchCAM(network, list(STAGES)) as extractor:
            maps = extractor(targets.tolist(), network(images), normalized=False)
            return [interpolate(values[:, None], size=size, mode="bilinear")[:, 0] for values in maps]

    def pytorch_grad_cam():
        # one call a layer: called with several, it returns their mean
        maps = []
        for module in modules:
            with PytorchGradCAM(network, [module]) as cam:
                maps.append(torch.from_numpy(cam(images, [ClassifierOutputTarget(int(target)) for target in targets])))
        return maps

    def scaled(maps):
        """As pytorch-grad-cam scales each image's map, to [0, 1]."""
        maps = maps - maps.amin(dim=(1, 2), keepdim=True)
        return maps / (1e-7 + maps.amax(dim=(1, 2), keepdim=True))

    ours, frozen = GradCAM(STAGES), copy.deepcopy(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns of the hooks that it sets
        network.requires_grad_(True)
        expected = list(ours(network, images, targets).values())
        rectified = list(GradCAM(STAGES, rectify=True)(network, images, targets).values())
        for mine, mine_rectified, signed, cut in zip(expected, rectified, captum(), torchcam(), strict=True):
            scale = mine.abs().max().item()
            torch.testing.assert_close(mine, signed.detach(), rtol=0, atol=1e-4 * scale)
            torch.testing.assert_close(mine_rectified, cut, rtol=0, atol=1e-4 * scale)
        small = GradCAM(STAGES, rectify=True).maps(network, images, targets)
        for mine, theirs in zip(small.values(), pytorch_grad_cam(), strict=True):  # it scales before and after resizing
            resized = interpolate(scaled(mine)[:, None], size=size, mode="bilinear")[:, 0]
            torch.testing.assert_close(scaled(resized), theirs, rtol=0, atol=1e-4)
        interleaved(
            benchmark,
            "ours",
            {
                "floor": lambda: by_hand(frozen, images, targets, STAGES),
                "captum": captum,
                "torchcam": torchcam,
                "pytorch_grad_cam": pytorch_grad_cam,
                "ours": lambda: ours(network, images, targets),
            },
            targets=dict.fromkeys(("captum", "torchcam", "pytorch_grad_cam"), "above 1"),
            repetitions=4,
        )
