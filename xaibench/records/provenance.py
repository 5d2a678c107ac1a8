"""What made a run: code revision, library versions, hardware. No host name, no user name, no path."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_LIBRARIES = (
    "xaibench",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "hydra-core",
    "scikit-image",
    "matplotlib",
)


def provenance(*, device: str, threads: int) -> dict[str, Any]:
    """Describe this process.

    Parameters
    ----------
    device : str
        The device in words, for instance ``cpu`` or a GPU's name.
    threads : int
        Threads that the tensor library uses.
    """
    return {
        "revision": revision(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": device,
        "threads": threads,
    }


def revision() -> str:
    """Git commit of the checkout that this code runs from, ``+changes`` if it has any; ``unknown`` elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "unknown"
    commit = _git(root, "rev-parse", "HEAD")
    return f"{commit}+changes" if commit and _git(root, "status", "--porcelain", "-uno") else commit or "unknown"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
