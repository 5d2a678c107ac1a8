"""A comparison in a terminal."""

from pathlib import Path
from typing import TextIO

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from xaibench.report.answer import Answer
from xaibench.report.compare.comparison import Comparison
from xaibench.report.compare.figures import compared_arms
from xaibench.report.compare.times import FASTER, SLOWER
from xaibench.report.labels import arm_label
from xaibench.report.wording import UNDEFINED, fixed, interval_text, number

MOST_ROWS = 40


def print_comparison(comparison: Comparison, *, page: Path, stream: TextIO) -> None:
    """Print means by run, times side by side, the answer, and where the page is."""
    console = Console(file=stream, highlight=False)
    ranked = [one for one in comparison.scores if one.scores.higher_is_better is not None]
    console.print()
    if ranked:
        console.print(means_by_run(comparison))
    if len(comparison.times):
        console.print(times_side_by_side(comparison.times, threshold=comparison.threshold))
    print_answer(console, comparison.answer)
    console.print(f"\nfolder  {page.parent}\npage    {page}", soft_wrap=True, markup=False)


def print_answer(console: Console, said: Answer) -> None:
    """Print the headline and the sentences after it."""
    console.print(f"\n{said.headline}\n", style="bold", soft_wrap=True, markup=False)
    for sentence in said.sentences:
        console.print(f"• {sentence}", soft_wrap=True, markup=False)


def means_by_run(comparison: Comparison) -> Table:
    """Return the mean of each arm in each run (rows) by each metric (columns), a star behind the best set."""
    ranked = [one for one in comparison.scores if one.scores.higher_is_better is not None]
    caption = "mean over the images that all runs have (else its own); * cannot be told from the best of all"
    table = Table(caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("run")
    for one in ranked:
        table.add_column(f"{one.scores.title} {'↑' if one.scores.higher_is_better else '↓'}", justify="right")
    for arm in compared_arms(ranked):
        for run in comparison.merged.runs:
            cells = []
            for one in ranked:
                interval = one.means.get((run.label, arm_label(arm)))
                best = interval is not None and one.is_best(run.label, arm)
                cells.append(f"{fixed(interval.estimate)}{'*' if best else ' '}" if interval else f"{UNDEFINED} ")
            if any(not cell.startswith(UNDEFINED) for cell in cells):
                table.add_row(arm_label(arm), run.label, *cells)
    return table


def times_side_by_side(times: pd.DataFrame, *, threshold: float) -> Table:
    """Return times with their ratio and mark: what is marked first, `MOST_ROWS` of them."""
    marked = times["mark"].isin([SLOWER, FASTER])
    shown = pd.concat([times[marked], times[~marked]]).head(MOST_ROWS)
    caption = f"marked: over {100 * threshold:g} %, with an interval that excludes 1"
    caption += f"; {len(times) - len(shown)} more in tables/times.md" if len(times) > len(shown) else ""
    table = Table(caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    for name, justify in (
        ("", "left"),
        ("run", "left"),
        ("first, ms", "right"),
        ("ms", "right"),
        ("ratio", "right"),
        ("", "left"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name in ("ratio",))
    for _, row in shown.iterrows():
        ratio = interval_text(row["ratio"], row["low"], row["high"], decimals=2)
        table.add_row(
            str(row["time"]), str(row["run"]), number(row["first_ms"]), number(row["ms"]), ratio, _mark(row["mark"])
        )
    return table


def _mark(mark: str) -> str:
    return {SLOWER: "[bold red]slower[/bold red]", FASTER: "[green]faster[/green]"}.get(mark, mark)
