from dataclasses import replace

import pytest
import torch
from fake_time import FakeClock, FakeMeter, Staged

from xaibench.timing import sweep
from xaibench.timing.grid import Cell
from xaibench.timing.sweep import time_sweep
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
    rows = timed_cells([missing_layer, BASE])
    assert [(row.cell, row.status) for row in rows[:1]] == [(missing_layer, "failed")]
    assert rows[0].reason.startswith("UnknownName: unknown layer 'fourth'")
    assert {row.phase for row in rows[1:]} == {INFERENCE, *EXPLANATION_PATH}


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
    (row,) = timed_cells([BASE], network=Hopeless(clock), clock=clock)
    assert (row.status, row.milliseconds) == ("failed", ())
    assert "even with one image at a time" in row.reason


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
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    rows = timed_cells([replace(BASE, compiled=True, layers=("0",), n_layers=1)], network=network.eval())
    assert (rows[0].phase, rows[0].status) in [(INFERENCE, "ok"), (EXPLANATION, "failed")]
    if rows[0].status == "failed":
        pytest.skip(rows[0].reason)  # without a C++ compiler
