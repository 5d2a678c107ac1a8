import copy

import pytest
import torch
from scipy.stats import spearmanr
from small_precision import IMAGES, LAYERS, TARGETS, network

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.map_precision import explained, map_errors, relative_error, score_errors

EPS = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-7}


def in_precision(dtype):
    return explained(copy.deepcopy(network()).to(dtype), IMAGES.to(dtype), TARGETS, GradCAM(LAYERS))


def test_relative_error_in_closed_form():
    wanted = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = wanted + torch.tensor([0.0, 0.5, 1.0])[:, None, None]
    found[0, 0, 1] = 1.0  # a difference of 1 in a map of norm 5
    errors = relative_error(found, wanted)
    assert errors[:2].tolist() == [0.2, 0.5]
    assert errors[2].isnan()  # nothing is relative to a map of zeros
    assert relative_error(torch.full((1, 2, 2), torch.inf), wanted[:1]).isnan().all()


def test_float64_is_its_own_measure():
    wanted, found = in_precision(torch.float64), in_precision(torch.float64)
    assert all(
        (errors == 0).all() and (ranks - 1).abs().max() < 1e-12 for errors, ranks in map_errors(found, wanted).values()
    )
    assert all((errors == 0).all() for errors in score_errors(found, wanted).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_errors_are_of_the_order_of_the_precision(dtype):
    errors = map_errors(in_precision(dtype), in_precision(torch.float64))
    assert list(errors) == list(LAYERS)
    for relative, ranks in errors.values():
        assert relative.shape == (len(IMAGES),)
        assert (relative > EPS[dtype] / 100).all()
        assert (relative < EPS[dtype] * 20).all()
        assert (ranks > 0.99).all()


def test_the_same_by_hand():
    wanted, found = in_precision(torch.float64), in_precision(torch.bfloat16)
    relative, ranks = map_errors(found, wanted)[LAYERS[0]]
    for b in range(len(IMAGES)):
        exact, near = (one.maps[LAYERS[0]][b].double().flatten().tolist() for one in (wanted, found))
        squares = [sum((a - c) ** 2 for a, c in zip(near, exact, strict=True)), sum(c * c for c in exact)]
        assert relative[b].item() == pytest.approx((squares[0] / squares[1]) ** 0.5, rel=1e-12)
        assert ranks[b].item() == pytest.approx(spearmanr(near, exact).statistic, abs=1e-12)


def test_scores_are_those_of_the_logits():
    wanted, found = in_precision(torch.float64), in_precision(torch.bfloat16)
    near = copy.deepcopy(network()).bfloat16()(IMAGES.bfloat16()).double()
    exact = network().double()(IMAGES.double())
    rows = torch.arange(len(IMAGES))
    expected = {
        "logit": (near - exact)[rows, TARGETS].abs(),
        "probability": (near.softmax(1) - exact.softmax(1))[rows, TARGETS].abs(),
    }
    errors = score_errors(found, wanted)
    assert set(errors) == {"logit", "probability", "log_probability", "margin", "sigmoid"}
    for name, values in expected.items():
        torch.testing.assert_close(errors[name], values, rtol=1e-9, atol=1e-12)
