import gc
import logging
import weakref

import pytest
import torch

from xaibench.metrics.memory_limits import OutOfMemory, fixed_batch_size, halving, is_out_of_memory

CPU = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


def at_most(limit, error):
    """Work that fits `limit` images and takes down the sizes tried."""
    tried = []

    def work(size):
        tried.append(size)
        if size > limit:
            raise error
        return f"{size} images"

    return work, tried


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError(CPU),
        MemoryError(),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_halves_until_it_fits_and_says_so(error, caplog):
    work, tried = at_most(3, error)
    with caplog.at_level(logging.WARNING):
        fitted = halving(20, work)
    assert tried == [20, 10, 5, 2]
    assert (fitted.result, fitted.batch_size) == ("2 images", 2)
    assert fitted.reason == "memory ran out at batch size 20; taken: 2"
    assert [record.getMessage() for record in caplog.records] == [
        f"memory ran out at batch size {before}; trying {after}" for before, after in ((20, 10), (10, 5), (5, 2))
    ]


def test_what_fits_is_done_once_and_has_no_reason():
    work, tried = at_most(8, MemoryError())
    fitted = halving(8, work)
    assert (tried, fitted.batch_size, fitted.reason) == ([8], 8, "")


def test_torch_s_own_allocator_is_recognized():
    def work(size):
        return torch.empty(size * 2**52, dtype=torch.uint8) if size > 1 else "one"

    assert halving(2, work).batch_size == 1


def test_not_even_one_image_is_an_error_with_advice():
    work, tried = at_most(0, MemoryError("no more"))
    with pytest.raises(OutOfMemory, match=r"even with one image at a time \(no more\); use smaller images"):
        halving(4, work)
    assert tried == [4, 2, 1]


def test_other_errors_pass_at_once():
    work, tried = at_most(0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        halving(4, work)
    assert tried == [4]


def test_the_failed_attempt_s_tensors_are_gone_before_the_next():
    alive = []

    class Held:
        pass

    def work(size):
        gc.collect()
        assert not any(reference() for reference in alive)
        held = Held()
        alive.append(weakref.ref(held))
        if size > 1:
            raise MemoryError
        return size

    assert halving(4, work).result == 1
    assert len(alive) == 3


def test_a_fixed_size_is_an_error_that_names_the_setting():
    with (
        pytest.raises(
            OutOfMemory, match=r"with batch_size=64 \(CUDA out of memory\); use batch_size=32, or batch_size=auto"
        ),
        fixed_batch_size(64),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory\nmore")
    with pytest.raises(KeyError), fixed_batch_size(64):
        raise KeyError("other")


def test_size_out_of_range():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        halving(0, lambda size: size)


def test_what_is_no_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("expected scalar type Float"))
