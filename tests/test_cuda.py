"""The GPU's maps and curves are the CPU's, up to the rounding of float32."""

import pytest
import torch
from torchvision.models import resnet18

from xaibench.explainers.cams import GradCAM
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.inference import Inference, float32_products
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.perturbation import perturbation_curves

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

LAYERS = ("layer2.1", "layer4.1")


def on(device, maps=None):
    """Maps (B, M, H, W), and the probabilities of the curves of `maps`, or of the own ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet18(num_classes=10).eval().to(device)
        images, targets = torch.randn(2, 3, 64, 64).to(device), torch.tensor([3, 7], device=device)
    with float32_products("ieee"):
        found = torch.stack(list(GradCAM(LAYERS)(network, images, targets).values()), dim=1)
    curves = [kind(n_steps=8).curve(kind.__name__) for kind in (Deletion, Insertion)]
    ordering = found if maps is None else maps.to(device)
    drawn = perturbation_curves(Inference()(network), images, targets, ordering, curves, batch_size=8)
    return found.cpu(), torch.stack([curve.scores for curve in drawn.values()]).cpu()


def test_maps_and_curves_are_those_of_the_cpu():
    maps, scores = on("cpu")
    found, drawn = on("cuda", maps)  # the same maps, as rounding may put near-equal pixels in another order
    for mine, theirs in zip(found.unbind(1), maps.unbind(1), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * theirs.abs().max().item())
    torch.testing.assert_close(drawn, scores, rtol=1e-3, atol=0)
