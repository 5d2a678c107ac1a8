"""Which batch size runs the most images a second, found by trying."""

import time
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xaibench.metrics.memory_limits import is_out_of_memory
from xaibench.metrics.scoring import dtype_of, evaluating, layout_of

SIZES = {"cpu": (8, 16, 32, 64), "cuda": (32, 64, 128, 256, 512)}


def fastest_batch_size(
    model: nn.Module,
    image: Float[Tensor, "C H W"],
    *,
    sizes: Sequence[int] | None = None,
    repeats: int = 3,
    at_most_seconds: int | float = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Batch size with the most images a second.

    Each size counts by the best of its runs after the first, which warms up; sizes take turns, so that a busy moment
    hits all of them. A size that does not fit the memory is left out, and so are all larger ones.

    Parameters
    ----------
    model : nn.Module
        Run in evaluation and inference mode, in its own precision and memory layout.
    image : Tensor, shape (C, H, W)
        What every batch is filled with.
    sizes : sequence of int, optional
        To try; those of `SIZES` for the image's device where none are given.
    repeats : int
        Rounds besides the one that warms up.
    at_most_seconds : float
        No run begins after this time but the first of all. Sizes that had none are left out; where time did not even
        last for a second round, the first one decides.
    clock : callable
        Seconds; for tests.

    Raises
    ------
    ValueError
        If no size fits the memory, or what was given is no list of positive sizes.
    """
    known = sorted(set(SIZES["cuda" if image.device.type == "cuda" else "cpu"] if sizes is None else sizes))
    if not known or known[0] < 1 or repeats < 1:
        raise ValueError(f"sizes and repeats must be at least 1 and not empty; got sizes={known}, repeats={repeats}")
    seconds: dict[int, list[float]] = {size: [] for size in known}
    image = image.to(dtype_of(model) or image.dtype)
    begin = clock()
    with evaluating(model):
        for _ in range(repeats + 1):
            for size in list(seconds):
                if clock() - begin > at_most_seconds and any(seconds.values()):
                    return _best(seconds)
                try:
                    seconds[size].append(_seconds(model, image, size, clock) / size)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    seconds = {smaller: taken for smaller, taken in seconds.items() if smaller < size}
                    break
    if not seconds:
        raise ValueError(f"no batch size of {known} fits the memory of {image.device}; give smaller ones")
    return _best(seconds)


def _best(seconds: dict[int, list[float]]) -> int:
    """Size with the shortest time an image; runs after a warm one where there are any."""
    warm = {size: taken[1:] for size, taken in seconds.items() if len(taken) > 1}
    times = warm or {size: taken for size, taken in seconds.items() if taken}
    return min(times, key=lambda size: min(times[size]))


def _seconds(model: nn.Module, image: Tensor, size: int, clock: Callable[[], float]) -> float:
    batch = image.expand(size, *image.shape).contiguous(memory_format=layout_of(model))
    _synchronize(image.device)
    start = clock()
    model(batch)
    _synchronize(image.device)
    return clock() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
