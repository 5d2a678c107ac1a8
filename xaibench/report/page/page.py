"""The page of a run: one HTML file that opens with the answer and asks nothing of any server."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from xaibench.report.answer import Answer
from xaibench.report.arms import short_labels
from xaibench.report.curve_metrics import MeanCurves, curve_metrics
from xaibench.report.figures.sanity_checks import Drawn
from xaibench.report.figures.style import arm_styles
from xaibench.report.labels import Arm, arms
from xaibench.report.page.browser import browse
from xaibench.report.page.card_views import card_anchors, card_views
from xaibench.report.page.charts import DotChart, LineChart, dot_chart, line_chart
from xaibench.report.page.convergence_view import convergence_view
from xaibench.report.page.cost_quality_view import cost_quality_view
from xaibench.report.page.costs_view import cost_view
from xaibench.report.page.environment import environment
from xaibench.report.page.evaluator_view import sensitivity_view
from xaibench.report.page.gallery import GalleryLink
from xaibench.report.page.glossary import column_anchors, terms_of
from xaibench.report.page.marks import marks_of, shapes
from xaibench.report.page.sanity_view import sanity_view
from xaibench.report.page.scaling_view import scaling_view
from xaibench.report.page.strip_view import strip_view
from xaibench.report.page.table_views import TableView, score_view, table_view
from xaibench.report.page.trust_view import trust_view
from xaibench.report.pictures import Pictured, Strip
from xaibench.report.sanity.checks import find_cascade
from xaibench.report.summaries import phase_costs
from xaibench.report.tables import Tables
from xaibench.report.trust.metric_agreement import metric_titles
from xaibench.report.wording import number


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
    gallery: Sequence[GalleryLink] = (),
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
    gallery : sequence of GalleryLink
        Pages beside this one that show them all.

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
    styles, curves, views = arm_styles(order), curve_metrics(tables), _table_views(tables)
    marks = marks_of(styles, numbers)
    context = {
        "title": page_title(run),
        "answer": answer,
        "facts": _facts(records, tables, run),
        "styles": [(numbers[arm], labels[arm], style) for arm, style in styles.items()],
        "marks": marks,
        "shapes": shapes(marks.values()),
        "curves": _curve_charts(curves, tables, names),
        "dots": _dot_charts(tables, order, names),
        "evaluator": sensitivity_view(tables.sensitivity, labels=labels),
        "trust": trust_view(tables.trust, titles=metric_titles(tables.ranking), **names),
        "sanity": sanity_view(cascades, tables.findings, **names),
        "strips": [strip_view(strip, modules=modules, labels=labels) for strip in strips],
        "cost": cost_view(phase_costs(records)),
        "convergence": convergence_view(tables.convergence, **names),
        "cost_quality": cost_quality_view(tables.cost_quality, **names),
        "scaling": scaling_view(records, grid=tables.grid, device=str(latest_provenance(run).get("device") or "")),
        "browser": browse(records, pictured, tables=tables, curves=curves, order=order, labels=labels),
        "gallery": gallery,
        "n_pictures": len(pictured) if n_pictures is None else n_pictures,
        "score_table": score_view(tables, order=order, labels=labels),
        "tables": views,
        "failed": _failed(records),
        "cards": card_views(records, labels),
        "defined": card_anchors(records),
        "terms": terms_of(column for view in views for column in view.keys),
        "explained": column_anchors(),
        "provenance": _flat(run),
        "run_json": json.dumps(run, indent=2, ensure_ascii=False),
    }
    return environment().get_template("report.html.j2").render(context)


def page_title(run: Mapping[str, Any]) -> str:
    """Name of a run's experiment, in words."""
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


def _curve_charts(curves: Sequence[MeanCurves], tables: Tables, names: dict[str, Any]) -> list[tuple[str, LineChart]]:
    scores = {one.metric: one.intervals for one in tables.ranking}
    charts = []
    for curve in curves:
        means = {arm: scores[curve.metric][arm].estimate for arm in curve.lines}
        best_first = sorted(curve.lines, key=lambda arm: -means[arm] if curve.higher_is_better else means[arm])
        chart = line_chart(
            {arm: curve.lines[arm] for arm in best_first},
            **names,
            title=curve.title,
            x_label=curve.x_label,
            y_label=curve.y_label,
            notes={arm: number(mean) for arm, mean in means.items()},
            lowest=min(0.0, *(float(line.mean.min()) for line in curve.lines.values())),
        )
        charts.append((curve.metric, chart))
    return charts


def _dot_charts(tables: Tables, order: Sequence[Arm], names: dict[str, Any]) -> list[DotChart]:
    charts = [dot_chart(scores, arms=order, **names) for scores in tables.ranking]
    return [chart for chart in charts if chart is not None]


def _table_views(tables: Tables) -> list[TableView]:
    captions = {
        "stopping": "Stopping early: e-value against each arm's being the best, and the leader's lead over it",
        "comparisons": "Paired comparisons between arms, Holm-adjusted within each metric",
        "convergence": "Interval width and stability of the ranking against the number of images",
        "evaluator_sensitivity": "How the ranking moves with each choice of a metric",
        "evaluator_ranks": "Mean score and rank of each arm under each choice",
        "metric_agreement": "Do the metrics order the arms alike? Spearman's correlation within images with "
        "its interval, and between the means with its spread (the middle share over bootstrap samples: no confidence interval)",
        "validity": "Do the faithfulness metrics rank the maps as the masks do? Spearman's correlation within images",
        "validity_comparisons": "Which faithfulness metric agrees better with the masks? Paired, Holm-adjusted for each measure",
        "corruption": "What each metric does as more of a map's cells change places; higher taken for better",
        "corruption_means": "Mean scores as more of a map's cells change places",
        "estimates": "Mean, median and rank of each arm with their intervals: over images, over images in classes, over "
        "seeds and images. Ranks hold together for all arms of a metric",
        "adcc_of_means": "ADCC of the mean drop, coherency and complexity, beside the mean of the images' ADCC",
        "map_counts": "What the maps are like: ties, maps that are zero once rectified, NaN",
        "removed_shares": "Share of pixels asked for and really removed by ROAD and its kin, where the two differ most: mean, "
        "least and most over maps",
        "agreement": "Do images order the arms alike? Kendall's W and Friedman's test",
        "reliability": "How far do images agree on the arms? Krippendorff's alpha, Kendall's W with intervals, and split-half "
        "agreement (the middle 95 % of the splits)",
        "sanity_verdicts": "Verdicts: does the map depend on what was learned?",
        "sanity_claims": "The claims of Adebayo et al.",
        "sanity": "Similarity with the trained model's map while modules are randomized",
        "efficient_mprt": "Efficient MPRT: relative rise of the map's entropy in the fully randomized model",
        "random_logit": "Random logit: similarity with the map of another class",
        "data_randomization": "Permuted labels against the control: similarity with the trained model's map",
        "training_accuracy": "How well the networks on permuted and on true labels were trained",
        "coverage": "Share of the network's numbers that the randomization reaches",
        "cost_quality": "What each arm scores and costs, and which ones no other beats in both",
        "timing": "Time and memory of each phase",
        "timing_conditions": "Under which conditions times were taken: the clock and its own overhead, threads, flags, the machine's state",
        "path_checks": "Do the phases add up, and what do the hooks cost? Medians of paired repetitions, 95 % intervals",
        "memory": "Memory of each phase: measured, and predicted from shapes",
        "roofline": "How near each phase comes to the machine's limits",
        "timing_grid": "Time of an explanation under each condition",
        "precision_maps": "Error of the heatmap in each precision against float64",
        "precision_scores": "Error of the scores in each precision against float64",
        "cost": "What the metrics cost",
        "images": "Images",
        "summary": "All arms under all metrics: means, best sets, cost",
    }
    frames = tables.frames()
    return [table_view(name, frames[name], caption) for name, caption in captions.items() if len(frames.get(name, ()))]


def _failed(records: pd.DataFrame) -> list[tuple[str, str]]:
    rows = records[(records["metric"] == "image") & (records["status"] != "ok")]
    return [(str(image), str(reason)) for image, reason in zip(rows["image"], rows["reason"], strict=True)]


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
