"""Runs compared, from their records alone: tables, figures, an answer in words, and one page."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from xaibench.records.comparable import differences_of_runs
from xaibench.records.merge import Merged, MergedRun, merge
from xaibench.report.answer import Answer
from xaibench.report.compare.figures import scores_by_run_figure, times_figure
from xaibench.report.compare.page import render_comparison
from xaibench.report.compare.repeats import repeats_table
from xaibench.report.compare.scores import ComparedMetric, compare_scores
from xaibench.report.compare.tables import best_table, differences_table, means_table
from xaibench.report.compare.times import SLOWER, THRESHOLD, latest_provenance, times_table
from xaibench.report.compare.words import compare_words
from xaibench.report.figures.style import save
from xaibench.report.writers import to_csv, to_markdown
from xaibench.statistics.intervals import N_RESAMPLES, check_confidence


@dataclass(frozen=True)
class Comparison:
    """Several runs, compared.

    Attributes
    ----------
    merged : Merged
        Their records and how they were put together.
    scores : list of ComparedMetric
    times : DataFrame
        See `times_table`.
    repeats : DataFrame
        See `repeats_table`.
    answer : Answer
    threshold, confidence : float
        Beyond which a time is marked; of the intervals.
    """

    merged: Merged = field(repr=False)
    scores: list[ComparedMetric] = field(repr=False)
    times: pd.DataFrame = field(repr=False)
    repeats: pd.DataFrame = field(repr=False)
    answer: Answer
    threshold: float = THRESHOLD
    confidence: float = 0.95

    @property
    def regressions(self) -> pd.DataFrame:
        """Times marked ``slower``."""
        return self.times[self.times["mark"] == SLOWER]

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, in the order in which to show them."""
        settings = differences_of_runs({run.label: run.settings | _made_by(run) for run in self.merged.runs})
        return {
            "means": means_table(self.scores),
            "differences": differences_table(self.scores),
            "best": best_table(self.scores),
            "repeats": self.repeats,
            "times": self.times,
            "settings": settings,
            "left_out": self.merged.left_out,
        }


def compare_runs(
    folders: Sequence[Path | str],
    *,
    threshold: float = THRESHOLD,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare runs; see `xaibench.records.merge` for what is comparable.

    Parameters
    ----------
    folders : sequence of path
        At least two run folders; ``NAME=FOLDER`` names one. Times are compared with those of the first.
    threshold : float
        Share beyond which a time is marked, above 0.
    confidence, n_resamples, seed
        Of intervals and tests.

    Raises
    ------
    ValueError
        For folders that cannot be read, the same run twice, or runs that have nothing to compare (`NotComparable`).
    """
    check_confidence(confidence)
    check_threshold(threshold)
    merged = merge(folders)
    options: dict[str, Any] = {"confidence": confidence, "seed": seed}
    scores = compare_scores(merged, n_resamples=n_resamples, **options)
    scores.sort(key=lambda one: one.scores.higher_is_better is None)  # what ranks arms comes first
    repeats = repeats_table(merged, scores)
    times = times_table(merged, threshold=threshold, **options)
    answer = compare_words(merged, scores, repeats, times, threshold=threshold)
    return Comparison(merged, scores, times, repeats, answer, threshold, confidence)


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no positive share."""
    if not threshold > 0:
        raise ValueError(f"threshold is a share above 0, such as 0.1 for 10 %; got {threshold:g}")


def write_comparison(comparison: Comparison, folder: Path | None = None) -> Path:
    """Write tables/, figures/ and compare.html.

    Parameters
    ----------
    comparison : Comparison
    folder : Path, optional
        Made where it does not exist; ``results/compare-…`` by default, named by a digest of what the runs are.

    Returns
    -------
    Path
        The page. The same records give the same bytes.
    """
    folder = default_folder(comparison.merged.runs) if folder is None else Path(folder)
    if (folder / "run.json").exists():
        raise ValueError(f"{folder} holds a run; give the comparison a folder of its own with out=FOLDER")
    write_frames(comparison.frames(), folder / "tables")
    for name, draw in _figures(comparison).items():
        save(draw(), folder / "figures", name)
    page = folder / "compare.html"
    page.write_text(
        render_comparison(
            comparison.merged,
            comparison.scores,
            comparison.times,
            comparison.answer,
            comparison.frames(),
            threshold=comparison.threshold,
            confidence=comparison.confidence,
        ),
        encoding="utf-8",
        newline="\n",
    )
    return page


def write_frames(frames: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write every table as CSV and Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        for suffix, text in ((".csv", to_csv(frame)), (".md", to_markdown(frame))):
            (folder / f"{name}{suffix}").write_text(text, encoding="utf-8", newline="\n")


def default_folder(runs: Sequence[MergedRun]) -> Path:
    """``results/compare-…``, by the labels and fingerprints of the runs."""
    what = "\n".join(f"{run.label}\t{run.run.get('fingerprint', '')}" for run in runs)
    return Path("results") / f"compare-{hashlib.sha256(what.encode()).hexdigest()[:8]}"


def _figures(comparison: Comparison) -> dict[str, Callable[[], Figure]]:
    runs = [run.label for run in comparison.merged.runs]
    found: dict[str, Callable[[], Figure]] = {}
    if any(one.scores.higher_is_better is not None for one in comparison.scores):
        found["scores_by_run"] = lambda: scores_by_run_figure(comparison.scores, runs=runs)
    if comparison.times["ratio"].notna().any():
        found["times"] = lambda: times_figure(comparison.times, threshold=comparison.threshold)
    return found


def _made_by(run: MergedRun) -> dict[str, Any]:
    """Code, libraries and machine of a run, as far as it tells them."""
    provenance = latest_provenance(run.run)
    libraries = provenance.get("libraries") or {}
    own = {key: value for key, value in provenance.items() if key != "libraries"}
    return {f"provenance.{key}": value for key, value in {**own, **libraries}.items()}
