"""What a stored benchmark says of the machine: processor and threads, not the host's name."""

import os

import torch

ROUNDS_KEPT = 50


def pytest_benchmark_update_machine_info(config, machine_info):
    for key in ("node", "release"):
        machine_info.pop(key, None)
    machine_info["torch"], machine_info["threads"] = torch.__version__, torch.get_num_threads()
    machine_info["cpus"] = os.cpu_count()


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Some rounds are enough for an interval; thousands would make the file a hundred times as long."""
    for benchmark in output_json["benchmarks"]:
        rounds = benchmark["stats"].get("data") or []
        benchmark["stats"]["data"] = rounds[:: max(1, -(-len(rounds) // ROUNDS_KEPT))]
