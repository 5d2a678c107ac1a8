import pytest
import torch
from torch import nn

from xaibench.metrics.batch_size import fastest_batch_size
from xaibench.metrics.memory_limits import is_out_of_memory

IMAGE = torch.zeros(3, 2, 2)


class Clocked(nn.Module):
    """Takes as many seconds as `cost` says for a batch of that size, on a clock of its own."""

    def __init__(self, cost, error=None, fits=10**9):
        super().__init__()
        self.cost, self.now, self.error, self.fits, self.sizes = cost, 0.0, error, fits, []

    def forward(self, images):
        if len(images) > self.fits:
            raise self.error
        self.sizes.append(len(images))
        self.now += self.cost(len(images))
        return images.flatten(1)

    def found(self, **choices):
        return fastest_batch_size(self, IMAGE, clock=lambda: self.now, **choices)


def test_most_images_a_second_win():
    assert Clocked(lambda size: 1 + size / 10 if size < 16 else size).found(sizes=(1, 4, 8, 16)) == 8


def test_the_best_run_counts_and_the_first_one_does_not():
    model = Clocked(None)
    # 2 is the slower by its best run; 1 has a slow start and a busy moment, 2 an instant one that only warms up
    seconds = {1: [9.0, 5.0, 0.5], 2: [0.1, 2.0, 2.0]}
    model.cost = lambda size: seconds[size].pop(0)
    assert model.found(sizes=(2, 1), repeats=2) == 1
    assert model.sizes == [1, 2] * 3  # in turn


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
              RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")]
)  # fmt: skip
def test_what_does_not_fit_is_left_out_with_all_that_is_larger(error):
    model = Clocked(lambda size: 1.0, error, fits=8)
    assert model.found(sizes=(4, 8, 16, 32)) == 8
    assert model.sizes == [4, 8] * 4  # neither 16 nor 32 was tried twice
    with pytest.raises(ValueError, match=r"no batch size of \[16, 32\] fits the memory of cpu"):
        model.found(sizes=(16, 32))


def test_the_cpu_allocators_own_message_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_other_errors_are_the_users():
    with pytest.raises(RuntimeError, match="shapes"):
        Clocked(lambda size: 1.0, RuntimeError("shapes do not fit"), fits=0).found(sizes=(4,))


def test_time_is_capped():
    model = Clocked(lambda size: float(size))
    assert model.found(sizes=(2, 4, 8), at_most_seconds=5) in (2, 4)
    assert model.sizes == [2, 4]
    slow = Clocked(lambda size: 100.0)
    assert slow.found(sizes=(2, 4), at_most_seconds=5) == 2
    assert slow.sizes == [2]


@pytest.mark.parametrize("choices", [{"sizes": ()}, {"sizes": (0, 2)}, {"repeats": 0}])
def test_bad_choices(choices):
    with pytest.raises(ValueError, match="at least 1"):
        Clocked(lambda size: 1.0).found(**choices)


def test_images_come_in_the_models_precision():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).bfloat16()
    assert fastest_batch_size(network, IMAGE, sizes=(1,), repeats=1) == 1
