"""The CAM family against the goldens of the libraries and of the methods' authors, and against closed forms."""

import json
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import pictures, tiny_resnet
from torch import nn

from xaibench.explainers.cam import CAMS, grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, xgrad_cam
from xaibench.explainers.capture import capture
from xaibench.explainers.upsample import upsample

DATA = Path(__file__).parents[1] / "data"


def golden(name):
    """Arrays, cases and network (float64) of one file."""
    with np.load(DATA / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    meta = json.loads(str(arrays.pop("meta")))
    layers = [(n, getattr(nn, kind)(**arguments)) for n, kind, arguments in meta["net"]["layers"]]
    network = nn.Sequential(OrderedDict(layers))
    network.load_state_dict({k[4:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("net.")})
    cases = meta["cases"]
    named = cases if isinstance(cases, dict) else {case["name"]: case for case in cases}
    return arrays, named, network.double().eval()


def cases(name, *methods):
    _, named, _ = golden(name)
    return [(name, case) for case in named if case.split("/")[0] in methods]


def passed(name, case):
    """Arrays of a golden file and what our capture finds for one of its cases."""
    arrays, named, network = golden(name)
    _, layer, target = case.split("/")
    images = torch.from_numpy(arrays["images"]).double()
    targets = torch.from_numpy(arrays[f"targets_{target}"])
    captured = capture(network, images, [layer], targets=targets)
    outputs = {key: torch.from_numpy(arrays[f"{case}/{key}"]) for key in named[case]["outputs"]}
    return captured.activations[layer], captured.gradients[layer], outputs, named[case]["tolerance"]


def minmax(maps, eps=0.0):
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low + eps)


PYTORCH_GRAD_CAM = {
    "grad_cam": grad_cam,
    "grad_cam_plusplus": partial(grad_cam_plus_plus, eps=1e-6),
    "xgrad_cam": partial(xgrad_cam, eps=1e-7),
    "hires_cam": hires_cam,
    "layer_cam": layer_cam,
}


@pytest.mark.parametrize(
    ("name", "case"),
    cases("cam_pytorch_grad_cam", *PYTORCH_GRAD_CAM) + cases("cam_pytorch_grad_cam_hard", *PYTORCH_GRAD_CAM),
)
def test_pytorch_grad_cam_goldens(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    raw = PYTORCH_GRAD_CAM[case.split("/")[0]](activations, gradients)
    scale = outputs["raw"].abs().max().item()
    torch.testing.assert_close(raw, outputs["raw"], rtol=tolerance["raw_rel"], atol=tolerance["raw_rel"] * scale)
    rectified = raw.relu()
    rectified = rectified - rectified.amin((1, 2), keepdim=True)
    rectified = rectified / (rectified.amax((1, 2), keepdim=True) + 1e-7)
    resized = upsample(rectified.float(), outputs["map"].shape[1:])
    resized = resized - resized.amin((1, 2), keepdim=True)
    resized = resized / (resized.amax((1, 2), keepdim=True) + 1e-7)
    torch.testing.assert_close(resized, outputs["map"], rtol=0, atol=tolerance["map_abs"])


def test_captured_values_equal_the_stored_ones():
    arrays, _, network = golden("cam_pytorch_grad_cam")
    images, targets = torch.from_numpy(arrays["images"]).double(), torch.from_numpy(arrays["targets_predicted"])
    captured = capture(network, images, ["conv2", "relu2", "relu3"])
    assert torch.equal(captured.targets, targets)
    torch.testing.assert_close(captured.logits, torch.from_numpy(arrays["logits"]), rtol=1e-12, atol=1e-12)
    for layer in captured.activations:
        stored = {kind: torch.from_numpy(arrays[f"{kind}/{layer}"]) for kind in ("activations", "gradients")}
        torch.testing.assert_close(captured.activations[layer], stored["activations"], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(captured.gradients[layer], stored["gradients"], rtol=1e-12, atol=1e-12)


TORCHCAM = {
    "grad_cam": grad_cam,
    "xgrad_cam": partial(xgrad_cam, eps=1e-8),
    "layer_cam": layer_cam,
    # the denominator of alpha is lost in this program
    "grad_cam_plusplus": lambda a, g: torch.einsum("bk,bkhw->bhw", (g**2 * g.relu()).sum((2, 3)), a),
}


@pytest.mark.parametrize(("name", "case"), cases("cam_torchcam", *TORCHCAM))
def test_torchcam_goldens(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    rectified = TORCHCAM[case.split("/")[0]](activations, gradients).relu()
    scale = outputs["rectified"].abs().max().item()
    rtol = tolerance["rel"]
    torch.testing.assert_close(rectified, outputs["rectified"], rtol=rtol, atol=rtol * scale)
    shifted = rectified - rectified.amin((1, 2), keepdim=True)
    scaled = shifted / (shifted.amax((1, 2), keepdim=True) + 1e-8)
    torch.testing.assert_close(scaled, outputs["minmax"], rtol=rtol, atol=rtol)


def test_torchcam_loses_the_denominator_of_grad_cam_plus_plus():
    activations, gradients, outputs, _ = passed("cam_torchcam", "grad_cam_plusplus/relu2/predicted")
    ours = minmax(grad_cam_plus_plus(activations, gradients).relu())
    assert (ours - outputs["minmax"]).abs().max() > 0.05


@pytest.mark.parametrize(("name", "case"), cases("cam_captum", "grad_cam"))
def test_captum_goldens(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    signed = grad_cam(activations, gradients)
    size = outputs["upsampled_nearest"].shape[1:]
    ours = {
        "signed": signed,
        "rectified": signed.relu(),
        "grad_times_activation": hires_cam(activations, gradients),
        "upsampled_nearest": upsample(signed, size, mode="nearest"),
        "upsampled_bilinear": upsample(signed, size),
    }
    assert set(outputs) == set(ours)
    for key, expected in outputs.items():
        torch.testing.assert_close(ours[key], expected, rtol=0, atol=tolerance["float64_abs"])


@pytest.mark.parametrize(("name", "case"), cases("cam_authors", "layer_cam"))
def test_layer_cam_of_its_authors(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    resized = upsample(layer_cam(activations, gradients).relu(), outputs["map"].shape[1:])
    low, high = resized.amin((1, 2), keepdim=True), resized.amax((1, 2), keepdim=True)
    ours = (resized - low) / (high - low + 1e-8)
    torch.testing.assert_close(ours, outputs["map"], rtol=0, atol=tolerance["float64_abs"])


@pytest.mark.parametrize(("name", "case"), cases("cam_authors", "hires_cam"))
def test_hires_cam_of_its_authors(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    atol = tolerance["float64_abs"]
    torch.testing.assert_close(hires_cam(activations, gradients), outputs["raw"], rtol=0, atol=atol)
    torch.testing.assert_close(grad_cam(activations, gradients), outputs["grad_cam_raw"], rtol=0, atol=atol)


@pytest.mark.parametrize(("name", "case"), cases("cam_authors", "xgrad_cam"))
def test_xgrad_cam_of_its_authors(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    for key, maps in {
        "minmax": xgrad_cam(activations, gradients, eps=1e-6),
        "grad_cam_minmax": grad_cam(activations, gradients),
    }.items():
        ours = minmax(maps.relu()).float()
        torch.testing.assert_close(ours, outputs[key], rtol=0, atol=tolerance["abs"], equal_nan=True)


@pytest.mark.parametrize(("name", "case"), cases("cam_authors", "torchray_grad_cam"))
def test_grad_cam_of_torchray(name, case):
    activations, gradients, outputs, tolerance = passed(name, case)
    ours, atol = grad_cam(activations, gradients).relu(), tolerance["float64_abs"]
    torch.testing.assert_close(ours, outputs["onehot"], rtol=0, atol=atol)
    torch.testing.assert_close(upsample(ours, (43, 79)), outputs["onehot_resized"], rtol=0, atol=atol)


# ---- closed forms


def test_before_global_pooling_and_one_linear_layer_three_methods_are_one():
    network, images = tiny_resnet().double(), pictures(dtype=torch.float64)
    targets = torch.tensor([0, 1, 2])
    captured = capture(network, images, ["layer4.1"], targets=targets)
    activations, gradients = captured.activations["layer4.1"], captured.gradients["layer4.1"]
    cells = activations.shape[2] * activations.shape[3]
    cam = torch.einsum("bk,bkhw->bhw", network.fc.weight[targets], activations).detach() / cells
    for method in (grad_cam, hires_cam, xgrad_cam):
        torch.testing.assert_close(method(activations, gradients), cam, rtol=1e-12, atol=1e-14)
    # and the map adds up to the logit
    logits = captured.logits.gather(1, targets[:, None])[:, 0] - network.fc.bias[targets].detach()
    torch.testing.assert_close(cam.sum((1, 2)), logits)


def slow(method, a, g):
    """One image, loops over channels and pixels, from the papers."""
    K, h, w = a.shape
    result = torch.zeros(h, w, dtype=torch.float64)
    for k in range(K):
        cells = [(i, j) for i in range(h) for j in range(w)]
        A, G = a[k].tolist(), g[k].tolist()
        total = sum(A[i][j] for i, j in cells)
        weight = 0.0
        for i, j in cells:
            if method == "grad_cam":
                weight += G[i][j] / (h * w)
            elif method == "xgrad_cam":
                weight += G[i][j] * A[i][j] / total
            elif method == "grad_cam_plus_plus" and G[i][j] != 0:
                alpha = G[i][j] ** 2 / (2 * G[i][j] ** 2 + total * G[i][j] ** 3)
                weight += alpha * max(G[i][j], 0.0)
        for i, j in cells:
            local = {"hires_cam": G[i][j], "layer_cam": max(G[i][j], 0.0)}.get(method, weight)
            result[i, j] += local * A[i][j]
    return result


@pytest.mark.parametrize("method", CAMS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), h=st.integers(1, 4), w=st.integers(2, 4), channels=st.integers(1, 4))
def test_each_method_equals_its_paper_in_loops(method, seed, h, w, channels):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(2, channels, h, w, generator=generator, dtype=torch.float64).relu() + 0.01
    g = torch.randn(2, channels, h, w, generator=generator, dtype=torch.float64)
    g[:, :, 0, 0] = 0
    if method == "grad_cam_plus_plus":
        g = g.abs()  # away from the pole of alpha
    expected = torch.stack([slow(method, a[i], g[i]) for i in range(2)])
    torch.testing.assert_close(CAMS[method](a, g), expected, rtol=1e-9, atol=1e-11)


def test_a_silent_channel_adds_nothing_and_a_balanced_one_is_undefined():
    a, g = torch.ones(3, 2, 2, 2), torch.ones(3, 2, 2, 2)
    a[1, 0] = 0
    a[2, 0] = torch.tensor([[1.0, -1.0], [2.0, -2.0]])
    maps = xgrad_cam(a, g)
    assert torch.equal(maps[0], torch.full((2, 2), 2.0))
    assert torch.equal(maps[1], torch.ones(2, 2))
    assert maps[2].isnan().all()


def test_the_pole_of_alpha_is_undefined_and_tiny_gradients_are_not():
    a, g = torch.full((3, 1, 1, 2), -1.0), torch.ones(3, 1, 1, 2)  # ΣA = −2 = −2 / g
    a[1:] = 1.0
    g[1] = 1e-30  # g² underflows in float32
    g[2] = 0.0
    maps = grad_cam_plus_plus(a, g)
    assert maps[0].isnan().all()
    torch.testing.assert_close(maps[1], torch.full((1, 2), 1e-30), rtol=1e-5, atol=0)
    assert torch.equal(maps[2], torch.zeros(1, 2))
    assert torch.equal(grad_cam_plus_plus(a, g, eps=1e-6)[1], torch.zeros(1, 2))  # an epsilon hides them
