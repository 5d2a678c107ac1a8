import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from torch import nn

from xaibench.timing import works
from xaibench.timing.memory import HighWaterMeter
from xaibench.timing.needs import Needs, needs_of
from xaibench.timing.predicted import GraphLaps, TensorMeter, captured_mib

MIB = 2**20


def network() -> nn.Module:
    """Two convolutions with a ReLU each, pooling, a linear layer."""
    stages = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


IMAGES = torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 3])
FIRST, SECOND = 2 * 8 * 100 * 4, 2 * 16 * 100 * 4  # bytes of the outputs of the two convolutions


def test_the_peak_is_that_of_tensors_held_at_once():
    with TensorMeter() as meter:
        meter.reset()
        one = torch.zeros(MIB, dtype=torch.uint8)
        two = torch.zeros(2 * MIB, dtype=torch.uint8)
        del one
        assert meter.peak_mib() == 3
        assert meter.peak_mib() == 2
        views = [two[:10], two.view(2, -1), two.add_(1)]  # no memory of their own
        three = two + 1
        del views, two
        assert meter.peak_mib() == 4
        meter.reset()
        assert meter.peak_mib() == 0
        del three  # made before the reset
        assert meter.peak_mib() == 0


def test_a_chain_without_a_graph_holds_two_neighbours_at_a_time():
    needs = needs_of(works.inference(network(), IMAGES), network(), IMAGES)["inference"]
    assert needs.graph_mib == 0
    # the last convolution's output and its ReLU's are the largest neighbours
    assert needs.memory_mib == 2 * SECOND / MIB


def test_the_graph_in_closed_form():
    model = network()
    found = needs_of(works.full_backward(model, IMAGES, TARGETS, score="logit"), model, IMAGES)["full_backward"]
    # each ReLU saves what it put out, which is also what the next convolution saves; the linear layer saves its input;
    # the choice of the targets its indices and the logits. Parameters and images are there anyway.
    linear, logits, indices = 2 * 16 * 4, 2 * 5 * 4, 2 * 8
    assert found.graph_mib * MIB == FIRST + SECOND + linear + logits + indices


def test_a_truncated_graph_leaves_out_what_lies_before_the_layer():
    model = network()
    path = works.forward_without_hooks(model, IMAGES, ("2",))
    (found,) = needs_of(path, model, IMAGES).values()
    assert found.graph_mib * MIB == SECOND  # of the second ReLU; frozen, the linear layer needs no input
    path = works.forward_without_hooks(model, IMAGES, ("0",))
    (found,) = needs_of(path, model, IMAGES).values()
    assert found.graph_mib * MIB == FIRST + SECOND


def test_the_graph_is_gone_with_its_last_reference():
    weight = torch.randn(64, 64, requires_grad=True)
    with GraphLaps([]) as laps:
        out = (weight * weight).sum()
        del out
        laps.start()
    assert laps.most_mib() == 0


def test_captured_tensors_are_an_output_and_a_gradient_each():
    assert captured_mib(network(), IMAGES, ["0", "2"]) == {"0": 2 * FIRST / MIB, "2": 2 * SECOND / MIB}


def test_what_was_not_counted_is_unknown():
    assert all(math.isnan(value) for value in vars(Needs()).values())


@pytest.mark.skipif(not HighWaterMeter.available(), reason="needs the kernel's high-water mark")
def peaks_of_elementwise_work():
    block = torch.zeros(8 * MIB, dtype=torch.uint8)

    def work() -> None:
        kept = [block + 1 for _ in range(4)]
        (kept[0] + kept[1]).max()

    peaks = []
    for meter in (TensorMeter(), HighWaterMeter()):
        with meter:
            meter.reset()
            work()
            peaks.append(meter.peak_mib())
    return peaks


def test_the_prediction_is_met_where_tensors_are_all_there_is():
    """Elementwise work needs no workspace: what is measured is what the shapes say, to a few pages.

    In a process of its own: what other tests have freed may be given to this work again, and was resident before.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        peaks = process.submit(peaks_of_elementwise_work).result()
    assert peaks[0] == pytest.approx(40, abs=0.01)
    assert peaks[1] == pytest.approx(40, abs=4)
