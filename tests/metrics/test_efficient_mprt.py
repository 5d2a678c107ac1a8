"""Entropy rise against stored values of the original program and closed forms; the whole test on small networks."""

import math

import pytest
import torch
from metric_goldens import Golden
from torch import nn

from xaibench.explainers.cams import GradCAM
from xaibench.explainers.references import Random, Sobel
from xaibench.metrics.efficient_mprt import EfficientMPRT, efficient_mprt, entropy_rise
from xaibench.metrics.histogram import histogram_entropy
from xaibench.metrics.randomization import randomized
from xaibench.metrics.schemes import SCHEMES
from xaibench.metrics.units import randomization_units

GOLDEN = Golden("emprt")


@pytest.mark.parametrize("case", GOLDEN.cases)
def test_stored_entropies_and_rises(case):
    settings, tolerance = GOLDEN.cases[case]["settings"], GOLDEN.cases[case]["tolerance"]["abs"]
    original, randomised = GOLDEN["maps_original"], GOLDEN["maps_randomised"]
    if settings["abs"]:
        original, randomised = original.abs(), randomised.abs()
    for maps, name in ((original, "original"), (randomised, "randomised")):
        found = histogram_entropy(maps, bins=settings["n_bins"])
        torch.testing.assert_close(found, GOLDEN[f"{case}/entropy_{name}"], atol=tolerance, rtol=0)
    values, reasons = entropy_rise(original, randomised, bins=settings["n_bins"])
    expected = GOLDEN[f"{case}/score"]
    assert expected.isinf().tolist() == [False] * 6 + [True]  # theirs divides by the zero of a constant map
    torch.testing.assert_close(values[:6], expected[:6], atol=tolerance, rtol=0)
    assert values[6].isnan()
    assert reasons == [""] * 6 + ["constant map (trained model)"]


def test_closed_form_and_undefined_cases():
    two, four = torch.tensor([0.0, 1, 0, 1]).reshape(1, 2, 2), torch.arange(4.0).reshape(1, 2, 2)
    constant, broken = torch.ones(1, 2, 2), torch.full((1, 2, 2), torch.nan)
    original = torch.cat([two, four, two, constant, two, broken])
    randomised = torch.cat([four, two, two, two, constant, two])
    values, reasons = entropy_rise(original, randomised)
    expected = torch.tensor([1.0, -0.5, 0.0], dtype=torch.float64)  # log 4 = 2 log 2
    torch.testing.assert_close(values[:3], expected)
    assert values[3:].isnan().all()
    assert reasons == [
        *("", "", ""),
        "constant map (trained model)",
        "constant map (randomized model)",
        "map holds NaN or infinity (trained model)",
    ]


def test_a_rule_counts_bins_on_the_original_for_both_maps():
    original = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    randomised = original**8
    values, _ = entropy_rise(original, randomised, bins="freedman_diaconis")
    bins = math.ceil((original.max() - original.min()) / (2 * _iqr(original) / 400 ** (1 / 3)))
    before, after = histogram_entropy(original, bins=bins), histogram_entropy(randomised, bins=bins)
    torch.testing.assert_close(values, (after - before) / before)
    sparse = (original - 0.9).relu()
    values, reasons = entropy_rise(sparse, randomised, bins="freedman_diaconis")
    assert values.isnan().all()
    assert reasons == ["entropy of the trained model's map is zero: all its pixels lie in one bin"]


def _iqr(maps):
    ends = torch.quantile(maps.flatten(), torch.tensor([0.25, 0.75], dtype=maps.dtype))
    return ends[1] - ends[0]


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()


IMAGES = torch.randn(6, 3, 24, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(6) % 5


def run(network, explainers, *, seed=0, images=IMAGES, targets=TARGETS, **settings):
    units = randomization_units(network, images, granularity="module")
    settings = EfficientMPRT(**settings)
    return efficient_mprt(network, images, targets, explainers, units=units, settings=settings, seed=seed)


def test_random_attributions_do_not_rise():
    """Uniform values: the entropy of n bins lacks log n by χ²(n − 1) / (2 P), so has deviation √(2 (n − 1)) / (2 P)."""
    values, reasons = run(small_network(), {"noise": Random()})["noise", ""]
    deviation = math.sqrt(2) * math.sqrt(2 * 99) / (2 * 24 * 32) / (math.log(100) - 99 / (2 * 24 * 32))
    assert reasons == [""] * 6
    assert values.abs().max() < 4 * deviation
    assert values.unique().numel() == 6  # two draws, not one compared with itself


def test_a_map_that_ignores_the_model_does_not_rise_at_all():
    values, _ = run(small_network(), {"edges": Sobel()})["edges", ""]
    assert torch.equal(values, torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("rectify", [True, False])
def test_the_whole_network_is_randomized_once_and_given_back(rectify):
    network, cam = small_network(), GradCAM(("2", "4"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = run(network, {"cam": cam}, seed=3, rectify=rectify)
    assert set(found) == {("cam", "2"), ("cam", "4")}
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())

    def attributions():
        rectified = GradCAM(("2", "4"), rectify=True) if rectify else cam
        return rectified(network, IMAGES, TARGETS)

    trained = attributions()
    with randomized(network, randomization_units(network, IMAGES), seed=3):  # blocks: the same draws
        forgotten = attributions()
    for layer in ("2", "4"):
        values, reasons = entropy_rise(trained[layer], forgotten[layer])
        torch.testing.assert_close(found["cam", layer][0], values, equal_nan=True)
        assert found["cam", layer][1] == reasons


def test_given_back_also_when_explaining_fails():
    class Fails(Random):
        calls = 0

        def maps(self, *args, **kwargs):
            Fails.calls += 1
            if Fails.calls == 2:
                raise RuntimeError("halfway")
            return super().maps(*args, **kwargs)

    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(RuntimeError, match="halfway"):
        run(network, {"fails": Fails()})
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_overflow_of_the_randomized_network_is_undefined_for_that_image(monkeypatch):
    def huge(module, name, seed):
        return {key: torch.full_like(value, 1e18) for key, value in module._parameters.items()}

    monkeypatch.setitem(SCHEMES, "initialization", huge)
    values, reasons = run(small_network(), {"cam": GradCAM(("2",))})["cam", "2"]
    assert values.isnan().all()
    assert reasons == ["map holds NaN or infinity (randomized model)"] * 6


def test_the_rest_of_the_batch_changes_nothing():
    together = run(small_network(), {"cam": GradCAM(("4",))})["cam", "4"][0]
    alone = run(small_network(), {"cam": GradCAM(("4",))}, images=IMAGES[2:3], targets=TARGETS[2:3])["cam", "4"][0]
    torch.testing.assert_close(alone, together[2:3], atol=1e-6, rtol=0)


def test_settings_are_told_apart():
    settings = EfficientMPRT(seeds=[1], bins="rice")
    assert settings.seeds == (1,)
    assert settings.defining() == {
        "name": "efficient_mprt",
        "bins": "rice",
        "scheme": "initialization",
        "batch_norm": "keep",
        "rectify": False,
    }


@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bins": 1}, "bins must be at least 2"),
        ({"bins": "scot"}, "did you mean scott"),
        ({"scheme": "normal"}, "unknown randomization scheme"),
        ({"batch_norm": "kept"}, "did you mean keep"),
        ({"seeds": ()}, "at least one seed"),
        ({"n_images": 0}, "at least one seed and one image"),
    ],
)
def test_wrong_settings_are_told_before_work(wrong, message):
    with pytest.raises(ValueError, match=message):
        EfficientMPRT(**wrong)
