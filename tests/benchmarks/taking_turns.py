"""Contenders timed in turn, in an order that turns round every other round, and their ratios round by round."""

import time

import numpy as np
import torch


def in_turn(benchmark, baseline, contenders, *, rounds, targets):
    """Time all contenders, each called with the number of the round; what they took stands in ``extra_info``.

    Every other round runs backwards, so that none is always first. `ratios` are medians over rounds of the time over the
    baseline's in the same round, `ratio_quartiles` their first and third quartiles, and `targets` says what is asked of
    them on a machine at rest.
    """
    seconds = {name: [] for name in contenders}
    for i in range(rounds):
        for name, function in list(contenders.items())[:: 1 if i % 2 == 0 else -1]:
            start = time.perf_counter()
            function(i)
            seconds[name].append(time.perf_counter() - start)
    paired = {name: np.divide(taken, seconds[baseline]) for name, taken in seconds.items()}
    benchmark.extra_info.update(
        seconds=seconds,
        ratios={name: float(np.median(values)) for name, values in paired.items()},
        ratio_quartiles={name: np.quantile(values, [0.25, 0.75]).tolist() for name, values in paired.items()},
        targets=targets,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
