"""The report of a large run: 1,000 images, 8 layers, 3 references and 12 metrics, with its maps.

pytest tests/benchmarks/test_report_speed.py --benchmark-only -m ""    # about a minute

Seconds and the peak memory of the process that redraws stand in the benchmark.
"""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

REDRAW = """
import sys
from pathlib import Path
from xaibench.report.redraw import write_report
write_report(Path(sys.argv[1]))
status = Path("/proc/self/status").read_text()  # getrusage would tell the parent's peak, where that is higher
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.benchmark(group="report")
def test_report_of_a_large_run(benchmark, tmp_path):
    from large_run import ARMS, CURVES, SHARES, YES_OR_NO, large_run

    folder = large_run(tmp_path / "run")

    def redraw():
        done = subprocess.run([sys.executable, "-c", REDRAW, folder], capture_output=True, text=True, check=True)
        return int(done.stdout) / 1024

    benchmark.extra_info["peak_memory_mib"] = benchmark.pedantic(redraw, rounds=1)
    n_scores = len(ARMS) * len([*CURVES, *SHARES, *YES_OR_NO])
    rows = (folder / "summary.csv").read_text().splitlines()[1:]
    assert sum(",1000,0,0," in row for row in rows if not row.startswith(("tied", "best_iou"))) >= n_scores - len(ARMS)
    assert (folder / "report.html").stat().st_size < 8 * 2**20
