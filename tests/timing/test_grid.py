from dataclasses import replace

import pytest

from xaibench.names import UnknownName
from xaibench.timing.grid import FACTORS, Cell, TimingGrid, changed, spread

LAYERS = tuple(f"layer{stage}.{i}" for stage, depth in enumerate((3, 4, 6, 3), 1) for i in range(depth))
RUN = {"image_size": 224, "threads": 2}


def test_the_base_takes_what_it_leaves_open_from_the_run():
    base = TimingGrid().base(LAYERS, **RUN)
    assert base == Cell(
        ("layer1.0", "layer2.1", "layer3.1", "layer3.5"),
        4,
        "grad_cam",
        4,
        224,
        "float32",
        "channels_last",
        False,
        False,
        2,
    )
    given = TimingGrid(image_size=160, threads=1).base(LAYERS, **RUN)
    assert (given.image_size, given.threads) == (160, 1)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [0]),
        (2, [0, 8]),
        (3, [0, 5, 10]),
        (4, [0, 4, 8, 12]),
        (16, list(range(16))),
        (99, list(range(16))),
    ],
)
def test_layers_are_spread_from_the_shallowest_on(n, expected):
    assert spread(LAYERS, n) == tuple(LAYERS[i] for i in expected)


def test_one_factor_at_a_time_with_the_base_first_and_once():
    grid = TimingGrid(sweep={"threads": [1, 2, 4], "batch_size": [1, 4, 8], "dtype": "bfloat16"})
    sweeps = grid.sweeps(LAYERS, **RUN)
    base = grid.base(LAYERS, **RUN)
    assert list(sweeps) == ["batch_size", "dtype", "threads"]  # in the order of FACTORS
    assert sweeps["batch_size"] == [base, replace(base, batch_size=1), replace(base, batch_size=8)]
    assert sweeps["dtype"] == [base, replace(base, dtype="bfloat16")]
    assert sweeps["threads"] == [base, replace(base, threads=1), replace(base, threads=4)]


def test_every_layer_alone_beside_the_base():
    grid = TimingGrid(sweep={"layer": "all"})
    base, *alone = grid.sweeps(LAYERS, **RUN)["layer"]
    assert base.layers == spread(LAYERS, 4)
    assert [cell.layers for cell in alone] == [(layer,) for layer in LAYERS]
    assert {replace(cell, layers=()) for cell in alone} == {replace(base, layers=(), n_layers=1)}


def test_numbers_of_layers_keep_what_was_asked_for():
    grid = TimingGrid(n_layers=2, sweep={"n_layers": [1, 2, 5]})
    cells = grid.sweeps(LAYERS[:3], **RUN)["n_layers"]
    assert [(cell.n_layers, len(cell.layers)) for cell in cells] == [(2, 2), (1, 1), (5, 3)]


def test_crossed_factors_are_all_combinations():
    sweep = {"batch_size": [1, 4], "threads": [1, 2], "compiled": [False, True]}
    grid = TimingGrid(sweep=sweep, cross=[["batch_size", "threads"], ["batch_size", "compiled", "threads"]])
    sweeps = grid.sweeps(LAYERS, **RUN)
    assert list(sweeps) == [
        "batch_size",
        "compiled",
        "threads",
        "batch_size x threads",
        "batch_size x compiled x threads",
    ]
    pair = [(cell.batch_size, cell.threads) for cell in sweeps["batch_size x threads"]]
    assert pair[0] == (4, 2)
    assert sorted(pair) == [(1, 1), (1, 2), (4, 1), (4, 2)]
    assert len(sweeps["batch_size x compiled x threads"]) == 8
    assert all(len(set(cells)) == len(cells) for cells in sweeps.values())


def test_a_factor_of_none_is_left_out():
    grid = TimingGrid(sweep={"threads": None, "batch_size": [1], "dtype": []})
    assert list(grid.sweeps(LAYERS, **RUN)) == ["batch_size"]


def test_nothing_swept_is_the_base_alone():
    assert list(TimingGrid().sweeps(LAYERS, **RUN).values()) == [[TimingGrid().base(LAYERS, **RUN)]]
    assert list(TimingGrid().sweeps(LAYERS, **RUN)) == ["base"]


def test_cells_with_the_same_plain_inference():
    base = TimingGrid().base(LAYERS, **RUN)
    same = {"layer": "layer1.0", "n_layers": 2, "method": "layer_cam"}
    other = {
        "batch_size": 1, "image_size": 64, "dtype": "bfloat16", "memory_format": "contiguous", "compiled": True,
        "cuda_graph": True, "threads": 1,
    }  # fmt: skip
    assert {*same, *other} == set(FACTORS)
    for factor, value in {**same, **other}.items():
        cell = changed(base, factor, value, LAYERS)
        assert cell != base
        assert (cell.conditions() == base.conditions()) is (factor in same)


def test_settings_of_a_record_hold_every_factor_but_the_layers():
    assert set(TimingGrid().base(LAYERS, **RUN).factors()) == set(FACTORS) - {"layer"}


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"sweep": {"batchsize": [1]}}, UnknownName, "did you mean batch_size"),
        ({"sweep": {"dtype": ["bfloat61"]}}, UnknownName, "timing.sweep.dtype.*did you mean bfloat16"),
        ({"dtype": "half"}, UnknownName, "timing.dtype"),
        ({"method": "grad_cma"}, UnknownName, "did you mean grad_cam"),
        ({"sweep": {"memory_format": "channels_first"}}, UnknownName, "timing.sweep.memory_format"),
        ({"batch_size": 0}, ValueError, "timing.batch_size must be a whole number, at least 1; got 0"),
        ({"sweep": {"threads": [1, 1.5]}}, ValueError, "timing.sweep.threads must be a whole number"),
        ({"sweep": {"compiled": ["yes"]}}, ValueError, "timing.sweep.compiled must be true or false; got 'yes'"),
        ({"sweep": {"layer": [3]}}, ValueError, "timing.sweep.layer must be all or names"),
        ({"cross": ["batch_size"]}, ValueError, "expected lists of two or more factors"),
        ({"sweep": {"threads": [1]}, "cross": [["threads", "dtype"]]}, UnknownName, "factor in timing.cross"),
        ({"repeats": 0}, ValueError, "timing.repeats must be above 0"),
        ({"max_seconds": 0}, ValueError, "timing.max_seconds must be above 0"),
        ({"warmup": -1}, ValueError, "timing.warmup must be at least 0"),
    ],
)
def test_bad_settings(settings, error, match, as_in_production):
    with pytest.raises(error, match=match):
        TimingGrid(**settings)
