"""All that a run's sanity checks say: verdicts, the paper's claims, and the checks beside the cascades."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from xaibench.report.sanity.claims import ClaimPart, claim_table, sanity_claims
from xaibench.report.sanity.other_checks import coverage, data_randomization, mean_check, training_accuracy
from xaibench.report.sanity.rule import SanityRule
from xaibench.report.sanity.verdicts import SanityVerdict, sanity_verdicts, verdict_table
from xaibench.statistics.intervals import N_RESAMPLES


@dataclass(frozen=True)
class Findings:
    """What the sanity checks say.

    Attributes
    ----------
    rule : SanityRule
        By which the verdicts were reached.
    verdicts : list of SanityVerdict
        One for each arm and cascade from the output down.
    claims : list of ClaimPart
        Adebayo et al.'s, for the arms that are there.
    tables : dict of DataFrame
        By name, in the order in which to show them; some may be empty.
    """

    rule: SanityRule = field(default_factory=SanityRule)
    verdicts: list[SanityVerdict] = field(default_factory=list)
    claims: list[ClaimPart] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)


def find(
    records: pd.DataFrame,
    *,
    rule: SanityRule | None = None,
    layers: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Findings:
    """Compute everything; verdicts and claims with the rule's confidence, the tables with the one given."""
    rule = rule or SanityRule()
    verdicts = sanity_verdicts(records, rule=rule, layers=layers)
    claims = sanity_claims(records, rule=rule, layers=layers, n_resamples=n_resamples, seed=seed)
    tables = {
        "sanity_verdicts": verdict_table(verdicts),
        "sanity_claims": claim_table(claims),
        "efficient_mprt": mean_check(records, "efficient_mprt", layers=layers, confidence=confidence),
        "random_logit": mean_check(records, "random_logit", layers=layers, confidence=confidence),
        "data_randomization": data_randomization(
            records, layers=layers, confidence=confidence, n_resamples=n_resamples, seed=seed
        ),
        "training_accuracy": training_accuracy(records),
        "coverage": coverage(records),
    }
    return Findings(rule, verdicts, claims, tables)
