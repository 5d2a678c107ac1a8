"""Can the metrics be trusted? Agreement among them, agreement with the masks, and their reaction to corrupted maps."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from xaibench.report.scores import MetricScores
from xaibench.report.trust.corruption import Reaction, corruption_tables, reactions
from xaibench.report.trust.corruption_chains import Chain, corrupted_names
from xaibench.report.trust.corruption_words import corruption_sentences
from xaibench.report.trust.metric_agreement import AGREEMENT_COLUMNS, metric_agreement
from xaibench.report.trust.validity import Validity, validity, validity_tables
from xaibench.report.trust.validity_words import validity_sentences
from xaibench.statistics.intervals import N_RESAMPLES


@dataclass(frozen=True)
class Trust:
    """What a run says of its metrics; each part is empty where the run does not have what it needs.

    Attributes
    ----------
    agreement : DataFrame
        See `metric_agreement`; needs two metrics that rank the arms.
    validity : list of Validity
        Needs masks.
    reactions : list of Reaction
        Needs corrupted explainers.
    """

    agreement: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=AGREEMENT_COLUMNS))
    validity: list[Validity] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Its tables by name."""
        agreement = {"metric_agreement": self.agreement} if len(self.agreement) else {}
        return agreement | validity_tables(self.validity) | corruption_tables(self.reactions)

    def sentences(self) -> list[str]:
        """What the tests allow to be said."""
        return [*validity_sentences(self.validity), *corruption_sentences(self.reactions)]


def trust(
    records: pd.DataFrame,
    ranking: Sequence[MetricScores],
    *,
    chains: Sequence[Chain] = (),
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Trust:
    """Find out what a run says of its metrics.

    Parameters
    ----------
    records : DataFrame
        All of the run's, corrupted explainers' among them.
    ranking : sequence of MetricScores
        Metrics that rank the arms, corrupted ones left out.
    chains : sequence of Chain
        See `chains_of`.
    confidence, n_resamples, seed
        Of intervals and tests.
    """
    return Trust(
        metric_agreement(ranking, confidence=confidence, n_resamples=n_resamples, seed=seed),
        validity(ranking, confidence=confidence, n_resamples=n_resamples, seed=seed),
        reactions(records, chains, confidence=confidence, n_resamples=n_resamples, seed=seed),
    )


def without_corrupted(records: pd.DataFrame, chains: Sequence[Chain]) -> pd.DataFrame:
    """Records without those of corrupted explainers: no layer and no method, they are told of with their chain."""
    names = corrupted_names(list(chains))
    return records[~records["explainer"].isin(names)] if names else records
