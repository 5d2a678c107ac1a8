"""Noisy linear imputation of a 224 × 224 image, against a sparse direct solver on the same masks (pytorch-grad-cam's)."""

import time

import pytest
import torch
from torch.nn import functional as F

from xaibench.metrics.imputation import linear_imputation

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # SciPy's, on how the other program builds its matrix
def test_against_a_direct_solver(benchmark):
    road = pytest.importorskip("pytorch_grad_cam.metrics.road")
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(1, 3, 14, 14, generator=generator), size=(224, 224), mode="bicubic")
    cam = F.interpolate(torch.rand(1, 1, 7, 7, generator=generator), size=(224, 224), mode="bilinear")
    ranks = cam.flatten().argsort(descending=True).argsort().view(1, 1, 224, 224)
    removed = torch.cat([ranks < int(224 * 224 * fraction) for fraction in FRACTIONS])
    direct = road.NoisyLinearImputer(noise=0)
    start = time.perf_counter()
    expected = torch.stack([direct(image[0], (~mask[0]).int()) for mask in removed])
    middle = time.perf_counter()
    filled = linear_imputation(image, removed)
    benchmark.extra_info["times_as_fast"] = (middle - start) / (time.perf_counter() - middle)
    benchmark.pedantic(linear_imputation, (image, removed), rounds=1)
    torch.testing.assert_close(filled, expected, atol=2e-5, rtol=0)
