from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from fake_time import FakeClock
from torch import nn

from xaibench.timing import cells
from xaibench.timing.cells import Stock, conditions_of, under, why_no_explanation, why_unsupported, works_for
from xaibench.timing.conditions import conditions
from xaibench.timing.grid import Cell
from xaibench.timing.laps import Work
from xaibench.timing.vocabulary import EXPLANATION_PATH, INFERENCE

BASE = Cell(("0", "2"), 2, "grad_cam", 2, 8, "float32", "channels_last", False, False, 1)
CPU = torch.device("cpu")
PICTURES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 3, 1])


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.ReLU()
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).train()


class Probe:
    """Takes down the threads at the end of each phase."""

    def __init__(self):
        self.phases = []

    def start(self):
        self.phases.append(("start", torch.get_num_threads()))

    def end(self, phase):
        self.phases.append((phase, torch.get_num_threads()))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_batch_and_size_are_those_of_the_cell_and_images_come_again():
    stock = Stock(network(), PICTURES, TARGETS)
    cell = replace(BASE, batch_size=5, image_size=6)
    images = stock.images(cell)
    assert images.shape == (5, 3, 6, 6)
    assert torch.equal(images[:2], images[3:])
    assert stock.targets(cell).tolist() == [0, 3, 1, 0, 3]
    assert torch.equal(stock.images(replace(BASE, batch_size=3)), PICTURES)  # of their own size, as they are


def test_resizing_keeps_a_constant_image():
    stock = Stock(network(), torch.full((1, 3, 8, 8), 0.25), TARGETS[:1])
    assert torch.allclose(stock.images(replace(BASE, image_size=13)), torch.tensor(0.25))


@pytest.mark.parametrize(
    ("name", "layout"), [("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)]
)
def test_memory_format_of_images_and_weights(name, layout):
    stock, cell = Stock(network(), PICTURES, TARGETS), replace(BASE, memory_format=name)
    assert stock.images(cell).is_contiguous(memory_format=layout)
    assert stock.network(cell)[0].weight.is_contiguous(memory_format=layout)
    other = torch.contiguous_format if name == "channels_last" else torch.channels_last
    assert not stock.images(cell).is_contiguous(memory_format=other)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_precision_of_images_and_logits(dtype):
    stock, cell = Stock(network(), PICTURES, TARGETS), replace(BASE, dtype=dtype)
    assert stock.images(cell).dtype is getattr(torch, dtype)
    assert stock.network(cell)(stock.images(cell)).dtype is getattr(torch, dtype)


def test_the_network_is_copied_once_and_the_original_untouched():
    original = network()
    before = {name: value.clone() for name, value in original.state_dict().items()}
    stock = Stock(original, PICTURES, TARGETS)
    copy = stock.network(replace(BASE, dtype="bfloat16"))
    assert stock.network(replace(BASE, dtype="bfloat16", batch_size=1, threads=4)) is copy
    assert stock.network(BASE) is not copy
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert not copy.training
    assert original.training
    assert all(parameter.requires_grad for parameter in original.parameters())
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())


def test_threads_hold_inside_every_phase_and_only_there(two_threads):
    stock = Stock(network(), PICTURES, TARGETS)
    for threads in (1, 2):
        for work in works_for(stock, replace(BASE, threads=threads), score="logit", upsampling="bilinear"):
            probe = Probe()
            work.run(probe)
            assert [name for name, _ in probe.phases] == ["start", *work.phases]
            assert {found for _, found in probe.phases} == {threads}
            assert torch.get_num_threads() == 2


def test_threads_are_put_back_after_an_exception(two_threads):
    def fail(_):
        assert torch.get_num_threads() == 1
        raise ArithmeticError("planted")

    with pytest.raises(ArithmeticError, match="planted"):
        under(Work("", (), fail), BASE, CPU).run(Probe())
    assert torch.get_num_threads() == 2


def test_products_of_a_cuda_cell_are_set_and_put_back():
    flags = [torch.backends.cudnn.conv, torch.backends.cuda.matmul]
    before = [flag.fp32_precision for flag in flags]
    for dtype, expected in (("tf32", "tf32"), ("float32", "ieee")):
        with conditions_of(replace(BASE, dtype=dtype), torch.device("cuda")):
            assert [flag.fp32_precision for flag in flags] == [expected] * 2
        assert [flag.fp32_precision for flag in flags] == before


def test_the_explanation_is_that_of_the_cell_s_layers_and_method(monkeypatch):
    stock, found = Stock(network(), PICTURES, TARGETS), []
    kind = cells.CAM_CLASSES["layer_cam"]
    monkeypatch.setitem(cells.CAM_CLASSES, "layer_cam", lambda *a, **k: found.append((a, k)) or kind(*a, **k))
    cell = replace(BASE, method="layer_cam", layers=("2",), n_layers=1)
    inference, path = works_for(stock, cell, score="probability", upsampling="nearest")
    assert (inference.layer, inference.phases) == ("", (INFERENCE,))
    assert (path.layer, path.phases) == ("2", EXPLANATION_PATH)
    assert found == [((("2",),), {"score": "probability", "upsampling": "nearest", "rectify": True})]


def test_plain_inference_only_where_it_is_new_and_alone_where_hooks_cannot_be(monkeypatch):
    stock = Stock(network(), PICTURES, TARGETS)
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    options = {"score": "logit", "upsampling": "bilinear"}
    assert [work.layer for work in works_for(stock, BASE, **options, inference=False)] == ["0+2"]
    compiled = replace(BASE, compiled=True)
    assert [work.layer for work in works_for(stock, compiled, **options)] == [""]
    assert "hooks" in why_no_explanation(compiled)
    assert why_no_explanation(BASE) == ""


def test_a_cuda_graph_is_recorded_under_the_cell_s_conditions(monkeypatch, two_threads):
    stock, found = Stock(network(), PICTURES, TARGETS), []
    monkeypatch.setattr(cells, "Replayed", lambda model, _: found.append(torch.get_num_threads()) or model)
    works_for(stock, replace(BASE, cuda_graph=True, threads=1), score="logit", upsampling="bilinear")
    assert found == [1]
    assert torch.get_num_threads() == 2


def test_a_cuda_graph_is_recorded_in_its_own_stream_on_its_images_device(monkeypatch):
    said = []

    @contextmanager
    def entered(*what, **named):
        said.append((*what, *named.values()))
        yield

    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name, fake in {
        "CUDAGraph": lambda: "graph", "Stream": lambda _: stream, "current_stream": lambda _: stream,
        "stream": lambda one: entered("in", one), "device": lambda one: entered("on", one),
        "graph": lambda one, **named: entered("recording", one, **named),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, fake)
    cells.Replayed(network(), PICTURES)
    assert said == [("on", CPU), ("in", stream), ("recording", "graph", stream)]


def test_conditions_can_be_told_under_either_precision_of_products():
    network_, clock = network(), FakeClock()
    for dtype, expected in (("float32", ("ieee", False)), ("tf32", ("tf32", True))):
        with conditions_of(replace(BASE, dtype=dtype), torch.device("cuda")):
            told = conditions(network_, PICTURES, clock=clock)
        assert (told["float32_matmul_precision"], told["cudnn_allow_tf32"]) == expected


def test_what_the_cpu_cannot_do(monkeypatch):
    monkeypatch.setattr(cells, "available_cores", lambda: 2)
    for change, reason in {
        "dtype=tf32": "tf32 needs a CUDA device; this one is cpu",
        "dtype=float16": "float16 needs a CUDA device; this one is cpu",
        "cuda_graph=True": "a CUDA graph needs a CUDA device; this one is cpu",
        "threads=3": "3 threads on 2 cores would wait for each other",
        "n_layers=9": "the run names 2 layers; n_layers = 9 needs more, such as layers=blocks",
    }.items():
        name, value = change.split("=")
        typed = {"True": True}.get(value, int(value) if value.isdigit() else value)
        assert why_unsupported(replace(BASE, **{name: typed}), CPU) == reason
    for fine in (BASE, replace(BASE, dtype="bfloat16"), replace(BASE, compiled=True), replace(BASE, threads=2)):
        assert why_unsupported(fine, CPU) == ""


@pytest.mark.parametrize(
    ("capability", "bfloat16", "missing"), [((7, 5), False, {"tf32", "bfloat16"}), ((9, 0), True, set())]
)
def test_what_a_gpu_cannot_do(monkeypatch, capability, bfloat16, missing):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "old")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    found = {
        d
        for d in ("float32", "tf32", "bfloat16", "float16")
        if why_unsupported(replace(BASE, dtype=d), torch.device("cuda"))
    }
    assert found == missing
    both = replace(BASE, cuda_graph=True, compiled=True)
    assert "choose one of compiled and cuda_graph" in why_unsupported(both, torch.device("cuda"))
