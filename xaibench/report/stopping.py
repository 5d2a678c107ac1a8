"""What the rule for stopping early finds in the records: whether the question is settled, and what was saved."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms, higher_is_better, metric_title, spoken
from xaibench.report.scores import by_image
from xaibench.report.stop_rule import StopRule, metric_range
from xaibench.report.wording import counted, listed, lowered, number
from xaibench.statistics.sequential import Settlement, confidence_sequence, settle

TEST = "e-process by betting on paired differences (Waudby-Smith and Ramdas), averaged over rivals; anytime-valid"
STOPPED_EARLY = "the run stopped early: p is not valid as such"
N_LOOKS = 48

COLUMNS = ["arm", "mean", "n", "e_value", "may_be_best", "lead", "lead_low", "lead_high"]


@dataclass(frozen=True)
class Stopping:
    """A rule and what the images so far say.

    Attributes
    ----------
    rule : StopRule
    values : DataFrame
        One column an arm that looks at the model, one row an image in the order in which they were used; only images
        on which all of them are defined, as these alone are compared.
    better : int
        1 where higher is better, else -1.
    width : float
        Of the metric's range.
    settlement : Settlement
    ends : tuple of int
        Rows of `values` at the end of each shard, when the run looked.
    seen, total : int
        Images that were read, and that there are.
    passes_saved : float
        About how many forward passes the images left out would have taken.
    """

    rule: StopRule
    values: pd.DataFrame = field(repr=False)
    better: int
    width: float
    settlement: Settlement
    ends: tuple[int, ...]
    seen: int
    total: int
    passes_saved: float

    @property
    def settled(self) -> bool:
        """Whether the question is answered."""
        return self.settlement.how != ""

    @property
    def early(self) -> bool:
        """Whether images were left out."""
        return self.settled and self.seen < self.total

    @property
    def arms(self) -> list[Arm]:
        """Columns of `values`."""
        columns: list[Any] = list(self.values.columns)
        return columns

    @property
    def remaining(self) -> list[Arm]:
        """Arms that may be the best."""
        return [self.arms[i] for i in self.settlement.remaining]

    @property
    def leader(self) -> Arm:
        """The arm with the best mean, of those that may be the best."""
        means = self.better * self.values[self.remaining or self.arms].mean()
        arm: Arm = means.index[int(means.fillna(-math.inf).to_numpy().argmax())]
        return arm

    def leads(self, arm: Arm) -> pd.Series:
        """By how much the leader is better than another arm, image by image."""
        return self.better * (self.values[self.leader] - self.values[arm])

    def looks(self) -> list[int]:
        """Numbers of images at the ends of shards, at most `N_LOOKS` of them, the last among them."""
        ends = sorted({end for end in self.ends if end})
        return [ends[i] for i in sorted({round(p) for p in np.linspace(0, len(ends) - 1, N_LOOKS)})] if ends else []

    def lead_sequence(self, arm: Arm) -> tuple[np.ndarray, np.ndarray]:
        """Confidence sequence of the mean lead over `arm` at `looks`.

        All pairs of arms together hold at all looks with probability 1 - alpha, as the leader was picked by looking.
        """
        n_arms = self.values.shape[1]
        alpha = self.rule.alpha / (n_arms * (n_arms - 1) / 2)
        return confidence_sequence(self.leads(arm).to_numpy(float), width=self.width, alpha=alpha, looks=self.looks())


def judge(records: pd.DataFrame, rule: StopRule, *, total: int, planned: Sequence[Arm] = ()) -> Stopping | None:
    """Ask the rule about the records of the scores so far; they alone decide.

    Parameters
    ----------
    records : DataFrame
        Of a run; those of finished shards of scores are looked at, in the order of the shards.
    rule : StopRule
    total : int
        Images that there are.
    planned : sequence of (explainer, layer)
        The run's arms. One without any record by the metric is still a candidate: nothing is settled without it.

    Returns
    -------
    Stopping or None
        None where fewer than two arms have records by the metric yet.

    Raises
    ------
    ValueError
        If a value lies outside the metric's range.
    """
    scores = _of_scores(records)
    rows = scores[(scores["metric"] == rule.metric) & (scores["variant"] == "")]
    candidates = rule.candidates(dict.fromkeys([*arms(rows), *planned]))
    if rows.empty or len(candidates) < 2:
        return None
    images = scores.loc[scores["metric"] == "image", ["image", "shard"]].drop_duplicates("image")
    low, high = metric_range(rule.metric, rows["settings"].iloc[0])
    columns = pd.Index(candidates, tupleize_cols=False)
    values = by_image(rows, candidates).reindex(index=images["image"], columns=columns).dropna()
    _check_range(values, rule.metric, low, high)
    better = 1 if higher_is_better(rule.metric, rows["settings"].iloc[0]) else -1
    found = settle(better * values.to_numpy(float), width=high - low, alpha=rule.alpha, margin=rule.margin)
    if found.n < rule.at_least:
        found = replace(found, how="")
    compared = images.assign(used=images["image"].isin(values.index)).groupby("shard", sort=False)["used"].sum()
    per_image = float(scores["forward_passes"].sum()) / len(images)
    return Stopping(
        rule, values, better, high - low, found, tuple(compared.cumsum().tolist()), len(images), total,
        per_image * (total - len(images)),
    )  # fmt: skip


def stopping_of(run: Mapping[str, Any], records: pd.DataFrame) -> Stopping | None:
    """What a run's own rule found; None for a run that had none."""
    settings, data = run.get("settings"), run.get("data")
    rule = StopRule.of(settings) if isinstance(settings, Mapping) else None
    if rule is None:
        return None
    total = int(data["n"]) if isinstance(data, Mapping) else 0
    return judge(records, rule, total=total, planned=list(_planned(run, records)))


def _planned(run: Mapping[str, Any], records: pd.DataFrame) -> Iterator[Arm]:
    """Arms that the run was to have: its explainers, with their layers where these are named one by one."""
    found = arms(records)
    known = {layer for _, layer in found} | {str(layer) for layer in run.get("layers") or ()}
    for name, own in (run["settings"].get("explainer") or {}).items():
        named = own.get("layers") or ()
        layers = [named] if isinstance(named, str) else [str(layer) for layer in named]
        if not layers or not known.issuperset(layers):  # a group of layers, such as "stages"
            layers = [layer for explainer, layer in found if explainer == name] or [""]
        yield from ((name, layer) for layer in layers)


def stopping_entry(of: Stopping) -> dict[str, Any]:
    """Plain values for run.json."""
    table = stopping_table(of).replace({np.nan: None})
    return {
        "settled": of.settled,
        "stopped_early": of.early,
        "metric": of.rule.metric,
        "images": of.seen,
        "of_images": of.total,
        "compared_on": of.settlement.n,
        "may_be_best": [arm_label(arm) for arm in of.remaining],
        "test": TEST,
        "alpha": of.rule.alpha,
        "margin": of.rule.margin,
        "threshold": of.settlement.threshold,
        "e_values": dict(zip(table["arm"], table["e_value"], strict=True)),
        "lead_of": arm_label(of.leader),
        "confidence_sequence": {
            row.arm: [row.lead_low, row.lead_high] for row in table.itertuples() if row.lead is not None
        },
        "images_saved": of.total - of.seen,
        "forward_passes_saved": round(of.passes_saved),
    }


def stopping_table(of: Stopping) -> pd.DataFrame:
    """One row an arm: mean, largest e-value against its being a best one, and by how much the leader is better.

    `lead_low` to `lead_high` is the confidence sequence at the last look, of all pairs together.
    """
    rows = []
    for arm, log_e in zip(of.arms, of.settlement.log_e, strict=True):
        lead: tuple[float, float, float] = (math.nan, math.nan, math.nan)
        if arm != of.leader and of.looks():
            low, high = of.lead_sequence(arm)
            lead = (float(of.leads(arm).mean()), float(low[-1]), float(high[-1]))
        e_value = math.exp(min(log_e, 700.0))
        rows.append([arm_label(arm), of.values[arm].mean(), len(of.values), e_value, arm in of.remaining, *lead])
    return pd.DataFrame(rows, columns=COLUMNS)


def noted(table: pd.DataFrame, of: Stopping | None) -> pd.DataFrame:
    """Add to each row's `note` what p-values of a run that stopped early have to be read with."""
    if of is None or not of.early:
        return table
    return table.assign(note=[f"{note}; {STOPPED_EARLY}" if note else STOPPED_EARLY for note in table["note"]])


# ── sentences ────────────────────────────────────────────────────────────────────────────────────────────────────


def verdict_sentence(of: Stopping) -> str:
    """Which arm is best by the rule's metric, by the anytime-valid test alone."""
    by = f"By {lowered(metric_title(of.rule.metric))}"
    if of.settlement.how == "best":
        best = of.leader
        return (
            f"{by}, {spoken(best)} is best, {number(of.values[best].mean())} on average: {_better(of)} ({_error(of)})."
        )
    if of.settlement.how == "alike":
        return f"{by}, {_names(of)} are all within {of.rule.margin:g} of the best ({_error(of)})."
    if not of.remaining:
        return f"{by}, nothing is settled: the images contradict each other, as each layer fell behind at some point."
    behind = len(of.arms) - len(of.remaining)
    left = f"{_names(of)} may each be the best" + (f"; {counted(behind, 'other')} cannot" if behind else "")
    return f"{by}, no layer is settled as the best: {left} ({_error(of)})."


def stopping_sentences(of: Stopping | None) -> list[str]:
    """Why the run stopped, what that saved, and how to read the other p-values; nothing for a run without a rule."""
    if of is None:
        return []
    metric = lowered(metric_title(of.rule.metric))
    if not of.early:
        rest = "settled only then" if of.settled else "not settled"
        return [
            f"The run was to stop once {metric} was settled; it took all {counted(of.seen, 'image')}, and is {rest}."
        ]
    values = [math.exp(min(of.settlement.log_e[i], 700.0)) for i in range(len(of.settlement.log_e))]
    out = [value for arm, value in zip(of.arms, values, strict=True) if arm not in of.remaining]
    strength = f"e-value {number(min(out), decimals=1)} or more against each arm left out, " if out else ""
    answer = _better(of) if of.settlement.how == "best" else f"{_names(of)} are within {of.rule.margin:g} of the best"
    return [
        f"The run stopped after {of.seen} of {counted(of.total, 'image')}, as {metric} was settled: {answer} "
        f"({strength}out at {of.settlement.threshold:g}; {_error(of)}); {counted(of.total - of.seen, 'image')} and about "
        f"{of.passes_saved:,.0f} forward passes were saved.",
        "All p-values, best sets and intervals of this report other than those of the stopping test are for a number "
        "of images fixed beforehand: as the run stopped when it saw enough, they look surer than they are.",
    ]


def _better(of: Stopping) -> str:
    others = [arm for arm in of.arms if arm != of.leader]
    name = _short(of, of.leader)
    return (
        f"{name} is better than {_short(of, others[0])}" if len(others) == 1 else f"{name} is better than every other"
    )


def _error(of: Stopping) -> str:
    n = counted(of.settlement.n, "image")
    return f"anytime-valid test on {n}, chance of a false answer at most {100 * of.rule.alpha:g} %"


def _names(of: Stopping) -> str:
    return listed([_short(of, arm) for arm in of.remaining])


def _short(of: Stopping, arm: Arm) -> str:
    """The layer alone where there is one explainer to name."""
    return arm[1] if len({explainer for explainer, _ in of.arms}) == 1 and arm[1] else spoken(arm)


def _of_scores(records: pd.DataFrame) -> pd.DataFrame:
    """Rows of the shards of scores in the order in which the shards are done; all rows where none is named."""
    if "shard" not in records:
        return records.assign(shard="")
    found = records[records["shard"].str.startswith("scores-")]
    shards: Sequence[str] = sorted(found["shard"].unique(), key=lambda name: (len(name), name))
    return found.assign(_place=found["shard"].map({name: i for i, name in enumerate(shards)})).sort_values(
        "_place", kind="stable"
    )


def _check_range(values: pd.DataFrame, metric: str, low: float, high: float) -> None:
    slack = 1e-6 * (high - low)
    least, most = float(values.min().min()), float(values.max().max())
    if len(values) and not (low - slack <= least and most <= high + slack):
        raise ValueError(
            f"{metric} has values from {least:g} to {most:g}, outside its range of {low:g} to {high:g}: "
            "stop_when=settled is not valid for it; take another stop.metric, or leave stop_when out"
        )
