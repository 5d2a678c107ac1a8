"""All tables of a run, from its records alone: computed once, shown by page and terminal, written to a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from xaibench.report.adcc_table import adcc_table
from xaibench.report.convergence import MetricConvergence, converged, convergence_table
from xaibench.report.cost.conditions import timing_conditions
from xaibench.report.cost.grid import timing_grid, without_grid
from xaibench.report.cost.limits import memory, path_checks, roofline
from xaibench.report.cost.precision import precision_maps, precision_scores
from xaibench.report.cost.quality import CostQuality, cost_quality, cost_quality_table
from xaibench.report.cost.tables import cost, timing
from xaibench.report.estimates import estimates, reliabilities
from xaibench.report.evaluator.sensitivity import Sensitivity, evaluator_sensitivity
from xaibench.report.evaluator.words import sensitivity_tables
from xaibench.report.labels import Arm
from xaibench.report.latex import comparison_latex, score_latex, verdict_latex
from xaibench.report.map_counts import map_counts, removed_shares
from xaibench.report.sanity.findings import Findings, find
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.sanity.table import sanity
from xaibench.report.scores import MetricScores, analyse, comparisons, summary
from xaibench.report.stopping import Stopping, noted, stopping_table
from xaibench.report.summaries import MeanLine, mean_curves
from xaibench.report.trust.corruption_chains import Chain
from xaibench.report.trust.trust import Trust, trust, without_corrupted
from xaibench.report.writers import score_markdown, to_csv, to_markdown
from xaibench.statistics.intervals import N_RESAMPLES, check_confidence

__all__ = [
    "Tables",
    "agreement",
    "comparisons",
    "cost",
    "images",
    "make_tables",
    "sanity",
    "summary",
    "timing",
    "write_tables",
]

IMAGE_COLUMNS = ["image", "label", "target", "status", "reason", "confidence", "correct", "undefined"]
AGREEMENT_COLUMNS = ["metric", "variant", "kendalls_w", "chi_square", "p", "n_images", "n_arms", "reason"]


@dataclass(frozen=True)
class Tables:
    """The tables of a run; `scores` holds the analysis behind `summary` and `comparisons`, `findings` what the sanity
    checks say, `sensitivity` how the ranking moves with each choice of a metric, `trust` whether metrics can be trusted.

    `cost`, `timing`, `limits` and what is made of them hold what a clock or a memory meter measured; the others do not.
    """

    summary: pd.DataFrame
    estimates: pd.DataFrame
    comparisons: pd.DataFrame
    agreement: pd.DataFrame
    reliability: pd.DataFrame
    sanity: pd.DataFrame
    cost: pd.DataFrame
    timing: pd.DataFrame
    images: pd.DataFrame
    scores: list[MetricScores] = field(repr=False)
    findings: Findings = field(default_factory=Findings, repr=False)
    sensitivity: list[Sensitivity] = field(default_factory=list, repr=False)
    grid: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    limits: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    maps: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    trust: Trust = field(default_factory=Trust, repr=False)
    confidence: float = 0.95
    stopping: Stopping | None = field(default=None, repr=False)

    @cached_property
    def convergence(self) -> list[MetricConvergence]:
        """How the answer of each metric that ranks arms settled with the number of images."""
        return converged(self.ranking)

    @cached_property
    def cost_quality(self) -> list[CostQuality]:
        """What the arms score and cost, for one or two metrics."""
        return cost_quality(self.ranking, self.timing, self.cost)

    def mean_curves(self, metric: str) -> dict[Arm, MeanLine]:
        """Mean curve of each arm under a metric; none where it has no curves. Kept: figures and page draw the same."""
        if metric not in self._curves:
            rows = [one.rows for one in self.scores if one.metric == metric]
            self._curves[metric] = mean_curves(pd.concat(rows).sort_index(), metric) if rows else {}
        return self._curves[metric]

    @cached_property
    def _curves(self) -> dict[str, dict[Arm, MeanLine]]:
        return {}

    @property
    def ranking(self) -> list[MetricScores]:
        """Scores that rank arms; of a metric and its variations the base alone."""
        varied = {key for one in self.sensitivity for key in one.variants}
        return [one for one in self.scores if one.higher_is_better is not None and one.metric not in varied]

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, in the order in which to show them."""
        names = (
            "summary", "estimates", "comparisons", "agreement", "reliability", "sanity", "cost", "timing", "images",
        )  # fmt: skip
        own = {name: getattr(self, name) for name in names}
        own |= {} if self.stopping is None else {"stopping": stopping_table(self.stopping)}
        own |= {"cost_quality": cost_quality_table(self.cost_quality)} if self.cost_quality else {}
        own |= {"convergence": convergence_table(self.convergence)} if self.convergence else {}
        own |= self.limits | self.maps
        return own | self.grid | self.findings.tables | sensitivity_tables(self.sensitivity) | self.trust.tables()


def make_tables(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    rule: SanityRule | None = None,
    stopping: Stopping | None = None,
    chains: Sequence[Chain] = (),
    difference: float | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Tables:
    """Compute every table of the records.

    Parameters
    ----------
    records : DataFrame
        One row a record, columns as `Record`. Their order does not matter, but for that of metrics and explainers.
    layers : sequence of str, optional
        From shallow to deep, as in the run's settings; by first appearance where not given.
    rule : SanityRule, optional
        When a map passes the randomization test; the default one where not given.
    stopping : Stopping, optional
        What the rule found by which the run could stop early.
    chains : sequence of Chain
        Corrupted explainers, told of by `trust` and in no other table; see `chains_of`.
    difference : float, optional
        A difference of means to find, in each metric's unit: comparisons then tell how many images would do, too.
    confidence : float
        Of all intervals but those of the rule, which has its own.
    n_resamples, seed : int
        Of bootstrap and permutation tests; the same give the same tables.
    """
    check_confidence(confidence)
    options: dict[str, Any] = {"layers": layers, "confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    whole, records = records, without_corrupted(records, chains)
    scores = analyse(records, difference=difference, **options)
    tables = Tables(
        summary=noted(summary(scores), stopping),
        estimates=noted(estimates(scores, records), stopping),
        comparisons=noted(comparisons(scores), stopping),
        agreement=agreement(scores),
        reliability=reliabilities(scores, seed=seed),
        sanity=sanity(records, layers=layers, confidence=confidence),
        cost=cost(records, layers=layers),
        timing=timing(without_grid(records), layers=layers),
        images=images(records),
        scores=scores,
        findings=find(records, rule=rule, **options),
        sensitivity=evaluator_sensitivity(scores, confidence=confidence, n_resamples=n_resamples, seed=seed),
        grid=_grid(records),
        limits=_limits(without_grid(records), layers) | _conditions(records),
        maps=_maps(records, layers),
        confidence=confidence,
        stopping=stopping,
    )
    of_images = {name: option for name, option in options.items() if name != "layers"}
    return replace(tables, trust=trust(whole, tables.ranking, chains=chains, **of_images))


def _limits(records: pd.DataFrame, layers: Sequence[str] | None) -> dict[str, pd.DataFrame]:
    """What the explanation path needs against what it takes; none where it was not counted."""
    made = {"path_checks": path_checks, "memory": memory, "roofline": roofline}
    tables = {name: make(records, layers=layers) for name, make in made.items()}
    return {name: table for name, table in tables.items() if len(table)}


def _maps(records: pd.DataFrame, layers: Sequence[str] | None) -> dict[str, pd.DataFrame]:
    """Degenerate maps, what was removed where shares were asked for, and ADCC of means; none where there is nothing to tell."""
    made = {"map_counts": map_counts, "removed_shares": removed_shares, "adcc_of_means": adcc_table}
    tables = {name: make(records, layers=layers) for name, make in made.items()}
    return {name: table for name, table in tables.items() if len(table)}


def _conditions(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Under which conditions times were taken; none where nothing was timed."""
    table = timing_conditions(records)
    return {"timing_conditions": table} if len(table) else {}


def _grid(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables of a timing grid; none where there is no grid."""
    made = {"timing_grid": timing_grid, "precision_maps": precision_maps, "precision_scores": precision_scores}
    tables = {name: make(records) for name, make in made.items()}
    return {name: table for name, table in tables.items() if len(table)}


def agreement(scores: Sequence[MetricScores]) -> pd.DataFrame:
    """One row per metric that ranks arms: Kendall's W over images, and Friedman's test."""
    ranking = [one for one in scores if one.higher_is_better is not None]
    rows = [
        [one.metric, one.variant, *(getattr(one.agreement, name) for name in AGREEMENT_COLUMNS[2:])] for one in ranking
    ]
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)


def images(records: pd.DataFrame) -> pd.DataFrame:
    """One row an image, by name: whether it was used or why not, confidence, correctness, undefined values."""
    of_images = records[records["image"] != ""]
    used = of_images[of_images["metric"] == "image"].drop_duplicates("image").set_index("image")
    table = used[["label", "target", "status", "reason"]].copy()
    for metric in ("confidence", "correct"):
        values = of_images[of_images["metric"] == metric].groupby("image")["value"].mean()
        table[metric] = values.reindex(table.index)
    undefined = of_images[of_images["status"] == "undefined"].groupby("image").size()
    table["undefined"] = undefined.reindex(table.index, fill_value=0).astype(int)
    return table.sort_index().reset_index()[IMAGE_COLUMNS]


def write_tables(
    records: pd.DataFrame | Tables, folder: Path | str, *, layers: Sequence[str] | None = None
) -> list[Path]:
    """Write every table as CSV and Markdown; scores, comparisons and sanity verdicts as LaTeX for a paper, too.

    Parameters
    ----------
    records : DataFrame or Tables
        Records, or what `make_tables` made of them.
    folder : path
        Made where it does not exist; tables in it are replaced.
    layers : sequence of str, optional
        Order of layers, for records.

    Returns
    -------
    list of Path
        The files; the same records give the same bytes.
    """
    tables = records if isinstance(records, Tables) else make_tables(records, layers=layers)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frames = tables.frames()
    texts = {f"{name}.csv": to_csv(frame) for name, frame in frames.items()}
    texts |= {f"{name}.md": to_markdown(frame) for name, frame in frames.items()}
    texts["scores.md"] = score_markdown(tables.ranking, confidence=tables.confidence)
    papers = {
        "scores.tex": score_latex(tables.ranking, confidence=tables.confidence),
        "comparisons.tex": comparison_latex(tables.ranking, confidence=tables.confidence),
        "sanity_verdicts.tex": verdict_latex(tables.findings.verdicts, confidence=tables.findings.rule.confidence),
    }
    texts |= {name: text for name, text in papers.items() if text}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]
