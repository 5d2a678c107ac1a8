"""What the reuse of unchanged outputs saves along a cascade; the maps are asserted to be the same.

pytest tests/benchmarks/test_benchmark_randomization.py --benchmark-only
"""

import pytest
import torch
from torchvision.models.resnet import Bottleneck, ResNet

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.units import randomization_units


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=16, num_classes=10).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(8, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def cascade_maps(network, images, layers, *, order, granularity, reuse):
    settings = ParameterRandomization(
        order=order, granularity=granularity, reuse=reuse, rectify=False, similarities=("pearson",)
    )
    units = randomization_units(network, images, granularity=granularity)
    targets = torch.zeros(len(images), dtype=torch.long)
    steps = randomization_similarities(
        network, images, targets, {"grad_cam": GradCAM(layers)}, units=units, settings=settings, seed=0
    )
    return [step.maps for step in steps]


@pytest.mark.parametrize("reuse", [False, True], ids=["computed", "reused"])
@pytest.mark.parametrize(
    "layers", [("layer4.2",), ("layer1.2", "layer2.3", "layer3.5", "layer4.2")], ids=["one", "four"]
)
@pytest.mark.parametrize("granularity", ["stage", "block"])
@pytest.mark.parametrize("order", ["top_down", "independent", "bottom_up"])
def test_cascade(benchmark, network, images, order, granularity, layers, reuse):
    benchmark.group = f"{order}, {granularity}, {len(layers)} layers"
    choices = {"order": order, "granularity": granularity}
    found = benchmark.pedantic(
        cascade_maps, (network, images, layers), {**choices, "reuse": reuse}, rounds=3, warmup_rounds=1
    )
    if reuse:
        expected = cascade_maps(network, images, layers, **choices, reuse=False)
        torch.testing.assert_close(found, expected)
