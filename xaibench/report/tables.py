"""All tables of a run, from its records alone: computed once, shown by page and terminal, written to a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from xaibench.report.cost import cost, timing
from xaibench.report.evaluator_sensitivity import Sensitivity, evaluator_sensitivity
from xaibench.report.evaluator_words import sensitivity_tables
from xaibench.report.findings import Findings, find
from xaibench.report.sanity import sanity
from xaibench.report.sanity_rule import SanityRule
from xaibench.report.scores import MetricScores, analyse, comparisons, summary
from xaibench.report.writers import score_latex, score_markdown, to_csv, to_markdown
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
    checks say, `sensitivity` how the ranking moves with each choice of a metric.

    `cost` and `timing` hold what a clock measured; the others do not.
    """

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    agreement: pd.DataFrame
    sanity: pd.DataFrame
    cost: pd.DataFrame
    timing: pd.DataFrame
    images: pd.DataFrame
    scores: list[MetricScores] = field(repr=False)
    findings: Findings = field(default_factory=Findings, repr=False)
    sensitivity: list[Sensitivity] = field(default_factory=list, repr=False)
    confidence: float = 0.95

    @property
    def ranking(self) -> list[MetricScores]:
        """Scores that rank arms; of a metric and its variations the base alone."""
        varied = {key for one in self.sensitivity for key in one.variants}
        return [one for one in self.scores if one.higher_is_better is not None and one.metric not in varied]

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name, in the order in which to show them."""
        names = ("summary", "comparisons", "agreement", "sanity", "cost", "timing", "images")
        own = {name: getattr(self, name) for name in names}
        return own | self.findings.tables | sensitivity_tables(self.sensitivity)


def make_tables(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    rule: SanityRule | None = None,
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
    confidence : float
        Of all intervals but those of the rule, which has its own.
    n_resamples, seed : int
        Of bootstrap and permutation tests; the same give the same tables.
    """
    check_confidence(confidence)
    options: dict[str, Any] = {"layers": layers, "confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    scores = analyse(records, **options)
    return Tables(
        summary=summary(scores),
        comparisons=comparisons(scores),
        agreement=agreement(scores),
        sanity=sanity(records, **options),
        cost=cost(records, layers=layers),
        timing=timing(records, layers=layers),
        images=images(records),
        scores=scores,
        findings=find(records, rule=rule, **options),
        sensitivity=evaluator_sensitivity(scores, confidence=confidence, n_resamples=n_resamples, seed=seed),
        confidence=confidence,
    )


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
    """Write every table as CSV and Markdown, and the scores of all arms as Markdown and LaTeX for a paper.

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
    texts = {f"{name}.csv": to_csv(frame) for name, frame in tables.frames().items()}
    texts |= {f"{name}.md": to_markdown(frame) for name, frame in tables.frames().items()}
    texts["scores.md"] = score_markdown(tables.ranking, confidence=tables.confidence)
    texts["scores.tex"] = score_latex(tables.ranking, confidence=tables.confidence)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]
