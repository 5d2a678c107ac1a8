"""Tables of the sanity checks beside the cascades: efficient MPRT, random logit, permuted labels, coverage."""

from collections.abc import Iterator, Sequence

import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms
from xaibench.report.sanity.checks import interval_of, rows_of, table_of
from xaibench.statistics.intervals import N_RESAMPLES
from xaibench.statistics.paired import images_p

PERMUTED, CONTROL = "permuted_labels", "true_labels"

MEAN_COLUMNS = [
    "check", "explainer", "layer", "arm", "variant", "mean", "low", "high", "images", "seeds", "undefined", "failed",
    "note",
]  # fmt: skip
DATA_COLUMNS = [
    "check", "explainer", "layer", "arm", "variant", "permuted", "permuted_low", "permuted_high", "control",
    "control_low", "control_high", "difference", "difference_low", "difference_high", "p", "images", "seeds",
    "undefined", "failed", "note",
]  # fmt: skip
ACCURACY_COLUMNS = ["labels", "seed", "training_accuracy", "epochs", "status", "reason"]
COVERAGE_COLUMNS = ["check", "of", "share", "status", "reason"]


def mean_check(
    records: pd.DataFrame,
    kind: str,
    *,
    layers: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row per check of a kind (``efficient_mprt``, ``random_logit``), arm and variant: mean over seeds and
    images with its interval; undefined values are counted and in no mean.
    """
    found = []
    for metric, arm, variant, rows in _groups(rows_of(records, kind), layers):
        mean = interval_of(table_of(rows), confidence=confidence)
        sizes = (rows["image"].nunique(), rows["seed"].nunique(), *_missing(rows))
        found.append([metric, *arm, arm_label(arm), variant, mean.estimate, mean.low, mean.high, *sizes, mean.note])
    return pd.DataFrame(found, columns=MEAN_COLUMNS)


def data_randomization(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per arm and similarity: maps of a network trained on permuted labels, and of the control trained anew
    on the true ones, each compared with the trained model's.

    The difference, permuted minus control, is paired by seed and image; its interval is over both, its p flips signs
    over images and takes the networks as given.
    """
    found = []
    for metric, arm, variant, rows in _groups(rows_of(records, "data_randomization"), layers):
        permuted, control = (_of_labels(rows, labels) for labels in (PERMUTED, CONTROL))
        difference = permuted - control
        intervals = [interval_of(table, confidence=confidence) for table in (permuted, control, difference)]
        ends = [end for one in intervals for end in (one.estimate, one.low, one.high)]
        sizes = (rows["image"].nunique(), rows["seed"].nunique(), *_missing(rows))
        note = "no control was trained" if control.empty else intervals[2].note
        p = images_p(difference.to_numpy(float), n_resamples=n_resamples, seed=seed)
        found.append([metric, *arm, arm_label(arm), variant, *ends, p, *sizes, note])
    return pd.DataFrame(found, columns=DATA_COLUMNS)


def training_accuracy(records: pd.DataFrame) -> pd.DataFrame:
    """How well each network of the data randomization test fits its labels: one row a network."""
    rows = rows_of(records, "training_accuracy")
    columns = ["module", "seed", "value", "curve_x", "status", "reason"]
    found = [
        [module, seed, value, len(epochs), status, reason]
        for module, seed, value, epochs, status, reason in rows[columns].itertuples(index=False)
    ]
    return pd.DataFrame(found, columns=ACCURACY_COLUMNS)


def coverage(records: pd.DataFrame) -> pd.DataFrame:
    """What share of the network's parameters and buffers the randomization reaches; each distinct answer once."""
    rows = rows_of(records, "coverage")[["metric", "variant", "value", "status", "reason"]].drop_duplicates()
    return pd.DataFrame(rows.to_numpy(), columns=COVERAGE_COLUMNS).astype({"share": float})


def _groups(rows: pd.DataFrame, layers: Sequence[str] | None) -> Iterator[tuple[str, Arm, str, pd.DataFrame]]:
    for metric, of_metric in rows.groupby("metric", sort=False):
        for arm in arms(of_metric, layers):
            own = of_metric[(of_metric["explainer"] == arm[0]) & (of_metric["layer"] == arm[1])]
            for variant, similar in own.groupby("variant", sort=False):
                yield str(metric), arm, str(variant), similar


def _of_labels(rows: pd.DataFrame, labels: str) -> pd.DataFrame:
    return table_of(rows[rows["module"] == labels])


def _missing(rows: pd.DataFrame) -> tuple[int, int]:
    return int((rows["status"] == "undefined").sum()), int((rows["status"] == "failed").sum())
