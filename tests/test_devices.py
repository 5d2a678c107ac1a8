"""No function of tensors mixes devices: the same work on a pretended CUDA device gives the same values."""

import pytest
import torch
from own_models import network
from pretended_cuda import MixedDevices, pretended_cuda

from xaibench.explainers.catalogue import EXPLAINERS
from xaibench.metrics.baselines import BASELINES, NEEDED
from xaibench.metrics.catalogue import CORRELATION, CURVES, LOCALIZATION, MAP
from xaibench.metrics.inference import Inference
from xaibench.metrics.masking import masked_scores
from xaibench.metrics.parameter_randomization import ParameterRandomization, randomization_similarities
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.similarity import SIMILARITIES
from xaibench.metrics.units import randomization_units
from xaibench.training.memorize import Memorizing, memorize

LAYERS = ("conv1", "relu2")


def batch(device):
    generator = torch.Generator().manual_seed(0)
    images, maps = torch.randn(2, 3, 32, 32, generator=generator), torch.randn(2, 2, 32, 32, generator=generator)
    return images.to(device), torch.tensor([1, 0], device=device), maps.to(device)


def on_both(work):
    """Results of `work(network, images, targets, maps)` on the CPU and on the pretended device."""
    here = work(network(), *batch("cpu"))
    with pretended_cuda() as device:
        there = work(network().to(device), *batch(device))
    return here, there


def same(work):
    here, there = on_both(work)
    torch.testing.assert_close(there, here, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda there: there + torch.ones(4),
        lambda there: torch.stack([there, there.cpu()]),
        lambda there: torch.ones(4)[there.long()],
        lambda there: there.masked_fill(torch.ones(4, dtype=torch.bool), 0.0),
        lambda there: torch.zeros(4).add_(there),
        lambda there: torch.randn(4, generator=torch.Generator(), device="cuda"),
    ],
)
def test_mixing_is_noticed(mixed):
    with pretended_cuda() as device, pytest.raises(MixedDevices):
        mixed(torch.ones(4).to(device))


def test_a_tensor_on_the_device_is_no_array():
    with pretended_cuda() as device, pytest.raises(TypeError, match="numpy"):
        torch.ones(4).to(device).numpy()


@pytest.mark.parametrize("name", EXPLAINERS)
def test_explainers(name):
    kind = EXPLAINERS[name]
    wanted = {"layers": LAYERS, "n_steps": 4}
    explainer = kind(**{key: value for key, value in wanted.items() if key in kind.__dataclass_fields__})
    same(lambda model, images, targets, _: [m.cpu() for m in explainer.maps(model, images, targets).values()])


def test_all_curves():
    curves = [curve for name, kind in CURVES.items() for curve in kind().curves(name)]
    few = [curve for curve in curves if len(curve.counts(32 * 32)) < 20]
    assert len(few) > 8

    def work(model, images, targets, maps):
        drawn = perturbation_curves(Inference()(model), images, targets, maps, few, batch_size=64)
        return [scores.areas for scores in drawn.values()]

    same(work)


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in NEEDED and name != "telea"])
def test_baselines(name):
    same(lambda model, images, targets, maps: BASELINES[name]()(images).cpu())


@pytest.mark.parametrize("name", ["faithfulness_correlation", "infidelity", "mu_fidelity"])
def test_correlation_metrics(name):
    metric = CORRELATION[name]()
    same(lambda *given: metric.scores(*given, batch_size=64).values)


def test_masked_scores_and_maps_alone():
    def work(model, images, targets, maps):
        found = masked_scores(model, images, targets, maps, batch_size=4)
        return [found.masked, *(kind().map_scores(maps).values for kind in MAP.values())]

    same(work)


def test_localization():
    def work(model, images, targets, maps):
        masks = images[:, 0] > 0
        return [kind()(maps[:, 0], masks).cpu() for kind in LOCALIZATION.values()]

    same(work)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarities(name):
    def work(model, images, targets, maps):
        first, second = maps.repeat(1, 1, 2, 2).unbind(1)  # large enough for a HOG block
        return SIMILARITIES[name](first, second).cpu()

    same(work)


def test_cascade():
    settings = ParameterRandomization(granularity="module", similarities=("spearman",))

    def work(model, images, targets, maps):
        units = randomization_units(model, images[:1], granularity="module")
        cams = {"cam": EXPLAINERS["grad_cam"](LAYERS)}
        steps = randomization_similarities(model, images, targets, cams, units=units, settings=settings, seed=0)
        return [value.cpu() for step in steps for value in step.similarities.values()]

    here, there = on_both(work)  # a CPU convolves in another memory layout
    torch.testing.assert_close(there, here, rtol=0, atol=0.02)


def test_training_on_the_cpu_seeds_no_gpu(monkeypatch):
    model, seeded = network(), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    images, labels, _ = batch("cpu")
    memorize(model, images, labels, settings=Memorizing(max_epochs=1))
    assert seeded == []
