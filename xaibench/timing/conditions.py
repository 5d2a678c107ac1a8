"""Under which conditions a time was taken: what a reader must know before comparing it with another."""

import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xaibench.timing.clock import Clock


def conditions(model: nn.Module, images: Tensor, *, clock: Clock) -> dict[str, object]:
    """Collect device, threads, library flags, precision, memory format and the clock's own quality, ready for JSON.

    Parameters
    ----------
    model : nn.Module
        The network timed.
    images : Tensor, shape (B, C, H, W)
        The batch timed.
    clock : Clock
        The clock used; its resolution and overhead are stated in milliseconds.

    Returns
    -------
    dict
        Plain strings, numbers, lists and booleans. No name of the machine.
    """
    backends: Any = torch.backends  # the older flags cannot be read once these differ from one another
    return {
        "device": device_name(images.device),
        "images": list(images.shape),
        "image_dtype": _short(images.dtype),
        "parameter_dtypes": sorted({_short(parameter.dtype) for parameter in model.parameters()}),
        "images_memory_format": _memory_format(images),
        "weights_memory_format": _weights_format(model),
        "autocast": torch.is_autocast_enabled(images.device.type),
        "float32_matmul_precision": backends.cuda.matmul.fp32_precision.replace("none", "ieee"),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "mkldnn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        "cudnn": torch.backends.cudnn.is_available() and torch.backends.cudnn.enabled,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_allow_tf32": backends.cudnn.conv.fp32_precision == "tf32",
        "torch": torch.__version__,
        "clock": clock.name,
        "clock_resolution_ms": clock.resolution_ms,
        "clock_overhead_ms": clock.overhead_ms,
    }


def device_name(device: torch.device) -> str:
    """Name the device for a person: ``cpu (…model…)`` or the GPU's product name; always says which of the two it is."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({_processor()})"


def _processor() -> str:
    """Model of the processor, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", maxsplit=1)[1].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), platform.processor() or platform.machine())


def _memory_format(tensor: Tensor) -> str:
    """Which of torch's two layouts a batch of images or kernels has."""
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous():
        return "channels_last"
    return "contiguous" if tensor.is_contiguous() else "strided"


def _weights_format(model: nn.Module) -> str:
    """Layout of the convolutions' kernels; those of 1×1 fit both layouts and do not tell."""
    formats = {_memory_format(weight) for weight in model.parameters() if weight.ndim == 4 and weight.shape[-1] > 1}
    return "+".join(sorted(formats)) or "none"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
