"""Does the explanation depend on what the model learned? Similarity of maps while modules are randomized."""

from collections.abc import Iterator, Sequence

import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms
from xaibench.report.sanity.calibration import NO_BAND, PAIRS, Bands, calibration_bands
from xaibench.report.sanity.checks import find_cascades, interval_of, means_by
from xaibench.statistics.intervals import Interval

_READ = ["explainer", "layer", "variant", "module", "step", "seed", "image", "value", "status"]
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
) -> pd.DataFrame:
    """One row per cascade, arm and similarity: after the first randomized module, after the last, and on average over
    all of them; beside it what the same similarity is for maps that have nothing to do with each other.

    Step 0, the trained model against itself, is in no average. Intervals are over seeds and images crossed.
    `undefined` counts values over all steps; an image and seed with an undefined step has no average, so that all averages are
    over the same steps. Where each module is randomized alone, first and last are single modules, too.
    """
    found = []
    for cascade in find_cascades(records):
        bands = calibration_bands(records, cascade, confidence=confidence)
        rows = cascade.rows.loc[cascade.rows["step"] > 0, _READ]
        groups = dict(list(rows.groupby(["explainer", "layer", "variant"], sort=False)))
        for arm in arms(rows, layers):
            for variant in [name for *own, name in groups if tuple(own) == arm]:
                *numbers, note = _row(groups[*arm, variant], confidence)
                calibrated = _bands(bands, arm, str(variant))
                found.append([cascade.key, cascade.order, *arm, arm_label(arm), variant, *numbers, *calibrated, note])
    return pd.DataFrame(found, columns=COLUMNS)


def _row(rows: pd.DataFrame, confidence: float) -> Iterator[object]:
    values, (seeds, images, steps) = means_by(rows, "seed", "image", "step")
    end: Interval | None = None
    for step in (steps[0], steps[-1]):
        at = rows[rows["step"] == step]
        yield at["module"].iloc[0]
        end = interval_of(means_by(at, "seed", "image")[0], confidence=confidence)
        yield from (end.estimate, end.low, end.high)
    mean = interval_of(values.mean(axis=2), confidence=confidence)
    yield from (mean.estimate, mean.low, mean.high)
    yield from (len(images), len(seeds), len(steps))
    yield from (int((rows["status"] == "undefined").sum()), int((rows["status"] == "failed").sum()))
    yield mean.note if mean.n or end is None else end.note


def _bands(bands: Bands, arm: Arm, variant: str) -> Iterator[float]:
    for kind in PAIRS:
        band = bands.get((arm, variant, kind), NO_BAND)
        yield from (band.low, band.mean, band.high, band.pairs, band.n_undefined)
