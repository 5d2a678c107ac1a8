"""The answer in words, generated from the tables and no stronger than their tests."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from xaibench.report.cost.quality import cost_sentences
from xaibench.report.cost.tables import path_milliseconds
from xaibench.report.evaluator.words import sensitivity_sentences
from xaibench.report.labels import arm_label
from xaibench.report.reliability_words import image_agreement_sentence
from xaibench.report.sanity.words import sanity_sentences
from xaibench.report.stopping import Stopping, stopping_entry, stopping_sentences, verdict_sentence
from xaibench.report.tables import Tables, make_tables
from xaibench.report.verdicts import (
    Verdict,
    best_sentence,
    reference_clause,
    reference_relations,
    settling,
    settling_sentence,
    verdict,
)
from xaibench.report.wording import capital, counted, listed, lowered, number, p_at_most

FIRST = ("insertion", "deletion")
"""Metrics of the headline, where the run has them; faithfulness to the model comes before agreement with the object."""

NO_SCORES = "The run has no scores to compare layers by."


@dataclass(frozen=True)
class Answer:
    """What the run says.

    Attributes
    ----------
    headline : str
        The answer in at most two sentences.
    sentences : list of str
        What comes after: the other metrics, references, sanity check, cost, and what was left out.
    facts : dict
        The numbers behind the sentences; plain values, fit for JSON. Undefined is None.
    parts : list of (str, list of str)
        The sentences by the question that they answer, in the same order; empty where they are not sorted so.
    """

    headline: str
    sentences: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
    parts: list[tuple[str, list[str]]] = field(default_factory=list)


def answer(records: pd.DataFrame | Tables, *, first: Sequence[str] = FIRST, alpha: float | None = None) -> Answer:
    """Say what the tables show.

    Parameters
    ----------
    records : DataFrame or Tables
        Records, or what `make_tables` made of them.
    first : sequence of str
        Metrics that the headline is about; the first two others where the run has none of them.
    alpha : float, optional
        Family-wise level at which a difference counts as settled; what the tables' confidence leaves where not given.
    """
    tables = records if isinstance(records, Tables) else make_tables(records)
    verdicts = [verdict(scores, alpha=alpha) for scores in tables.ranking]
    rank = {metric: place for place, metric in enumerate(first)}
    verdicts.sort(key=lambda one: rank.get(one.scores.metric, len(rank)))
    leading = [one for one in verdicts if one.scores.metric in rank][:2] or verdicts[:2]
    rest = verdicts[len(leading) :]
    said = partial(_said, stopping=tables.stopping)
    checked, cost = sanity_sentences(tables.sanity, tables.findings), _cost(tables.timing)
    headline = " ".join(said(one) for one in leading) or _without_scores(tables, checked, cost)
    explained = [] if leading or headline == NO_SCORES else [NO_SCORES]
    explained += stopping_sentences(tables.stopping)
    explained += [settling_sentence(one) for one in leading if not _is_settled(one, tables.stopping)]
    explained += [*(said(one) for one in rest), *_references(verdicts)]
    priced = [one for one in tables.cost_quality if not _stops_by(one.scores.metric, tables.stopping)]
    parts = {
        "Which layer explains best": explained,
        "Can the metric be trusted": [
            image_agreement_sentence([one.scores for one in leading], tables.reliability),
            *sensitivity_sentences(tables.sensitivity),
            *tables.trust.sentences(),
        ],
        "Does the map show what was learned": [one for one in checked if one not in headline],
        "What it costs": [*([] if cost in headline else [cost]), *cost_sentences(priced)],
        "What is left out": list(_left_out(tables)),
    }
    kept = [(title, [one for one in sentences if one]) for title, sentences in parts.items()]
    flat = [one for _, sentences in kept for one in sentences]
    return Answer(headline, flat, _plain(_facts(tables, verdicts)), [part for part in kept if part[1]])


def _without_scores(tables: Tables, checked: Sequence[str], cost: str) -> str:
    """Headline of a run that scored no map: what its sanity checks say, or else what an explanation costs."""
    if len(tables.sanity):
        return checked[0]
    return cost if path_milliseconds(tables.timing) else NO_SCORES


def _said(one: Verdict, *, stopping: Stopping | None) -> str:
    """Which arm is best by a metric; by the anytime-valid test where the run could stop early by this metric."""
    by_rule = stopping is not None and (one.scores.metric, one.scores.variant) == (stopping.rule.metric, "")
    return verdict_sentence(stopping) if stopping is not None and by_rule else best_sentence(one)


def _stops_by(metric: str, stopping: Stopping | None) -> bool:
    """Whether the run could stop early by this metric, so that tests made for a fixed number of images do not hold."""
    return stopping is not None and stopping.rule.metric == metric


def _is_settled(one: Verdict, stopping: Stopping | None) -> bool:
    return stopping is not None and stopping.settled and one.scores.metric == stopping.rule.metric


def _references(verdicts: Sequence[Verdict]) -> Iterator[str]:
    compared = [one for one in verdicts if one.scores.references and one.scores.candidates]
    if not any(one.scores.candidates for one in verdicts):
        return
    if not compared:
        yield "No reference explainer has a score: nothing says whether the maps beat one that ignores the model."
        return
    unbeaten: dict[str, list[str]] = {}
    for one in compared:
        unbeaten.setdefault(reference_clause(one), []).append(lowered(one.scores.title))
    if list(unbeaten) == [""]:
        p = [
            one.scores.p(ref, arm) for one in compared for ref in one.scores.references for arm in one.scores.candidates
        ]
        yield f"Every layer beats every reference explainer by every metric (adjusted {p_at_most(p)})."
        return
    names = listed(list(dict.fromkeys(arm[0] for one in compared for arm in one.scores.references)))
    said = [f"by {listed(metrics)}, {clause or 'every layer beats them all'}." for clause, metrics in unbeaten.items()]
    yield " ".join(
        [f"Not every layer beats the references ({names}), which ignore the model:", said[0], *map(capital, said[1:])]
    )


def _cost(timing: pd.DataFrame) -> str:
    per_layer = path_milliseconds(timing)
    if not per_layer:
        return "The cost of the explanation was not measured."
    plain = timing.loc[timing["phase"] == "inference", "milliseconds"]
    full = timing.loc[timing["phase"] == "full_backward", "milliseconds"]
    inference = float(plain.iloc[0]) if len(plain) else math.nan
    slow, fast = max(per_layer, key=lambda layer: per_layer[layer]), min(per_layer, key=lambda layer: per_layer[layer])
    costs = [_layer_cost(layer, per_layer[layer], inference) for layer in dict.fromkeys([fast, slow])]
    devices = listed([device for device in dict.fromkeys(timing["device"]) if device])
    text = f"An explanation takes {listed(costs)}{f' on {devices}' if devices else ''}"
    if len(plain):
        text += f"; plain inference takes {number(inference, decimals=2)} ms an image"
    if len(full):
        text += f", and a full backward pass with parameter gradients {number(float(full.iloc[0]), decimals=2)} ms"
    return f"{text}."


def _layer_cost(layer: str, milliseconds: float, inference: float) -> str:
    ratio = f" ({milliseconds / inference:.2f} × plain inference)" if inference > 0 else ""
    return f"{number(milliseconds, decimals=2)} ms an image at {layer}{ratio}"


def _left_out(tables: Tables) -> Iterator[str]:
    unused = tables.images[tables.images["status"] != "ok"]
    if len(unused):
        reasons = listed(list(dict.fromkeys(reason or "no reason given" for reason in unused["reason"])))
        yield f"{len(unused)} of {counted(len(tables.images), 'image')} could not be used: {reasons}."
    ranking = tables.summary[tables.summary["direction"] != ""]
    undefined, failed = int(ranking["undefined"].sum()), int(ranking["failed"].sum())
    if undefined or failed:
        total = int(ranking["n"].sum()) + undefined + failed
        yield f"{undefined + failed} of {total} scores are undefined; they are counted in the tables and in no mean."


def _facts(tables: Tables, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "metrics": {_key(one): _metric_facts(one) for one in verdicts},
        "sanity": json.loads(tables.sanity.to_json(orient="records")),
        "sanity_verdicts": json.loads(
            tables.findings.tables.get("sanity_verdicts", pd.DataFrame()).to_json(orient="records")
        ),
        "stopping": stopping_entry(tables.stopping) if tables.stopping else None,
        "milliseconds_per_image": path_milliseconds(tables.timing),
        "images": {str(status): int(n) for status, n in tables.images["status"].value_counts().items()},
    }


def _key(of: Verdict) -> str:
    return f"{of.scores.metric}/{of.scores.variant}" if of.scores.variant else of.scores.metric


def _metric_facts(of: Verdict) -> dict[str, Any]:
    if of.best is None:
        return {"best": None}
    interval = of.scores.intervals[of.best]
    nearest = settling(of)
    return {
        "best": arm_label(of.best),
        "mean": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "higher_is_better": of.scores.higher_is_better,
        "undecided": {arm_label(arm): p for arm, p in zip(of.undecided, of.p(of.undecided), strict=True)},
        "beaten": {arm_label(arm): p for arm, p in zip(of.beaten, of.p(of.beaten), strict=True)},
        "images_to_settle": {"against": arm_label(nearest[0]), "n": nearest[1]} if nearest else None,
        "references": {
            arm_label(reference): {"beats": [*map(arm_label, beats)], "undecided": [*map(arm_label, undecided)]}
            for reference, (beats, undecided) in reference_relations(of).items()
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
