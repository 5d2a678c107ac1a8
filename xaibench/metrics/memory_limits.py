"""What to do when memory runs out: halve the batch and say so, or say what to change where the size was fixed."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_SIGNS = (
    "DefaultCPUAllocator", "std::bad_alloc", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip
"""What messages of plain RuntimeErrors contain where memory ran out: torch on the CPU, and libraries on a GPU."""


class OutOfMemory(RuntimeError):
    """Memory ran out and no smaller batch may be tried; the message says what to change."""


@dataclass(frozen=True)
class Fitted(Generic[Result]):
    """What came of work on the largest batch that fits.

    Attributes
    ----------
    result
        What the work returned.
    batch_size : int
        With which it succeeded.
    reason : str
        Why that is less than was asked for; "" where it is not.
    """

    result: Result
    batch_size: int
    reason: str


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on a CUDA device, or on the CPU, whose allocator says so in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in _SIGNS)


def halving(batch_size: int, work: Callable[[int], Result]) -> Fitted[Result]:
    """Do `work(batch_size)`; where memory runs out, again with half the images, down to one.

    Parameters
    ----------
    batch_size : int
        At least 1.
    work : callable
        Gets the batch size. What it began and did not finish is lost: it is called anew.

    Raises
    ------
    OutOfMemory
        If not even one image fits. Every other error passes through.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    size = batch_size
    while True:
        try:
            result = work(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise OutOfMemory(
                    f"memory ran out even with one image at a time ({_first_line(error)}); use smaller images, fewer "
                    "layers at once, or a machine with more memory"
                ) from error
        else:
            reason = f"memory ran out at batch size {batch_size}; taken: {size}" if size < batch_size else ""
            return Fitted(result, size, reason)
        # out here the error, and with it the frames that hold its tensors, is gone
        _log.warning("memory ran out at batch size %d; trying %d", size, size // 2)
        size //= 2
        give_back_memory()


@contextmanager
def fixed_batch_size(batch_size: int, *, setting: str = "batch_size") -> Iterator[None]:
    """Turn running out of memory into an error that names the `setting` to change.

    Raises
    ------
    OutOfMemory
        Where memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
            raise
        advice = (
            f"{setting}={batch_size // 2}, or batch_size=auto" if batch_size > 1 else "smaller images or fewer layers"
        )
        raise OutOfMemory(f"memory ran out with {setting}={batch_size} ({_first_line(error)}); use {advice}") from error


def give_back_memory() -> None:
    """Return what nobody uses any more to the device, so that another attempt finds it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
