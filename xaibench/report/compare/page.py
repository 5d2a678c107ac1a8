"""The page of a comparison: one HTML file that asks nothing of any server."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from xaibench.records.merge import Merged
from xaibench.report.answer import Answer
from xaibench.report.arms import short_labels
from xaibench.report.compare.figures import compared_arms
from xaibench.report.compare.scores import ComparedMetric
from xaibench.report.compare.tracks import ratio_tracks, score_track
from xaibench.report.figures.style import arm_styles
from xaibench.report.labels import Arm, arm_label
from xaibench.report.page.environment import environment
from xaibench.report.page.table_views import Cell, TableView, table_view
from xaibench.report.wording import UNDEFINED, counted, interval_text

CAPTIONS = {
    "means": "Mean of each arm in each run",
    "differences": "The same arm in two runs: paired differences, Holm-adjusted within each metric",
    "best": "The best of all arms of all runs, and what cannot be told from it",
    "repeats": "Runs of one set-up on the same images: how far their values agree",
    "times": "Times side by side",
    "settings": "Settings, code and machine in which the runs differ",
    "left_out": "Left out, and why",
}


def render_comparison(
    merged: Merged,
    compared: Sequence[ComparedMetric],
    times: pd.DataFrame,
    answer: Answer,
    frames: Mapping[str, pd.DataFrame],
    *,
    threshold: float,
    confidence: float,
) -> str:
    """Write the page of a comparison; the same arguments give the same text."""
    ranked = [one for one in compared if one.scores.higher_is_better is not None]
    order = compared_arms(ranked)
    labels, numbers = short_labels(order), {arm: i for i, arm in enumerate(order)}
    runs = [run.label for run in merged.runs]
    context = {
        "title": " · ".join(runs),
        "answer": answer,
        "facts": _facts(merged),
        "runs": [_run_facts(merged, label) for label in runs],
        "styles": [(numbers[arm], labels[arm], style) for arm, style in arm_styles(order).items()],
        "dots": [chart for one in ranked if (chart := score_track(one, runs=runs, numbers=numbers, labels=labels))],
        "score_table": _score_view(ranked, runs=runs, confidence=confidence) if ranked else None,
        "ratios": ratio_tracks(times, threshold=threshold),
        "over": _over(ranked),
        "threshold": f"{100 * threshold:g} %",
        "defined": {},
        "explained": {},
        "marks": {},
        "tables": [table_view(name, frames[name], words) for name, words in CAPTIONS.items() if len(frames[name])],
    }
    return environment().get_template("compare.html.j2").render(context)


def _score_view(ranked: Sequence[ComparedMetric], *, runs: Sequence[str], confidence: float) -> TableView:
    columns = ["arm", "run", *(f"{one.scores.title} {'↑' if one.scores.higher_is_better else '↓'}" for one in ranked)]
    rows = []
    for place, arm in enumerate(compared_arms(ranked)):
        for nth, run in enumerate(runs):
            cells = [Cell(arm_label(arm), str(place)), Cell(run, str(nth))]
            cells += [_score_cell(one, run, arm) for one in ranked]
            if any(cell.sort for cell in cells[2:]):
                rows.append(cells)
    caption = f"Mean {_over(ranked)} [{100 * confidence:g} % interval]; marked: the best set of all arms and runs"
    return TableView("scores", caption, columns, [False, False, *(True for _ in ranked)], rows)


def _score_cell(one: ComparedMetric, run: str, arm: Arm) -> Cell:
    found = one.means.get((run, arm_label(arm)))
    if found is None or math.isnan(found.estimate):
        return Cell(UNDEFINED, "")
    text = interval_text(found.estimate, found.low, found.high)
    text += f" ({found.n_undefined} undefined)" if found.n_undefined else ""
    return Cell(text, repr(float(found.estimate)), "best" if one.is_best(run, arm) else "")


def _over(ranked: Sequence[ComparedMetric]) -> str:
    """Which images a mean is over, in words."""
    counts = sorted({len(one.shared) for one in ranked if one.shared})
    if not counts:
        return "over each run's own images"
    if len(counts) == 1:
        return f"over the {counted(counts[0], 'image')} that all runs have"
    return f"over the {counts[0]} to {counts[-1]} images that all runs have"


def _facts(merged: Merged) -> list[tuple[str, str]]:
    images = [set(rows["image"]) - {""} for _, rows in merged.records.groupby("run", sort=False)]
    together, every = set.intersection(*images), set.union(*images)
    return [
        ("runs", str(len(merged.runs))),
        ("set-ups", str(len(merged.set_ups))),
        ("images in all runs", str(len(together))),
        ("images in any run", str(len(every))),
    ]


def _run_facts(merged: Merged, label: str) -> dict[str, Any]:
    run = merged[label]
    rows = merged.records[merged.records["run"] == label]
    settings = run.settings
    words = [
        ("experiment", str(settings.get("experiment_name", "")).replace("_", " ")),
        ("model", str(settings.get("model.name", ""))),
        ("weights", str(settings.get("model.weights") or "")),
        ("images", str(len(set(rows["image"]) - {""}))),
        ("seed", str(settings.get("seed", ""))),
        ("device", str(settings.get("device", ""))),
        ("finished", "yes" if run.finished else "no: what is there was compared"),
    ]
    return {"label": label, "facts": [(name, value) for name, value in words if value]}
