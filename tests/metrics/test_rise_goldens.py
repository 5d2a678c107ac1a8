"""Deletion and insertion against RISE's own program: 1e-10 in float64, 2e-5 in float32, as the goldens state."""

import numpy as np
import pytest
import torch
from metric_goldens import Golden

from xaibench.metrics.areas import uniform_trapezoid
from xaibench.metrics.baselines import RiseBlur, rise_kernel
from xaibench.metrics.deletion import deletion_curve
from xaibench.metrics.insertion import insertion_curve
from xaibench.metrics.ordering import Order

SMALL, LARGE = Golden("rise_curves"), Golden("rise_curves_224")
CASES = [name for name, case in SMALL.cases.items() if "mode" in case["settings"]]
CURVES = {"del": deletion_curve, "ins": insertion_curve}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}


def close(actual, expected, dtype):
    torch.testing.assert_close(actual.double(), expected, atol=TOLERANCE[dtype], rtol=0)


def test_all_cases_are_found():
    assert len(CASES) == 16
    assert {case["settings"]["step_px"] for case in SMALL.cases.values() if "mode" in case["settings"]} == {
        28, 32, 224, 1000
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CASES)
def test_curves(name, dtype):
    case = SMALL.cases[name]
    settings, maps = case["settings"], SMALL[case["inputs"][1]]
    curve = CURVES[settings["mode"]]
    drawn = curve(
        SMALL.network(dtype), SMALL["images"].to(dtype), maps.to(dtype), step_px=settings["step_px"], batch_size=7
    )
    assert len(drawn.fractions) == settings["n_steps"] + 1
    close(drawn.scores, SMALL[f"{name}/scores"], dtype)
    close(drawn.areas, SMALL[f"{name}/auc"], dtype)
    mean_curve = drawn.scores.double().mean(dim=0)
    close(uniform_trapezoid(drawn.fractions, mean_curve), SMALL[f"{name}/auc_of_mean_curve"], dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", list(LARGE.cases))
def test_curves_at_the_authors_size(name, dtype):
    settings = LARGE.cases[name]["settings"]
    mean, std = (torch.tensor(v) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = torch.from_numpy(LARGE.arrays["image_uint8"]).float() / 255
    images = ((pixels - mean) / std).permute(2, 0, 1)[None].to(dtype)
    curve = CURVES[settings["mode"]]
    drawn = curve(LARGE.network(dtype), images, LARGE["map"][None].to(dtype), step_px=settings["step_px"])
    close(drawn.scores[0], LARGE[f"{name}/scores"], dtype)
    close(drawn.areas[0], LARGE[f"{name}/auc"], dtype)


def test_kernels():
    torch.testing.assert_close(rise_kernel(11, 5.0), SMALL["kernel/kernel_11_5_float64"], atol=1e-15, rtol=0)
    for kernel_px, sigma_px in ((11, 5), (7, 2), (51, 10)):
        expected = SMALL[f"kernel/kernel_{kernel_px}_{sigma_px}"]
        torch.testing.assert_close(rise_kernel(kernel_px, float(sigma_px)), expected, atol=1e-8, rtol=0)


def test_blurred_images():
    torch.testing.assert_close(RiseBlur()(SMALL["images"]), SMALL["blurred"], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["ties", "nearest", "constant"])
def test_other_tie_rule_gives_another_curve(name):
    """The goldens' tied maps do tell the tie rules apart."""
    network, images, maps = SMALL.network(), SMALL["images"], SMALL[f"maps_{name}"]
    later = deletion_curve(network, images, maps, step_px=32).areas
    earlier = deletion_curve(network, images, maps, step_px=32, order=Order(ties="raster")).areas
    assert (later - earlier).abs().max() > 1e-3


def test_predicted_class_is_followed():
    np.testing.assert_array_equal(SMALL.network()(SMALL["images"]).argmax(dim=1).numpy(), SMALL.arrays["class_index"])
