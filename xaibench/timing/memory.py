"""Meters of the peak memory between two moments, and how each one finds it.

A meter is reset where a piece of work begins; each `peak_mib` then gives the most that was held since the last call,
above what was held at the reset. What an earlier phase leaves behind, such as the graph, so counts in the later ones
that need it.

On a CPU, torch's memory comes from the C library, which keeps freed pages: a peak could hide in pages that are still
resident. Every reset therefore gives free pages back first where the library has `malloc_trim` (glibc).
"""

import ctypes
import threading
from math import nan
from pathlib import Path
from typing import Protocol, runtime_checkable

import psutil
import torch

MIB = 2**20
SAMPLING_SECONDS = 1e-3


@runtime_checkable
class MemoryMeter(Protocol):
    """What finds the peak memory of pieces of work.

    Attributes
    ----------
    method : str
        How it does so, for the record.
    reserved_mib : float
        Most MiB that the allocator kept from the device in the phase that `peak_mib` was asked about last, whether in
        use or not, and whoever asked for it first; NaN where there is no such number.
    """

    method: str
    reserved_mib: float

    def __enter__(self) -> "MemoryMeter":
        """Start metering."""

    def __exit__(self, *error: object) -> None:
        """Stop metering."""

    def reset(self) -> None:
        """Take what is held now as the floor."""

    def peak_mib(self) -> float:
        """Most MiB held above the floor since the last `reset` or `peak_mib`."""


class CudaMeter:
    """Peak of what tensors hold on a CUDA device; what the allocator merely keeps in reserve is told apart."""

    method = "torch.cuda.max_memory_allocated"
    reserved_mib = nan

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._floor = 0

    def __enter__(self) -> "CudaMeter":
        self.reset()
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to stop."""

    def reset(self) -> None:
        """Take the allocated memory as the floor."""
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        self._floor = torch.cuda.memory_allocated(self.device)

    def peak_mib(self) -> float:
        """Most MiB allocated above the floor since the last call."""
        torch.cuda.synchronize(self.device)
        peak = torch.cuda.max_memory_allocated(self.device)
        self.reserved_mib = torch.cuda.max_memory_reserved(self.device) / MIB
        torch.cuda.reset_peak_memory_stats(self.device)
        return (peak - self._floor) / MIB


class HighWaterMeter:
    """The kernel's high-water mark of this process's resident set, which Linux lets it set back; exact to pages."""

    method = "resident set, kernel high-water mark"
    reserved_mib = nan

    def __init__(self) -> None:
        self._floor = 0

    def __enter__(self) -> "HighWaterMeter":
        self.reset()
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to stop."""

    @staticmethod
    def available() -> bool:
        """Whether this system keeps the mark and permits setting it back."""
        try:
            _lower_high_water()
            return _status_bytes("VmHWM") > 0
        except (OSError, KeyError):
            return False

    def reset(self) -> None:
        """Give free pages back, then take the resident set as the floor."""
        _return_free_pages()
        _lower_high_water()
        self._floor = _status_bytes("VmRSS")

    def peak_mib(self) -> float:
        """Most MiB resident above the floor since the last call; 0 where it stayed below."""
        peak = _status_bytes("VmHWM")
        _lower_high_water()
        return max(peak - self._floor, 0) / MIB


class SamplingMeter:
    """The resident set as a thread sees it every millisecond: a shorter peak can be missed, and is then understated."""

    method = f"resident set, sampled every {SAMPLING_SECONDS * 1e3:g} ms"
    reserved_mib = nan

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._floor = self._peak = 0

    def __enter__(self) -> "SamplingMeter":
        self.reset()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name="memory meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def reset(self) -> None:
        """Give free pages back, then take the resident set as the floor."""
        _return_free_pages()
        with self._lock:
            self._floor = self._peak = self._resident()

    def peak_mib(self) -> float:
        """Most MiB seen resident above the floor since the last call."""
        with self._lock:
            now = self._resident()
            peak, self._peak = max(self._peak, now), now
        return max(peak - self._floor, 0) / MIB

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLING_SECONDS):
            with self._lock:
                self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        return int(self._process.memory_info().rss)


def meter_for(device: torch.device | str) -> MemoryMeter:
    """Choose the best meter that this system permits for work on `device`; it is used as a context."""
    device = torch.device(device)
    if device.type == "cuda":
        return CudaMeter(device)
    return HighWaterMeter() if HighWaterMeter.available() else SamplingMeter()


def _status_bytes(key: str) -> int:
    """Read a size such as ``VmRSS`` from the kernel's report on this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    sizes = dict(line.split(":", maxsplit=1) for line in lines if line.endswith(" kB"))
    return int(sizes[key].split()[0]) * 1024


def _lower_high_water() -> None:
    """Set the high-water mark back to the present resident set."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _return_free_pages() -> None:
    """Have the C library give free pages back to the system, where it can."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # no glibc: macOS, Windows, musl
        return
