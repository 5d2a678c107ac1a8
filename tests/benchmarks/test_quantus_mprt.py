"""The whole cascade of the packaged ResNet-50 against Quantus' MPRT. Run with ``--benchmark-only``.

Every module with parameters (107), top-down, one seed, 16 images, Grad-CAM at one layer. Both get the same network, in
the layout in which torch makes networks and in channels last. They draw different weights (Quantus gives equal-shaped
layers equal ones), so the similarities are not compared step by step; that both have one for every step is.
"""

import copy
import time
from contextlib import contextmanager

import pytest
import quantus
import torch

from xaibench.data.shapes import Shapes
from xaibench.explainers.cams import GradCAM
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.units import randomization_units
from xaibench.models.zoo import load_model

N_IMAGES, LAYER = 16, "layer4.2"


@pytest.fixture(scope="module")
def classifier():
    return load_model(name="shapes_resnet50")


@pytest.fixture(scope="module")
def images(classifier):
    dataset = Shapes(N_IMAGES, seed=1)
    return torch.stack([classifier.preprocessing.image(dataset[i].image) for i in range(N_IMAGES)])


@contextmanager
def counted(network):
    """Count the images that a network is called with, or a copy of it: a function is not copied with its hook."""
    sizes = []
    handle = network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    try:
        yield sizes
    finally:
        handle.remove()


def ours(network, images, targets):
    settings = ParameterRandomization(
        granularity="module", seeds=(0,), similarities=("spearman_abs",), batch_norm="reset", rectify=False
    )
    units = randomization_units(network, images[:1], granularity="module")
    steps = randomization_similarities(
        network, images, targets, {"grad_cam": GradCAM((LAYER,))}, units=units, settings=settings, seed=0
    )
    return [step.similarities["grad_cam", LAYER, "spearman_abs"] for step in steps]


def theirs(network, images, targets):
    metric = quantus.MPRT(layer_order="top_down", disable_warnings=True, display_progressbar=False)
    found = metric(
        model=network,
        x_batch=images.numpy(),
        y_batch=targets.numpy(),
        a_batch=None,
        explain_func=quantus.explain,
        explain_func_kwargs={
            "method": "LayerGradCam",
            "gc_layer": f"dict(model.named_modules())['{LAYER}']",
            "interpolate": tuple(images.shape[2:]),
        },
        batch_size=N_IMAGES,
        device="cpu",
    )
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
@pytest.mark.filterwarnings("ignore")  # Quantus' and NumPy's, of no matter here
def test_cascade_against_quantus(benchmark, classifier, images, layout):
    network = copy.deepcopy(classifier.network).to(memory_format=getattr(torch, layout)).eval()
    with torch.no_grad():
        targets = network(images).argmax(dim=1)
    seconds: dict[str, list[float]] = {"ours": [], "quantus": []}
    passes = {}
    for _ in range(3):  # in turn, so that drift hits both
        for name, run in (("ours", ours), ("quantus", theirs)):
            with counted(network) as sizes:
                start = time.perf_counter()
                found = run(network, images, targets)
                seconds[name].append(time.perf_counter() - start)
            passes[name] = sum(sizes)
            assert len(found) == 108
            assert all(len(values) == N_IMAGES for values in found)
    ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["quantus"], strict=True)]
    benchmark.extra_info.update(seconds=seconds, ratios=ratios, images_through_the_network=passes)
    benchmark.extra_info.update(threads=torch.get_num_threads(), torch=torch.__version__, quantus=quantus.__version__)
    benchmark.pedantic(ours, (network, images, targets), rounds=1)
