"""Two saved benchmark files side by side: what ``make bench --benchmark-json`` and the like write.

Medians are compared by the benchmark's name, and so are the times that a benchmark keeps beside its own
(``extra_info``: `milliseconds` or `seconds` of each competitor). Where the single rounds were kept, the ratio has an interval as the
times of runs have; where only quartiles were kept, a row is marked if the quartiles of the two files do not overlap; where
there is one round, the ratio alone decides, and the table says so.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from xaibench.names import unknown
from xaibench.report.compare.times import FASTER, OTHER, SLOWER, THRESHOLD, Ratio, median_ratio
from xaibench.report.wording import interval_text, number

COLUMNS = ["benchmark", "first_ms", "ms", "ratio", "low", "high", "rounds", "mark", "judged_by"]
_MACHINE = ("machine", "system", "cpu", "cpus", "threads")
_SOFTWARE = ("python_version", "python_implementation", "torch")


@dataclass(frozen=True)
class Benchmarks:
    """Two files, compared.

    Attributes
    ----------
    table : DataFrame
        One row a benchmark that both have; see the module for `mark` and `judged_by`.
    machine, software : list of str
        In what the machines and the programs differ.
    alone : list of str
        Benchmarks of one file only, with the file.
    """

    table: pd.DataFrame
    machine: list[str]
    software: list[str]
    alone: list[str]
    threshold: float = THRESHOLD

    @property
    def regressions(self) -> pd.DataFrame:
        """Rows marked ``slower``."""
        return self.table[self.table["mark"] == SLOWER]


@dataclass(frozen=True)
class _Times:
    """Milliseconds of one benchmark: single rounds where they were kept, else the median and the quartiles."""

    median: float
    rounds: int
    single: tuple[float, ...] = ()
    quartiles: tuple[float, float] | None = None


def compare_benchmarks(files: Sequence[Path], *, threshold: float = THRESHOLD) -> Benchmarks:
    """Compare two pytest-benchmark files; the first is what the second is measured by.

    Raises
    ------
    ValueError
        For other than two files, one that is none of pytest-benchmark's, the same twice, or no common benchmark.
    """
    if len(files) != 2:
        raise ValueError(f"two benchmark files are compared at a time; got {len(files)}")
    if files[0].resolve() == files[1].resolve():
        raise ValueError(f"{files[0]} is given twice; a file is compared with another one")
    loaded = [_load(file) for file in files]
    times = [dict(_all_times(one["benchmarks"])) for one in loaded]
    shared = [name for name in times[0] if name in times[1]]
    if not shared:
        raise ValueError(
            f"{files[0]} and {files[1]} have no benchmark in common: {_names(times[0])} against {_names(times[1])}"
        )
    facts = [one.get("machine_info") or {} for one in loaded]
    machine, software = _apart(facts, _MACHINE), _apart(facts, _SOFTWARE)
    rows = [_row(name, times[0][name], times[1][name], threshold, other=bool(machine)) for name in shared]
    alone = [
        f"{name} ({file.name})"
        for own, other, file in ((times[0], times[1], files[0]), (times[1], times[0], files[1]))
        for name in own
        if name not in other
    ]
    return Benchmarks(pd.DataFrame(rows, columns=COLUMNS), machine, software, alone, threshold)


def print_benchmarks(found: Benchmarks, *, stream: TextIO) -> None:
    """Print the table, what is marked, and what the machines differ in."""
    console = Console(file=stream, highlight=False)
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption=f"marked: over {100 * found.threshold:g} %")
    for name in ("", "first, ms", "ms", "ratio", "", "judged by"):
        table.add_column(name, justify="right" if name in ("first, ms", "ms", "ratio") else "left")
    styles = {SLOWER: "bold red", FASTER: "green"}
    for row in found.table.to_dict("records"):
        ratio = interval_text(row["ratio"], row["low"], row["high"], decimals=2)
        table.add_row(
            row["benchmark"],
            number(row["first_ms"]),
            number(row["ms"]),
            ratio,
            row["mark"],
            row["judged_by"],
            style=styles.get(row["mark"]),
        )
    console.print(table)
    for line in benchmark_words(found):
        console.print(f"• {line}", soft_wrap=True, markup=False)


def benchmark_words(found: Benchmarks) -> Iterator[str]:
    """What became slower or faster, in what the machines differ, and what one file has alone."""
    percent = f"{100 * found.threshold:g} %"
    if found.machine:
        yield f"The machines differ ({', '.join(found.machine)}): times stand side by side, and are no regression."
    else:
        slower, faster = found.regressions, found.table[found.table["mark"] == FASTER]
        yield f"{len(slower)} of {len(found.table)} times are more than {percent} slower, {len(faster)} faster."
    if found.software:
        yield f"The programs differ: {', '.join(found.software)}."
    if found.alone:
        yield f"In one file only: {', '.join(found.alone)}."


def _load(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise unknown("benchmark file", file.as_posix(), sorted(p.as_posix() for p in file.parent.glob("*.json")))
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("benchmarks"), list):
        raise ValueError(f"{file} is no file of pytest-benchmark: it has no list of benchmarks")
    return found


def _all_times(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, _Times]]:
    for one in benchmarks:
        name, stats = str(one["name"]).removeprefix("test_"), one["stats"]
        data = tuple(1e3 * value for value in stats.get("data") or ())
        quartiles = (1e3 * stats["q1"], 1e3 * stats["q3"]) if stats["rounds"] > 1 else None
        yield name, _Times(1e3 * stats["median"], int(stats["rounds"]), data, quartiles)
        for unit, factor in (("milliseconds", 1.0), ("seconds", 1e3)):
            beside = (one.get("extra_info") or {}).get(unit)
            for key, value in beside.items() if isinstance(beside, Mapping) else ():
                single = tuple(factor * part for part in np.atleast_1d(np.asarray(value, dtype=float)))
                yield f"{name}: {key}", _Times(float(np.median(single)), len(single), single if len(single) > 1 else ())


def _row(name: str, first: _Times, second: _Times, threshold: float, *, other: bool) -> list[Any]:
    if len(first.single) > 1 and len(second.single) > 1:
        ratio = median_ratio(first.single, second.single)
        mark, judged = ratio.mark(threshold), "interval"
    else:
        ratio = Ratio(second.median / first.median if first.median > 0 else np.nan, np.nan, np.nan)
        mark, judged = _by_quartiles(first, second, ratio.estimate, threshold)
    return [
        name, first.median, second.median, ratio.estimate, ratio.low, ratio.high, f"{first.rounds} / {second.rounds}",
        OTHER if other else mark, judged,
    ]  # fmt: skip


def _by_quartiles(first: _Times, second: _Times, ratio: float, threshold: float) -> tuple[str, str]:
    """Mark a ratio beyond the threshold, unless the quartiles that were kept overlap."""
    mark = SLOWER if ratio > 1 + threshold else FASTER if ratio < 1 / (1 + threshold) else ""
    if first.quartiles is None or second.quartiles is None:
        return mark, "ratio alone"
    apart = first.quartiles[1] < second.quartiles[0] or second.quartiles[1] < first.quartiles[0]
    return mark if apart else "", "quartiles"


def _apart(facts: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    one, other = (_flat(fact) for fact in facts)
    return [
        f"{key}: {one[key]} → {other[key]}" for key in keys if key in one and key in other and one[key] != other[key]
    ]


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    cpu = facts.get("cpu") or {}
    return {**facts, "cpu": f"{cpu.get('brand_raw', '?')}, {cpu.get('count', '?')} cores"} if cpu else dict(facts)


def _names(times: Mapping[str, _Times]) -> str:
    return ", ".join(list(times)[:3]) + (", …" if len(times) > 3 else "")
