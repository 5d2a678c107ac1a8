"""What a stored benchmark says of the machine: processor and threads, not the host's name."""

import os

import torch


def pytest_benchmark_update_machine_info(config, machine_info):
    for key in ("node", "release"):
        machine_info.pop(key, None)
    machine_info["torch"], machine_info["threads"] = torch.__version__, torch.get_num_threads()
    machine_info["cpus"] = os.cpu_count()


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Medians and ratios say it; the single rounds would make the file a hundred times as long."""
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
