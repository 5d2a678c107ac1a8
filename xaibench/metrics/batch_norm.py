"""What becomes of batch norm's running statistics when the weights before it are randomized.

Trained statistics belong to activations that no longer exist: scaled by them, randomized activations shrink or grow
from layer to layer, which is part of what a cascade with kept statistics measures. So the treatment is said, never
implied.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNorm = Literal["keep", "reset", "reestimate"]


def reset_statistics(network: nn.Module, names: Iterable[str]) -> None:
    """Set the running statistics called `names` to those of a new layer: mean 0, variance 1, count 0."""
    for name in names:
        network.get_buffer(name).data.fill_(1 if name.endswith("running_var") else 0)


def reestimate_statistics(
    network: nn.Module, touched: set[nn.Module], images: Float[Tensor, "B C H W"], *, batch_size: int = 64
) -> None:
    """Measure running statistics anew in every batch norm that is called once a touched module was called.

    One pass, in which those layers normalize by the batch; with several batches the statistics are their plain
    average. All other layers stay in evaluation mode.

    Parameters
    ----------
    network : nn.Module
        Its batch norms' buffers change; training modes are restored.
    touched : set of nn.Module
        The modules whose parameters were replaced.
    images : Tensor, shape (B, C, H, W)
        What to measure on; at least two where a batch norm sees single pixels.
    """
    with _measuring(network, touched) as start_batch, torch.no_grad():
        for batch in images.split(batch_size):
            start_batch()
            network(batch)


@contextmanager
def _measuring(network: nn.Module, touched: set[nn.Module]) -> Iterator["_Reach"]:
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(norm, norm.training, norm.momentum) for norm in norms]
    reach = _Reach(touched)
    handles = [module.register_forward_pre_hook(reach.on_call) for module in {*touched, *norms}]
    try:
        yield reach
    finally:
        for handle in handles:
            handle.remove()
        for norm, training, momentum in before:
            norm.training, norm.momentum = training, momentum


class _Reach:
    """Turns a batch norm to measuring when something touched was called before it in this forward pass."""

    def __init__(self, touched: set[nn.Module]) -> None:
        self._touched, self._reached = touched, False

    def __call__(self) -> None:
        self._reached = False

    def on_call(self, module: nn.Module, _inputs: object) -> None:
        self._reached |= module in self._touched
        if self._reached and isinstance(module, _BatchNorm) and not module.training:
            module.reset_running_stats()
            module.training, module.momentum = True, None  # None: the plain average over batches
