"""What the machine was doing when times were taken: clock rates, load, and what slows a GPU down."""

import importlib
from dataclasses import dataclass
from math import nan

import psutil
import torch

_THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal slowdown by the driver",
    0x40: "thermal slowdown by the hardware",
    0x80: "power brake",
}
"""Bits of NVML's clock event reasons that mean that the GPU ran slower than it could."""


@dataclass(frozen=True)
class MachineState:
    """One look at the machine; NaN where the system does not tell.

    Attributes
    ----------
    processor_mhz : float
        Clock rate of the processor, mean over cores.
    load : float
        Processes that wanted to run in the last minute: over the number of threads used, others took their time.
    gpu_mhz, gpu_celsius : float
        Clock rate and temperature of the GPU; NaN on a CPU.
    throttles : tuple of str
        What slows the GPU down at this moment.
    """

    processor_mhz: float = nan
    load: float = nan
    gpu_mhz: float = nan
    gpu_celsius: float = nan
    throttles: tuple[str, ...] = ()


def machine_state(device: torch.device | str) -> MachineState:
    """Look at the machine; a GPU's part needs NVIDIA's NVML for Python (``nvidia-ml-py``), which torch asks itself."""
    device = torch.device(device)
    gpu = _gpu(device) if device.type == "cuda" else {}
    return MachineState(_processor_mhz(), _load(), gpu.get("mhz", nan), gpu.get("celsius", nan), _throttles(device))


def _processor_mhz() -> float:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):  # virtual machines and some ARM systems do not tell
        return nan
    return float(found.current) if found and found.current else nan


def _load() -> float:
    try:
        return float(psutil.getloadavg()[0])
    except OSError:
        return nan


def _gpu(device: torch.device) -> dict[str, float]:
    try:
        return {"mhz": float(torch.cuda.clock_rate(device)), "celsius": float(torch.cuda.temperature(device))}
    except (ModuleNotFoundError, RuntimeError):
        return {}
    except _nvml_errors():  # a GPU in parts
        return {}


def _nvml_errors() -> tuple[type[Exception], ...]:
    """NVML's own error, which torch passes through; none where NVML is absent."""
    try:
        return (importlib.import_module("pynvml").NVMLError,)
    except ImportError:
        return ()


def _throttles(device: torch.device) -> tuple[str, ...]:
    if device.type != "cuda":
        return ()
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return throttle_names(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    except (nvml.NVMLError, AttributeError):
        return ()


def throttle_names(bits: int) -> tuple[str, ...]:
    """Name those of NVML's clock event reasons that slow a GPU down; being idle is none."""
    return tuple(name for bit, name in _THROTTLES.items() if bits & bit)
