"""What the reuse of unchanged outputs saves along a cascade; the maps are asserted to be the same.

pytest tests/benchmarks/test_benchmark_randomization.py --benchmark-only
"""

import time

import pytest
import torch

from xaibench.data.shapes import Shapes
from xaibench.explainers.cams import GradCAM
from xaibench.explainers.gradients import Gradient
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.units import randomization_units
from xaibench.models.zoo import load_model

N_IMAGES = 8
EXPLAINERS = {
    "layer4.2": {"grad_cam": GradCAM(("layer4.2",))},
    "layer1.2": {"grad_cam": GradCAM(("layer1.2",))},
    "four stages": {"grad_cam": GradCAM(("layer1.2", "layer2.3", "layer3.5", "layer4.2"))},
    "gradient": {"gradient": Gradient()},
}


@pytest.fixture(scope="module")
def classifier():
    return load_model(name="shapes_resnet50")


@pytest.fixture(scope="module")
def images(classifier):
    dataset = Shapes(N_IMAGES, seed=1)
    return torch.stack([classifier.preprocessing.image(dataset[i].image) for i in range(N_IMAGES)])


def cascade_maps(network, images, explainers, *, order, granularity, reuse):
    settings = ParameterRandomization(
        order=order, granularity=granularity, reuse=reuse, rectify=False, similarities=("pearson",)
    )
    units = randomization_units(network, images, granularity=granularity)
    targets = torch.zeros(len(images), dtype=torch.long)
    steps = randomization_similarities(network, images, targets, explainers, units=units, settings=settings, seed=0)
    return [step.maps for step in steps]


@pytest.mark.parametrize("explained", EXPLAINERS)
@pytest.mark.parametrize("granularity", ["stage", "module"])
@pytest.mark.parametrize("order", ["top_down", "independent", "bottom_up"])
def test_cascade(benchmark, classifier, images, order, granularity, explained):
    benchmark.group = f"{order}, {granularity}"
    seconds: dict[bool, list[float]] = {True: [], False: []}
    found = {}
    for _ in range(3 if granularity == "stage" else 1):
        for reuse in (False, True):  # in turn, so that drift hits both
            start = time.perf_counter()
            found[reuse] = cascade_maps(
                classifier.network, images, EXPLAINERS[explained], order=order, granularity=granularity, reuse=reuse
            )
            seconds[reuse].append(time.perf_counter() - start)
    for computed, reused in zip(found[False], found[True], strict=True):
        for key, maps in computed.items():
            scale = maps.abs().amax(dim=(1, 2), keepdim=True)
            torch.testing.assert_close(reused[key] / scale, maps / scale, atol=1e-5, rtol=0, equal_nan=True)
    computed, reused = min(seconds[False]), min(seconds[True])
    benchmark.extra_info.update(explained=explained, computed_s=computed, reused_s=reused, ratio=computed / reused)
    benchmark.pedantic(lambda: None, rounds=1)
