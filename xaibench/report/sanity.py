"""Does the explanation depend on what the model learned? Similarity of maps while modules are randomized."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from xaibench.report.calibration import NO_BAND, PAIRS, Bands, calibration_bands
from xaibench.report.checks import find_cascades, table_of
from xaibench.report.labels import Arm, arm_label, arms
from xaibench.statistics.intervals import N_RESAMPLES, Interval, two_way_interval

BAND_COLUMNS = [f"{kind}_{name}" for kind in PAIRS for name in ("low", "mean", "high", "pairs", "undefined")]
COLUMNS = [
    "cascade", "order", "explainer", "layer", "arm", "variant", "first_module", "first", "first_low", "first_high",
    "last_module", "end", "end_low", "end_high", "mean", "mean_low", "mean_high", "images", "seeds", "steps",
    "undefined", "failed", *BAND_COLUMNS, "note",
]  # fmt: skip


def sanity(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per cascade, arm and similarity: after the first randomized module, after the last, and on average over
    all of them; beside it what the same similarity is for maps that have nothing to do with each other.

    Step 0, the trained model against itself, is in no average. Intervals resample seeds and images. `undefined`
    counts values over all steps; an image and seed with an undefined step has no average, so that all averages are
    over the same steps. Where each module is randomized alone, first and last are single modules, too.
    """
    options = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    found = []
    for cascade in find_cascades(records):
        bands = calibration_bands(records, cascade, confidence=confidence)
        rows = cascade.rows[cascade.rows["step"] > 0]
        for arm in arms(rows, layers):
            own = rows[(rows["explainer"] == arm[0]) & (rows["layer"] == arm[1])]
            for variant, similar in own.groupby("variant", sort=False):
                *numbers, note = _row(similar, options)
                calibrated = _bands(bands, arm, str(variant))
                found.append([cascade.key, cascade.order, *arm, arm_label(arm), variant, *numbers, *calibrated, note])
    return pd.DataFrame(found, columns=COLUMNS)


def _row(rows: pd.DataFrame, options: dict[str, Any]) -> Iterator[object]:
    steps = rows["step"].unique()
    table = rows.pivot_table(index=["seed", "image"], columns="step", values="value", aggfunc="mean", dropna=False)
    end: Interval | None = None
    for step in (steps.min(), steps.max()):
        at = rows[rows["step"] == step]
        yield at["module"].iloc[0]
        end = two_way_interval(table_of(at).to_numpy(float), **options)
        yield from (end.estimate, end.low, end.high)
    whole = table.mean(axis=1, skipna=False).unstack("image")  # noqa: PD010 - pivot_table would drop undefined seeds
    mean = two_way_interval(whole.to_numpy(float), **options)
    yield from (mean.estimate, mean.low, mean.high)
    yield from (rows["image"].nunique(), rows["seed"].nunique(), len(steps))
    yield from (int((rows["status"] == "undefined").sum()), int((rows["status"] == "failed").sum()))
    yield mean.note if mean.n or end is None else end.note


def _bands(bands: Bands, arm: Arm, variant: str) -> Iterator[float]:
    for kind in PAIRS:
        band = bands.get((arm, variant, kind), NO_BAND)
        yield from (band.low, band.mean, band.high, band.pairs, band.n_undefined)
