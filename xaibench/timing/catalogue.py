"""What can be timed in an experiment, by name."""

from xaibench.timing.explanation_path import ExplanationPath
from xaibench.timing.grid import TimingGrid

TIMINGS: dict[str, type[ExplanationPath] | type[TimingGrid]] = {
    "explanation_path": ExplanationPath,
    "grid": TimingGrid,
}
