from dataclasses import replace
from functools import partial

import pytest
import torch
from fake_time import FakeClock, FakeMeter, Staged

from xaibench.timing import cells as cells_module
from xaibench.timing import sweep
from xaibench.timing.grid import Cell
from xaibench.timing.sweep import BaseCellError, time_sweep
from xaibench.timing.vocabulary import EXPLANATION, EXPLANATION_PATH, INFERENCE

BASE = Cell(("second", "third"), 2, "grad_cam", 2, 6, "float32", "contiguous", False, False, 1)
PICTURES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([1, 4, 0, 2])


class Shared(Staged):
    """A copy of it runs under the same clock."""

    def __deepcopy__(self, memo):
        copy = Shared(self.first.clock)
        copy.load_state_dict(self.state_dict())
        return copy


def timed_cells(cells, *, network=None, clock=None, **options):
    clock = clock or FakeClock()
    options = {"repeats": 4, "warmup": 3, "max_seconds": 1000.0, "clock": clock, "meter": FakeMeter(), **options}
    return time_sweep(
        network or Shared(clock), PICTURES, TARGETS, cells, score="logit", upsampling="bilinear", **options
    )


def test_every_cell_has_its_phases_in_its_place():
    deep = replace(BASE, layers=("third",), n_layers=1)
    rows = timed_cells([BASE, deep, replace(BASE, batch_size=1)])
    assert [(row.cell.batch_size, row.layer, row.phase) for row in rows] == [
        (2, "", INFERENCE),
        *((2, "second+third", phase) for phase in EXPLANATION_PATH),
        *((2, "third", phase) for phase in EXPLANATION_PATH),  # its plain inference is the base's
        (1, "", INFERENCE),
        *((1, "second+third", phase) for phase in EXPLANATION_PATH),
    ]
    by_key = {(row.cell, row.phase): row for row in rows}
    # a pass costs what it costs whatever the batch, so twice as much an image where the batch is half
    assert by_key[BASE, INFERENCE].milliseconds == (3.5,) * 4
    assert by_key[BASE, "backward_to_layer"].milliseconds == (20.0,) * 4
    assert by_key[replace(BASE, batch_size=1), "backward_to_layer"].milliseconds == (40.0,) * 4
    assert by_key[deep, "backward_to_layer"].milliseconds == (0.0,) * 4
    assert by_key[BASE, "backward_to_layer"].ratio_to_inference == pytest.approx(40 / 7)
    assert by_key[deep, "forward_with_hooks"].ratio_to_inference == 1.0
    assert by_key[BASE, INFERENCE].reason == ""
    assert by_key[BASE, "reduce"].peak_memory_mib == 3.0


def test_cells_take_turns():
    rows = timed_cells([BASE, replace(BASE, batch_size=1)], repeats=3)
    positions = {(row.cell.batch_size, row.layer): row.positions for row in rows}
    assert positions == {
        (2, ""): (0, 7, 8),
        (2, "second+third"): (1, 6, 9),
        (1, ""): (2, 5, 10),
        (1, "second+third"): (3, 4, 11),
    }


def test_what_is_not_supported_is_a_row_and_the_others_go_on():
    rows = timed_cells([BASE, replace(BASE, dtype="float16"), replace(BASE, threads=1, cuda_graph=True)])
    missing = [row for row in rows if row.status != "ok"]
    assert [(row.status, row.phase, row.milliseconds) for row in missing] == [("undefined", EXPLANATION, ())] * 2
    assert [row.reason.split(";")[0] for row in missing] == [
        "float16 needs a CUDA device",
        "a CUDA graph needs a CUDA device",
    ]
    assert len([row for row in rows if row.status == "ok"]) == 6


def test_what_fails_when_tried_is_a_row_and_the_others_go_on():
    missing_layer = replace(BASE, layers=("fourth",), n_layers=1)
    rows = timed_cells([BASE, missing_layer])
    assert [(row.cell, row.status) for row in rows[-1:]] == [(missing_layer, "failed")]
    assert rows[-1].reason.startswith("UnknownName: unknown layer 'fourth'")
    assert {row.phase for row in rows[:-1]} == {INFERENCE, *EXPLANATION_PATH}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": ("fourth",), "n_layers": 1}, "UnknownName: unknown layer 'fourth'"),
        ({"dtype": "tf32"}, "tf32 needs a CUDA device"),
    ],
)
def test_a_base_that_cannot_be_timed_is_an_error(change, reason):
    with pytest.raises(BaseCellError, match=f"base of the sweep, .*, failed: {reason}"):
        timed_cells([replace(BASE, **change), BASE])


class Shallow(Shared):
    """Fits explanations of four images from `third` on, and of two from `second`."""

    def __deepcopy__(self, memo):
        return Shallow(self.first.clock)

    def forward(self, images):
        x = self.second(self.first(images))
        if len(images) > 2 and x.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.linear(self.third(x).mean(dim=(2, 3)))


@pytest.mark.parametrize("with_half", [False, True])
def test_a_halved_cell_is_compared_with_inference_at_that_size_or_not_at_all(with_half):
    clock = FakeClock()
    four = replace(BASE, layers=("third",), n_layers=1, batch_size=4)
    rows = timed_cells(
        [four, replace(BASE, batch_size=4), *([replace(four, batch_size=2)] if with_half else [])],
        network=Shallow(clock), clock=clock,
    )  # fmt: skip
    forward = {(row.cell.batch_size, row.layer): row for row in rows if row.phase == "forward_with_hooks"}
    halved = forward[4, "second+third"]
    assert (halved.batch_size, forward[4, "third"].batch_size) == (2, 4)
    assert forward[4, "third"].ratio_to_inference == 1.0
    if with_half:  # 7 ms for two images, as plain inference of two takes; of four it would be twice
        assert halved.ratio_to_inference == 1.0
    else:
        assert halved.ratio_to_inference != halved.ratio_to_inference
        assert halved.reason.endswith("no plain inference was timed at batch size 2")


class Small(Shared):
    """Fits two images."""

    def __deepcopy__(self, memo):
        return Small(self.first.clock)

    def forward(self, images):
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(images)


def test_a_batch_that_does_not_fit_is_halved_and_says_so():
    clock = FakeClock()
    rows = timed_cells([replace(BASE, batch_size=7)], network=Small(clock), clock=clock)
    assert {row.batch_size for row in rows} == {3 // 2}
    assert {row.cell.batch_size for row in rows} == {7}
    assert all(row.reason.startswith("memory ran out at batch size 7; taken: 1") for row in rows)
    assert rows[0].milliseconds == (7.0,) * 4  # of one image
    assert rows[0].conditions["images"] == [1, 3, 6, 6]


def test_what_fits_in_no_size_is_a_row():
    class Hopeless(Small):
        def __deepcopy__(self, memo):
            return Hopeless(self.first.clock)

        def forward(self, images):
            raise MemoryError

    clock = FakeClock()
    with pytest.raises(BaseCellError, match="even with one image at a time"):
        timed_cells([BASE], network=Hopeless(clock), clock=clock)


def test_work_too_slow_for_the_sweep_is_run_once_and_the_others_are_not_held_up():
    # the explanation of `second` takes 47 ms, plain inference and that of `third` 7 ms; a quarter of the time is 25 ms
    rows = timed_cells([BASE, replace(BASE, layers=("third",), n_layers=1)], max_seconds=0.1, repeats=2, warmup=1)
    slow = [row for row in rows if row.layer == "second+third"]
    assert all(len(row.milliseconds) == 1 and "its first run, cold" in row.reason for row in slow)
    assert {len(row.milliseconds) for row in rows if row.layer != "second+third"} == {2}
    assert all(row.peak_memory_mib != row.peak_memory_mib for row in slow)


def test_compiled_cells_have_plain_inference_alone_and_compile_before_they_are_timed(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: compiled.append(options) or model)
    rows = timed_cells([BASE, replace(BASE, compiled=True)])
    own = [row for row in rows if row.cell.compiled]
    assert [(row.phase, row.status) for row in own] == [(INFERENCE, "ok"), (EXPLANATION, "undefined")]
    assert "hooks do not run reliably" in own[1].reason
    assert own[0].milliseconds == (3.5,) * 4
    assert compiled == [{"dynamic": False}]


def test_conditions_are_the_cell_s(monkeypatch):
    monkeypatch.setattr(sweep, "why_unsupported", lambda *_: "")
    before = torch.get_num_threads()
    rows = timed_cells([replace(BASE, threads=before + 1, dtype="bfloat16", memory_format="channels_last")])
    found = rows[0].conditions
    assert found["threads"] == before + 1
    assert (found["image_dtype"], found["images_memory_format"], found["images"]) == (
        "bfloat16",
        "channels_last",
        [2, 3, 6, 6],
    )
    assert torch.get_num_threads() == before


def test_global_random_state_is_as_before():
    clock = FakeClock()
    network, before = Shared(clock), torch.get_rng_state()
    timed_cells([BASE], network=network, clock=clock)  # copies are made, and initialized, in there
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_network_is_really_compiled():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    base = replace(BASE, layers=("0",), n_layers=1)
    rows = timed_cells([base, replace(base, compiled=True)], network=network.eval())
    own = [row for row in rows if row.cell.compiled]
    assert (own[0].phase, own[0].status) in [(INFERENCE, "ok"), (EXPLANATION, "failed")]
    if own[0].status == "failed":
        pytest.skip(own[0].reason)  # without a C++ compiler


@pytest.mark.parametrize(("limit", "timed"), [(cells_module.RECOMPILATIONS, 10), (2, 2)])
def test_more_shapes_than_may_be_compiled_fail_and_none_runs_uncompiled(limit, timed, monkeypatch):
    monkeypatch.setattr(cells_module, "RECOMPILATIONS", limit)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    base = replace(BASE, layers=("0",), n_layers=1)
    shapes = [replace(base, compiled=True, batch_size=size) for size in range(1, 11)]
    rows = [row for row in timed_cells([base, *shapes], network=network, repeats=1, warmup=0) if row.cell.compiled]
    assert len([row for row in rows if (row.phase, row.status) == (INFERENCE, "ok")]) == timed
    failed = [row.reason for row in rows if row.status == "failed"]
    assert len(failed) == 10 - timed
    assert all(reason.startswith("FailOnRecompileLimitHit") for reason in failed)
