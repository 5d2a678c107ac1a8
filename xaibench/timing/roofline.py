"""How fast this machine can be at best: matrix products and copies, measured with the threads and precision in use.

A phase that does `operations` and moves `bytes` cannot take less than each of them over its rate: the machine's roof [1]_.

.. [1] S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
       Architectures", Communications of the ACM 52 (4), 2009.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from xaibench.timing.clock import Clock, clock_for, elapsed_ms

PRODUCT_SIDES = (512, 1024, 2048, 4096)
COPY_MIB = (128, 256, 512)
RUNS = 3


@dataclass(frozen=True)
class Rates:
    """What the machine reached at best.

    Attributes
    ----------
    product_sides, copy_mib : tuple of float
        Sizes that were tried before the time was over: rows of the square matrices, MiB of the block copied, which is
        larger than most caches.
    products, copies : tuple of float
        The best rate at each of these sizes: 10⁹ multiplications and additions a second, 10⁹ bytes read and written.
    """

    product_sides: tuple[float, ...]
    products: tuple[float, ...]
    copy_mib: tuple[float, ...]
    copies: tuple[float, ...]

    @property
    def gflop_per_second(self) -> float:
        """Rate of matrix products, best of all sizes."""
        return max(self.products)

    @property
    def gbyte_per_second(self) -> float:
        """Rate of copies, best of all sizes."""
        return max(self.copies)


def measure_rates(
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
    *,
    max_seconds: float = 1.0,
    clock: Clock | None = None,
) -> Rates:
    """Measure the rate of matrix products and of copies, each at sizes from small to large, best of three runs.

    Parameters
    ----------
    device : torch.device or str
        ``cpu`` or a CUDA device.
    dtype : torch.dtype
        A floating-point type, the one in which the network runs; flags such as tf32 count as they are set.
    max_seconds : float
        Half of it for products, half for copies: no size begins that would take longer, by the rate of the one before;
        the smallest is always tried.
    clock : Clock, optional
        By default the one that `clock_for` chooses.

    Raises
    ------
    ValueError
        If `dtype` is no floating-point type, the time is not positive, or there is no such device.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"dtype: expected a floating-point type such as torch.float32, got {dtype}")
    if not max_seconds > 0:
        raise ValueError(f"max_seconds: expected a positive number, got {max_seconds}")
    clock = clock or clock_for(device)
    half = max_seconds / 2
    with torch.inference_mode():
        products = _best(PRODUCT_SIDES, _product_operations, lambda side: _product(side, device, dtype), clock, half)
        copies = _best(COPY_MIB, _copy_bytes, lambda mib: _copy(mib, device, dtype), clock, half)
    return Rates(
        tuple(map(float, products)), tuple(products.values()), tuple(map(float, copies)), tuple(copies.values())
    )


def _best(
    sizes: Sequence[int],
    amount: Callable[[int], float],
    task: Callable[[int], Callable[[], object]],
    clock: Clock,
    seconds: float,
) -> dict[int, float]:
    """Best rate in 10⁹ a second at each size for which there was time, going by the rate of the size before."""
    rates: dict[int, float] = {}
    clock.settle()
    began = clock.mark()
    for size in sizes:
        left = seconds - elapsed_ms(clock, began) / 1e3
        if rates and (RUNS + 1) * amount(size) / 1e9 / list(rates.values())[-1] > left:
            break
        run = task(size)
        run()  # warm-up
        rates[size] = amount(size) / 1e6 / min(_milliseconds(run, clock) for _ in range(RUNS))
    return rates


def _milliseconds(run: Callable[[], object], clock: Clock) -> float:
    clock.settle()
    start = clock.mark()
    run()
    end = clock.mark()
    clock.settle()
    return max(clock.milliseconds(start, end), clock.resolution_ms)


def _product_operations(side: int) -> float:
    return 2.0 * side**3


def _product(side: int, device: torch.device | str, dtype: torch.dtype) -> Callable[[], object]:
    one, other = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(one)
    return lambda: torch.mm(one, other, out=out)


def _copy_bytes(mib: int) -> float:
    """Bytes of the block, read once and written once."""
    return 2.0 * mib * 2**20


def _copy(mib: int, device: torch.device | str, dtype: torch.dtype) -> Callable[[], object]:
    block = torch.ones(mib * 2**20 // dtype.itemsize, device=device, dtype=dtype)
    target = torch.empty_like(block)
    return lambda: target.copy_(block)
