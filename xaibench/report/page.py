"""The page of a run: one HTML file that opens with the answer and asks nothing of any server."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from xaibench.metrics.cards import CARDS, Card
from xaibench.report.answer import Answer
from xaibench.report.arms import short_labels
from xaibench.report.browser import Browser, browse
from xaibench.report.charts import DotChart, LineChart, dot_chart, line_chart
from xaibench.report.checks import find_cascade
from xaibench.report.costs_view import CostView, cost_view
from xaibench.report.evaluator_view import sensitivity_view
from xaibench.report.figures.curves import X_LABELS
from xaibench.report.figures.style import arm_styles
from xaibench.report.labels import Arm, arms, higher_is_better, metric_title
from xaibench.report.pictures import Pictured, Strip
from xaibench.report.sanity_figures import Drawn
from xaibench.report.sanity_view import sanity_view
from xaibench.report.strip_view import StripView, strip_view
from xaibench.report.summaries import (
    MeanLine,
    mean_curves,
    phase_costs,
    unique,
)
from xaibench.report.tables import Tables
from xaibench.report.views import TableView, score_view, table_view
from xaibench.report.wording import number

CURVES = ("insertion", "deletion")


@dataclass(frozen=True)
class CardView:
    """A metric's card with every setting it was measured under."""

    card: Any
    settings: list[list[tuple[str, str]]]


def render_page(
    records: pd.DataFrame,
    *,
    tables: Tables,
    answer: Answer,
    run: Mapping[str, Any],
    pictured: Sequence[Pictured] = (),
    strips: Sequence[Strip] = (),
    cascades: Sequence[Drawn] = (),
    layers: Sequence[str] | None = None,
    n_pictures: int | None = None,
) -> str:
    """Write the page of a run.

    Parameters
    ----------
    records : DataFrame
        The run's records.
    tables, answer : Tables, Answer
        What was made of them.
    run : mapping
        The contents of run.json.
    pictured : sequence of Pictured
        Images to show; all their maps are put into the page.
    strips : sequence of Strip
        Maps along the cascade.
    cascades : sequence of Drawn
        What the charts of the sanity checks show.
    layers : sequence of str, optional
        From shallow to deep.
    n_pictures : int, optional
        How many images with maps there are, where only some are shown.

    Returns
    -------
    str
        HTML; the same arguments give the same text.
    """
    order = arms(records, layers)
    labels, numbers = short_labels(order), {arm: i for i, arm in enumerate(order)}
    names: dict[str, Any] = {"labels": labels, "numbers": numbers}
    cascade = find_cascade(records)
    modules = cascade.modules if cascade else []
    context = {
        "title": _title(run),
        "answer": answer,
        "facts": _facts(records, tables, run),
        "styles": [(numbers[arm], labels[arm], style) for arm, style in arm_styles(order).items()],
        "curves": _curve_charts(records, names),
        "dots": _dot_charts(tables, order, names),
        "evaluator": sensitivity_view(tables.sensitivity, labels=labels),
        "sanity": sanity_view(cascades, tables.findings, **names),
        "strips": [strip_view(strip, modules=modules, labels=labels) for strip in strips],
        "cost": cost_view(phase_costs(records)),
        "browser": browse(records, pictured, order=order, labels=labels),
        "n_pictures": len(pictured) if n_pictures is None else n_pictures,
        "score_table": score_view(tables, order=order, labels=labels),
        "tables": _table_views(tables),
        "failed": _failed(records),
        "cards": _cards(records),
        "provenance": _flat(run),
        "run_json": json.dumps(run, indent=2, ensure_ascii=False),
    }
    return _environment().get_template("report.html.j2").render(context)


def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _title(run: Mapping[str, Any]) -> str:
    settings = run.get("settings")
    name = settings.get("experiment_name") if isinstance(settings, Mapping) else None
    return str(name or "run").replace("_", " ")


def _facts(records: pd.DataFrame, tables: Tables, run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands below the answer: how many images, how sure the model was, on what it ran."""
    used = int((tables.images["status"] == "ok").sum())
    accuracy, confidence = tables.images["correct"].mean(), tables.images["confidence"].mean()
    device = latest_provenance(run).get("device")
    facts = [("images", str(used)), ("failed", str(len(tables.images) - used) if used < len(tables.images) else "")]
    facts += [("arms", str(len(arms(records)))), ("model's accuracy", number(accuracy) if pd.notna(accuracy) else "")]
    facts += [("mean confidence", number(confidence) if pd.notna(confidence) else ""), ("device", str(device or ""))]
    return [(name, value) for name, value in facts if value]


def latest_provenance(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Provenance of the last process that worked on a run; empty where there is none."""
    found = run.get("provenance") or {}
    found = found[-1] if isinstance(found, list) else found
    return found if isinstance(found, Mapping) else {}


def _curve_charts(records: pd.DataFrame, names: dict[str, Any]) -> list[tuple[str, LineChart]]:
    charts = []
    metrics = unique(records.loc[records["metric"].map(lambda name: name in CURVES), "metric"])
    for metric in sorted(metrics, key=CURVES.index):
        lines = mean_curves(records, metric)
        if lines:
            charts.append((metric, _curve_chart(metric, lines, names)))
    return charts


def _curve_chart(metric: str, lines: Mapping[Arm, MeanLine], names: dict[str, Any]) -> LineChart:
    areas = {arm: line.area for arm, line in lines.items()}
    better = higher_is_better(metric)
    best_first = sorted(lines, key=lambda arm: areas[arm], reverse=bool(better))
    return line_chart(
        {arm: lines[arm] for arm in best_first},
        **names,
        title=f"{metric_title(metric)}: {'higher' if better else 'lower'} is better",
        x_label=X_LABELS[metric],
        y_label="score of the target class",
        notes={arm: number(area) for arm, area in areas.items()},
        lowest=0.0,
    )


def _dot_charts(tables: Tables, order: Sequence[Arm], names: dict[str, Any]) -> list[DotChart]:
    charts = [dot_chart(scores, arms=order, **names, title=metric_title(scores.metric)) for scores in tables.ranking]
    return [chart for chart in charts if chart is not None]


def _table_views(tables: Tables) -> list[TableView]:
    captions = {
        "comparisons": "Paired comparisons between arms, Holm-adjusted within each metric",
        "evaluator_sensitivity": "How the ranking moves with each choice of a metric",
        "evaluator_ranks": "Mean score and rank of each arm under each choice",
        "agreement": "Do images order the arms alike? Kendall's W and Friedman's test",
        "sanity_verdicts": "Verdicts: does the map depend on what was learned?",
        "sanity_claims": "The claims of Adebayo et al.",
        "sanity": "Similarity with the trained model's map while modules are randomized",
        "efficient_mprt": "Efficient MPRT: relative rise of the map's entropy in the fully randomized model",
        "random_logit": "Random logit: similarity with the map of another class",
        "data_randomization": "Permuted labels against the control: similarity with the trained model's map",
        "training_accuracy": "How well the networks on permuted and on true labels were trained",
        "coverage": "Share of the network's numbers that the randomization reaches",
        "timing": "Time and memory of each phase",
        "cost": "What the metrics cost",
        "images": "Images",
        "summary": "All estimates",
    }
    frames = tables.frames()
    return [table_view(name, frames[name], caption) for name, caption in captions.items() if len(frames.get(name, ()))]


def _failed(records: pd.DataFrame) -> list[tuple[str, str]]:
    rows = records[(records["metric"] == "image") & (records["status"] != "ok")]
    return [(str(image), str(reason)) for image, reason in zip(rows["image"], rows["reason"], strict=True)]


def _cards(records: pd.DataFrame) -> list[CardView]:
    views: dict[Card, list[list[tuple[str, str]]]] = {}
    for metric in unique(records["metric"]):
        texts = unique(records.loc[records["metric"] == metric, "settings"])
        settings = [_flat(json.loads(text or "{}")) for text in texts]
        name = next((dict(one)["name"] for one in settings if "name" in dict(one)), "")
        card = CARDS.get(metric) or CARDS.get(name)
        if card is not None:
            key = [("recorded as", metric)] if metric != card.name else []
            views.setdefault(card, []).extend([*key, *one] for one in settings if one)
    return [CardView(card, settings) for card, settings in views.items()]


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Write nested settings as dotted names with their values."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[object, Any]] = value.items()
    elif isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value):
        items = enumerate(value)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
        return [(prefix, text)]
    return [pair for key, part in items for pair in _flat(part, f"{prefix}.{key}" if prefix else str(key))]


__all__ = ["Browser", "CardView", "CostView", "StripView", "latest_provenance", "render_page"]
