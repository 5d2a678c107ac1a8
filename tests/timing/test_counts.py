import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from xaibench.timing.counts import Counter, CountingLaps, Counts


def counts_of(function, *inputs, mode=torch.inference_mode) -> Counts:
    with Counter() as counter, mode():
        function(*inputs)
    return counter.total


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_linear_layer_in_closed_form(mode):
    layer = nn.Linear(7, 5)
    found = counts_of(layer, torch.randn(3, 7), mode=mode)
    # a multiply-add is two operations; bias, input and weight are read, the output is written
    assert found == Counts(2 * 3 * 7 * 5, 4 * (5 + 3 * 7 + 7 * 5 + 3 * 5))


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_convolution_in_closed_form(mode):
    layer = nn.Conv2d(3, 8, 3, padding=1)
    found = counts_of(layer, torch.randn(2, 3, 6, 5), mode=mode)
    assert found == Counts(2 * 2 * 8 * 30 * 3 * 9, 4 * (2 * 3 * 30 + 8 * 3 * 9 + 8 + 2 * 8 * 30))


def test_the_backward_pass_of_a_linear_layer_is_two_products_of_the_same_size():
    weight = torch.randn(5, 7, requires_grad=True)
    images = torch.randn(3, 7, requires_grad=True)
    total = (images @ weight.T).sum()
    assert counts_of(total.backward).operations == 2 * (2 * 3 * 7 * 5)


def test_half_precision_moves_half_of_the_bytes():
    layer, values = nn.Linear(7, 5), torch.randn(3, 7)
    found = counts_of(layer.to(torch.bfloat16), values.to(torch.bfloat16))
    assert found.bytes_moved == 2 * (5 + 3 * 7 + 7 * 5 + 3 * 5)


def test_views_and_new_memory_move_nothing_copies_and_writes_do():
    values = torch.randn(2, 3, 4)
    assert counts_of(lambda: values.reshape(6, 4).transpose(0, 1)[1:, :2].flatten()[:0]).operations == 0
    assert counts_of(lambda: values.reshape(6, 4).transpose(0, 1)[1:]) == Counts()
    assert counts_of(lambda: torch.empty(100)) == Counts()
    assert counts_of(values.clone) == Counts(0, 2 * 24 * 4)
    assert counts_of(values.zero_) == Counts(0, 24 * 4)  # written, not read
    assert counts_of(lambda: values.fill_(1.0)) == Counts(0, 24 * 4)
    other = torch.randn(2, 3, 4)
    assert counts_of(lambda: values.copy_(other)) == Counts(0, 2 * 24 * 4)  # one read, the other written
    assert counts_of(lambda: values.add_(other)) == Counts(0, 3 * 24 * 4)


def test_the_same_operations_as_torch_s_own_counter():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(64, 5)
    ).eval()
    images = torch.randn(2, 3, 8, 8)
    with FlopCounterMode(display=False) as theirs:
        network(images).sum().backward()
    assert counts_of(lambda: network(images).sum().backward(), mode=torch.enable_grad).operations == (
        theirs.get_total_flops()
    )


def test_each_phase_gets_its_own_and_repeats_are_added_up():
    one = torch.randn(4, 4)
    with Counter() as counter:
        laps = CountingLaps(counter)
        one @ one  # before the work: not counted
        laps.start()
        one @ one
        laps.end("first")
        one + one
        laps.end("second")
        one @ one
        laps.end("first")
    assert laps.counts == {"first": Counts(2 * 128, 2 * 192), "second": Counts(0, 192)}
