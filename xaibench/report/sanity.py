"""Does the explanation depend on what the model learned? Similarity of maps while modules are randomized."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import arm_label, arms
from xaibench.statistics.intervals import N_RESAMPLES, Interval, two_way_interval

COLUMNS = [
    "explainer", "layer", "arm", "variant", "first_module", "first", "first_low", "first_high", "last_module", "end",
    "end_low", "end_high", "mean", "mean_low", "mean_high", "images", "seeds", "steps", "undefined", "failed", "note",
]  # fmt: skip


def sanity(
    records: pd.DataFrame,
    *,
    layers: Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per arm and similarity: after the first randomized module, after the last, and on average over all of
    them.

    Step 0, the trained model against itself, is in no average. Intervals resample seeds and images. `undefined`
    counts values over all steps; an image and seed with an undefined step has no average, so that all averages are
    over the same steps.
    """
    rows = records[(records["metric"] == "parameter_randomization") & (records["step"] > 0)]
    options = {"confidence": confidence, "n_resamples": n_resamples, "seed": seed}
    found = []
    for arm in arms(rows, layers):
        own = rows[(rows["explainer"] == arm[0]) & (rows["layer"] == arm[1])]
        for variant, similar in own.groupby("variant", sort=False):
            found.append([*arm, arm_label(arm), variant, *_row(similar, options)])
    return pd.DataFrame(found, columns=COLUMNS)


def _row(rows: pd.DataFrame, options: dict[str, Any]) -> Iterator[object]:
    steps = rows["step"].unique()
    table = rows.pivot_table(index=["seed", "image"], columns="step", values="value", aggfunc="mean", dropna=False)
    end: Interval | None = None
    for step in (steps.min(), steps.max()):
        yield rows.loc[rows["step"] == step, "module"].iloc[0]
        end = two_way_interval(_seeds_by_images(table[step]), **options)
        yield from (end.estimate, end.low, end.high)
    mean = two_way_interval(_seeds_by_images(table.mean(axis=1, skipna=False)), **options)
    yield from (mean.estimate, mean.low, mean.high)
    yield from (rows["image"].nunique(), rows["seed"].nunique(), len(steps))
    yield from (int((rows["status"] == "undefined").sum()), int((rows["status"] == "failed").sum()))
    yield mean.note if mean.n or end is None else end.note


def _seeds_by_images(values: pd.Series) -> np.ndarray:
    return values.unstack("image").to_numpy(float)  # noqa: PD010 - pivot_table would drop an undefined seed
