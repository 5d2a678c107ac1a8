"""A stored benchmark as a table: each contender's time, and its ratios to ours, the floor and the best peer.

python tests/benchmarks/benchmark_table.py FILE.json > FILE.md
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

PEERS = ("captum", "pytorch_grad_cam", "torchcam", "quantus", "rise, batch 1", "rise, batch 8")
COLUMNS = ["benchmark", "contender", "milliseconds", "ratio", "to"]


def benchmark_table(stored: Mapping[str, Any]) -> pd.DataFrame:
    """One row per contender of each benchmark that has several; a ratio is its time over that of `to`, round by round.

    Two more rows say where ours stands: to the floor, the least work that the job needs, and to the fastest peer.

    Parameters
    ----------
    stored : mapping
        What pytest-benchmark wrote; contenders' times are in ``extra_info``, as ``milliseconds`` or ``seconds``, those of
        repetitions as lists.
    """
    rows = []
    for one in stored["benchmarks"]:
        times = _milliseconds(one["extra_info"])
        if len(times) > 1:
            rows += [[one["name"], *row] for row in _compared(times)]
    return pd.DataFrame(rows, columns=COLUMNS)


def where_measured(stored: Mapping[str, Any]) -> str:
    """Processor, cores, threads and versions in one line; never the host's name."""
    machine = stored["machine_info"]
    cpu = machine.get("cpu", {}).get("brand_raw", machine.get("machine", "unknown processor"))
    parts = [str(cpu), f"{machine.get('cpus', '?')} cores", f"{machine.get('threads', '?')} threads"]
    return ", ".join([*parts, f"torch {machine.get('torch', '?')}", f"Python {machine.get('python_version', '?')}"])


def _milliseconds(known: Mapping[str, Any]) -> dict[str, list[float]]:
    """Each contender's milliseconds, round by round."""
    if "milliseconds" in known:
        return {name: _rounds(value) for name, value in known["milliseconds"].items()}
    if "seconds" in known:
        return {name: [1e3 * seconds for seconds in _rounds(value)] for name, value in known["seconds"].items()}
    named = {"computed": "computed_s", "reused": "reused_s"}
    return {name: [1e3 * known[key]] for name, key in named.items() if key in known}


def _rounds(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _ratio(some: list[float], others: list[float]) -> float:
    """Median over rounds of the ratio within a round: a machine that changes its pace between rounds changes no ratio."""
    return median(one / other for one, other in zip(some, others, strict=True))


def _compared(times: Mapping[str, list[float]]) -> Iterator[list[object]]:
    ours = next((name for name in ("ours", "maps", "folded", "reused") if name in times), next(iter(times)))
    for name, milliseconds in times.items():
        yield [name, median(milliseconds), _ratio(milliseconds, times[ours]), ours]
    floor = next((name for name in ("floor", "bare") if name in times), None)
    if floor is not None:
        yield [ours, median(times[ours]), _ratio(times[ours], times[floor]), floor]
    peers = [name for name in PEERS if name in times]
    if peers:
        best = min(peers, key=lambda name: median(times[name]))
        yield [ours, median(times[ours]), _ratio(times[ours], times[best]), f"best peer, {best}"]


def main(file: str) -> None:
    """Write the table of a stored benchmark to standard output, as Markdown."""
    stored = json.loads(Path(file).read_text(encoding="utf-8"))
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- | --- | ---: | ---: | --- |"]
    for name, contender, milliseconds, ratio, to in benchmark_table(stored).itertuples(index=False):
        lines.append(f"| {name} | {contender} | {milliseconds:.4g} | {ratio:.3f} | {to} |")
    sys.stdout.write("\n".join([where_measured(stored), "", *lines, ""]))


if __name__ == "__main__":
    main(sys.argv[1])
