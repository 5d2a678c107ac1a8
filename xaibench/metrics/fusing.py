"""Fuse convolution, addition and ReLU of a network for inference on the CPU, as far as torch can trace it.

torch calls its tracer deprecated and offers `torch.compile` instead, which needs a C++ compiler on the user's machine and
minutes where this takes seconds. Should the tracer go, networks stay unfused, with a line in the log.
"""

import logging
import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xaibench.metrics.scoring import dtype_of, layout_of

log = logging.getLogger(__name__)

TOLERANCE = 1e-5


class Fused(nn.Module):
    """A traced network whose weights are constants.

    Attributes
    ----------
    takes_layout, takes_dtype
        Memory layout and precision of the images that it takes; it has no parameters to tell them.
    """

    def __init__(self, traced: torch.jit.ScriptModule, network: nn.Module) -> None:
        super().__init__()
        self._traced = (traced,)  # hidden from `modules`: what is frozen has no training mode to set
        self.takes_layout, self.takes_dtype = layout_of(network), dtype_of(network)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self._traced[0](images)
        return logits


def fused(network: nn.Module, image: Float[Tensor, "C H W"]) -> nn.Module:
    """Fuse a network in evaluation mode, or return it as it is where that fails or changes what it says.

    Parameters
    ----------
    network : nn.Module
        As `inference.fast_copy` makes it.
    image : Tensor, shape (C, H, W)
        One of the size that the network will see.

    Returns
    -------
    nn.Module
        A `Fused` network, whose probabilities lay within `TOLERANCE` of the network's for batches of one, two and three
        images; or `network`, and the log says why.
    """
    image = image.to(dtype_of(network) or image.dtype)
    noise = torch.randn(2, *image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    images = torch.cat([image[None], noise]).contiguous(memory_format=layout_of(network))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the deprecation, and of everything that a trace holds fast
            traced = torch.jit.trace(network, images[:2], check_trace=False)
            result = Fused(torch.jit.optimize_for_inference(torch.jit.freeze(traced)), network)
            deviation = max(_deviation(network, result, images[:n]) for n in (2, 3, 1, 2))
    except Exception as error:  # tracing runs the user's code and its own passes, which may fail in any way
        log.warning("the network is not fused: torch could not trace it (%s)", str(error).strip().split("\n")[0])
        return network
    if not deviation <= TOLERANCE:
        log.warning("the network is not fused: that moves a probability by %.1e, over %g", deviation, TOLERANCE)
        return network
    return result


def _deviation(network: nn.Module, other: nn.Module, images: Tensor) -> float:
    wanted, found = (one(images).double().softmax(dim=1) for one in (network, other))
    return float((wanted - found).abs().max())
