"""A copy of a model for fast inference: batch norm folded, channels last and, where asked for, in less precision."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from xaibench.metrics.folding import fold_batch_norms
from xaibench.metrics.fusing import fused
from xaibench.metrics.scoring import dtype_of, evaluating, layout_of
from xaibench.names import unknown

log = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16", "float16", "tf32"]


@dataclass(frozen=True)
class Inference:
    """How the model is run where no gradient is wanted.

    Attributes
    ----------
    dtype : {"float32", "bfloat16", "float16", "tf32"}
        Precision of weights and activations. bfloat16 runs anywhere, and pays where the processor has instructions for
        it; float16 and tf32 (float32 weights whose products keep ten bits) need a CUDA device. On such a device float32
        means float32: the tf32 that torch uses for convolutions unless told otherwise is switched off.
    fold : bool
        Fold batch norm into the convolutions before it, in the model's own precision.
    fuse : bool
        Have torch trace the copy and run convolution, addition and ReLU as one, on the CPU; see `fusing.fused`, which
        leaves the copy as it was where that fails or moves a probability by more than 1e-5.

    Notes
    -----
    What a choice costs in accuracy is measured, not promised: `precision_error.precision_error`.
    """

    dtype: Precision = "float32"
    fold: bool = True
    fuse: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Precision):
            raise unknown("dtype of inference", self.dtype, get_args(Precision))

    def check(self, device: torch.device) -> None:
        """Say before any work whether the device can do this.

        Raises
        ------
        ValueError
            If it cannot.
        """
        if self.dtype in ("float16", "tf32") and device.type != "cuda":
            raise ValueError(
                f"dtype {self.dtype!r} needs a CUDA device, but the model is on {device.type!r}; "
                "use 'float32' or 'bfloat16' there"
            )
        if self.fuse and device.type != "cpu":
            raise ValueError(f"fuse=True is for the CPU, but the model is on {device.type!r}; leave it out there")

    def __call__(self, model: nn.Module, *, image: Float[Tensor, "C H W"] | None = None) -> nn.Module:
        """Make the copy; `image` is one of the size that it will see, which only `fuse` needs."""
        self.check(_device_of(model))
        if self.fuse and image is None:
            raise ValueError("fuse=True needs an image of the size that the model will see: image=images[0]")
        fast = fast_copy(model, dtype=self.dtype, fold=self.fold)
        return fast if image is None or not self.fuse else fused(fast, image)


def fast_copy(model: nn.Module, *, dtype: Precision | None = None, fold: bool = True) -> nn.Module:
    """Copy a model for inference: evaluation mode, channels last, batch norm folded where that is possible.

    The copy keeps its modules' names; a folded batch norm becomes an identity. Logits agree with the original's up to
    rounding: measure it with `largest_deviation`. A model whose control flow cannot be traced is copied without
    folding. The original is not changed.

    Parameters
    ----------
    model : nn.Module
    dtype : {"float32", "bfloat16", "float16", "tf32"}, optional
        See `Inference`; the model's own precision where none is given. Batch norm that stays keeps its statistics in
        float32. The copy takes images in the precision that `scoring.dtype_of` tells.
    fold : bool
        Whether to fold.

    Raises
    ------
    ValueError
        If the model's device has no such precision.
    """
    device = _device_of(model)
    if dtype is not None:
        Inference(dtype).check(device)
    if dtype == "bfloat16" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        log.warning("without AVX-512, bfloat16 is imitated: expect it to be slower than float32 on this processor")
    fast = copy.deepcopy(model).eval()
    if fold:
        fold_batch_norms(fast)
    for parameter in fast.parameters():
        parameter.requires_grad_(False)
    if dtype is not None:
        cast(fast, torch.float32 if dtype == "tf32" else getattr(torch, dtype))
        if device.type == "cuda" and dtype in ("float32", "tf32"):
            _ProductsIn("tf32" if dtype == "tf32" else "ieee").during_forward_of(fast)
    return fast.to(memory_format=torch.channels_last)


def _device_of(model: nn.Module) -> torch.device:
    return next((value.device for value in model.parameters()), torch.device("cpu"))


def cast(network: nn.Module, dtype: torch.dtype) -> None:
    """Cast a network's weights; batch norm keeps float32 beside images in half precision."""
    network.to(dtype)
    for module in network.modules():
        if isinstance(module, _BatchNorm) and dtype in (torch.float16, torch.bfloat16):
            module.float()  # batch norm takes its statistics in float32 beside images in less


@contextmanager
def float32_products(precision: Literal["tf32", "ieee"]) -> Iterator[None]:
    """Set the precision of float32 products on CUDA devices; as before afterwards, also after an exception."""
    products = _ProductsIn(precision)
    products.set()
    try:
        yield
    finally:
        products.put_back()


class _ProductsIn:
    """Sets the precision of float32 products on CUDA devices while a network runs, and puts it back."""

    def __init__(self, precision: Literal["ieee", "tf32"]) -> None:
        self.precision = precision
        self.before: list[list[str]] = []

    def during_forward_of(self, network: nn.Module) -> None:
        """Hook the network; the flags are put back also where its forward fails."""
        network.register_forward_pre_hook(self.set)
        network.register_forward_hook(self.put_back, always_call=True)

    def set(self, *_: object) -> None:
        """Remember the flags and set them."""
        self.before.append([flag.fp32_precision for flag in self._flags()])
        for flag in self._flags():
            flag.fp32_precision = self.precision

    def put_back(self, *_: object) -> None:
        """Set the flags as they were."""
        for flag, precision in zip(self._flags(), self.before.pop(), strict=True):
            flag.fp32_precision = precision

    @staticmethod
    def _flags() -> list[Any]:
        backends: Any = torch.backends  # its modules make these at run time
        return [backends.cudnn.conv, backends.cuda.matmul]


def largest_deviation(model: nn.Module, fast: nn.Module, images: Float[Tensor, "B C H W"]) -> float:
    """Largest absolute difference of the two models' softmax probabilities on the images, in [0, 1]."""
    with evaluating(model), evaluating(fast):
        exact = model(images).double().softmax(dim=1)
        as_taken = images.to(dtype_of(fast) or images.dtype).contiguous(memory_format=layout_of(fast))
        near = fast(as_taken).double().softmax(dim=1)
    return float((exact - near).abs().max())
