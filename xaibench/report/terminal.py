"""The answer and the scores in a terminal."""

from pathlib import Path
from typing import TextIO

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from xaibench.report.answer import answer
from xaibench.report.labels import arm_label
from xaibench.report.tables import Tables
from xaibench.report.wording import fixed


def print_report(tables: Tables, *, folder: Path, page: Path, stream: TextIO) -> None:
    """Print the headline, a table of all arms with intervals, and where the rest is."""
    console = Console(file=stream, highlight=False)
    said = answer(tables)
    console.print()
    console.print(score_table(tables))
    console.print(f"\n[bold]{said.headline}[/bold]\n", soft_wrap=True)
    for sentence in said.sentences:
        console.print(f"• {sentence}", soft_wrap=True, markup=False)
    console.print(f"\nfolder  {folder}\npage    {page}", soft_wrap=True, markup=False)


def score_table(tables: Tables) -> Table:
    """Return the mean of each arm (rows) by each metric that ranks them (columns), a star behind the best set."""
    ranking = tables.ranking
    caption = "mean over images; * cannot be told from the best. Intervals: tables/scores.md"
    table = Table(caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for scores in ranking:
        table.add_column(f"{scores.title} {'↑' if scores.higher_is_better else '↓'}", justify="right")
    for arm in dict.fromkeys(arm for scores in ranking for arm in scores.arms):
        cells = []
        for scores in ranking:
            interval = scores.intervals.get(arm)
            best = arm in scores.best.members
            cells.append(f"{fixed(interval.estimate)}{'*' if best else ' '}" if interval else "– ")
        table.add_row(arm_label(arm), *cells)
    return table
