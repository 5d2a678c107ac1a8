"""How similar are maps that have nothing to do with each other? The band that a cascade's similarity is read against.

A smooth map of few cells looks similar to anything; only maps of the same arm tell what its similarity is by chance.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm
from xaibench.report.sanity.checks import CALIBRATION, Cascade, rows_of

PAIRS = {"random_maps": "random maps", "other_images": "maps of other images"}


@dataclass(frozen=True)
class Band:
    """Similarity of unrelated maps of one arm.

    Attributes
    ----------
    low, mean, high : float
        Lower quantile, mean and upper quantile over the pairs; NaN without any.
    pairs, n_undefined : int
        Pairs with a value, and those without.
    """

    low: float
    mean: float
    high: float
    pairs: int
    n_undefined: int = 0


NO_BAND = Band(math.nan, math.nan, math.nan, 0)
Bands = dict[tuple[Arm, str, str], Band]
"""By arm, similarity and kind of pair."""


def calibration_bands(records: pd.DataFrame, cascade: Cascade | None = None, *, confidence: float = 0.95) -> Bands:
    """Band of every arm, similarity and kind of pair.

    Parameters
    ----------
    records : DataFrame
    cascade : Cascade, optional
        What the bands are for: pairs of maps that were rectified where the cascade's were not, or the other way
        round, are of another kind and left out.
    confidence : float
        Share of the pairs that lies within the band: 0.95 has it from the 2.5 % to the 97.5 % quantile.
    """
    rows = rows_of(records, CALIBRATION)
    if cascade is not None and len(rows):
        alike = {text: _fits(json.loads(text or "{}"), cascade.settings) for text in rows["settings"].unique()}
        rows = rows[rows["settings"].map(alike).astype(bool)]
    keys = ["explainer", "layer", "variant", "module"]
    return {
        ((str(explainer), str(layer)), str(variant), str(module)): _band(pairs["value"].to_numpy(float), confidence)
        for (explainer, layer, variant, module), pairs in rows.groupby(keys, sort=False)
    }


def _fits(settings: dict[str, Any], wanted: Any) -> bool:
    return all(settings[key] == wanted[key] for key in ("rectify",) if key in settings and key in wanted)


def _band(values: np.ndarray, confidence: float) -> Band:
    known = values[np.isfinite(values)]
    undefined = len(values) - len(known)
    if not len(known):
        return Band(math.nan, math.nan, math.nan, 0, undefined)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Band(float(low), float(known.mean()), float(high), len(known), undefined)
