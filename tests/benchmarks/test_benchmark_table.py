"""The table of a stored benchmark, on one written by hand; this test is not timed and needs no ``--benchmark-only``."""

import pytest
from benchmark_table import benchmark_table, where_measured

STORED = {
    "machine_info": {
        "node": "secret",
        "cpu": {"brand_raw": "A CPU"},
        "cpus": 2,
        "threads": 1,
        "torch": "2",
        "python_version": "3",
    },
    "benchmarks": [
        {
            "name": "one",
            "extra_info": {"milliseconds": {"floor": 10.0, "captum": 60.0, "torchcam": 12.0, "ours": 11.0}},
        },
        {"name": "two", "extra_info": {"seconds": {"ours": [1.0, 3.0, 2.0], "quantus": [8.0, 6.0, 4.0]}}},
        {"name": "three", "extra_info": {"computed_s": 4.0, "reused_s": 2.0}},
        {"name": "alone", "extra_info": {"seconds": {"ours": [1.0]}}},
    ],
}


def test_ratios_to_ours_the_floor_and_the_best_peer():
    rows = [tuple(row) for row in benchmark_table(STORED).itertuples(index=False)]
    assert rows[:6] == [
        ("one", "floor", 10.0, pytest.approx(10 / 11), "ours"),
        ("one", "captum", 60.0, pytest.approx(60 / 11), "ours"),
        ("one", "torchcam", 12.0, pytest.approx(12 / 11), "ours"),
        ("one", "ours", 11.0, 1.0, "ours"),
        ("one", "ours", 11.0, 1.1, "floor"),
        ("one", "ours", 11.0, pytest.approx(11 / 12), "best peer, torchcam"),
    ]
    assert rows[6:9] == [
        ("two", "ours", 2000.0, 1.0, "ours"),
        ("two", "quantus", 6000.0, 2.0, "ours"),
        ("two", "ours", 2000.0, 0.5, "best peer, quantus"),
    ]
    assert rows[9:] == [("three", "computed", 4000.0, 2.0, "reused"), ("three", "reused", 2000.0, 1.0, "reused")]


def test_the_host_s_name_is_told_to_nobody():
    assert where_measured(STORED) == "A CPU, 2 cores, 1 threads, torch 2, Python 3"
