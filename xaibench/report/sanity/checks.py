"""Which records belong to which sanity check: cascades by key, calibration, and the checks beside them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, card_of
from xaibench.statistics.hierarchy import crossed_interval
from xaibench.statistics.intervals import Interval

CASCADE = "parameter_randomization"
CALIBRATION = "calibration"
BESIDE = (CALIBRATION, "coverage", "efficient_mprt", "random_logit", "data_randomization", "training_accuracy")
"""Metrics of the sanity checks that are no cascades; they keep their name whatever their settings say."""


@dataclass(frozen=True)
class Cascade:
    """One randomization test of a run.

    Attributes
    ----------
    key : str
        Metric of its records, such as ``independent_randomization``.
    settings : mapping
        What its first record says of how it was done.
    rows : DataFrame
        Its records; step 0 is the trained model.
    """

    key: str
    settings: Mapping[str, Any]
    rows: pd.DataFrame = field(repr=False)

    @property
    def order(self) -> str:
        """``top_down`` (also where the records do not say), ``bottom_up`` or ``independent``."""
        return str(self.settings.get("order", "top_down"))

    @property
    def cumulative(self) -> bool:
        """Whether what was randomized stays so in later steps."""
        return self.order != "independent"

    @property
    def title(self) -> str:
        """The key in words."""
        return self.key.replace("_", " ")

    @property
    def modules(self) -> list[str]:
        """Names of the randomized modules by step; the first, step 0, is "" for the trained model."""
        steps = self.rows[["step", "module"]].drop_duplicates("step").sort_values("step")
        named = {int(step): str(module) for step, module in steps.itertuples(index=False)}
        return [named.get(step, "") for step in range(max(named, default=0) + 1)]

    @property
    def similarities(self) -> list[str]:
        """Which similarities were measured, in the order of their first row."""
        return [str(one) for one in self.rows["variant"].unique()]

    def of(self, arm: Arm, similarity: str) -> pd.DataFrame:
        """Records of one arm and similarity."""
        return self.rows.iloc[self._places.get((*arm, similarity), [])]

    @cached_property
    def _places(self) -> Mapping[tuple[str, ...], np.ndarray]:
        """Positions of the records of each arm and similarity, found once: looking through all for each takes long."""
        found = self.rows.groupby(["explainer", "layer", "variant"], sort=False).indices
        return {tuple(map(str, cast(tuple, key))): np.asarray(places) for key, places in found.items()}


def find_cascades(records: pd.DataFrame) -> list[Cascade]:
    """Find every randomization test of the records, in the order of their first rows."""
    found = []
    for metric, settings in records[["metric", "settings"]].drop_duplicates("metric").itertuples(index=False):
        if kind_of(metric, settings) == CASCADE:
            rows = records[records["metric"] == metric]
            found.append(Cascade(str(metric), json.loads(settings or "{}"), rows))
    return found


def find_cascade(records: pd.DataFrame) -> Cascade | None:
    """Find the test that maps along a cascade belong to: the first from the output down, else the first."""
    found = find_cascades(records)
    return next((one for one in found if one.order == "top_down"), found[0] if found else None)


def rows_of(records: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Records of all metrics of one kind, such as ``efficient_mprt`` under whichever keys."""
    named = records[["metric", "settings"]].drop_duplicates("metric").itertuples(index=False)
    metrics = [metric for metric, settings in named if kind_of(metric, settings) == kind]
    return records[records["metric"].isin(metrics)]


def kind_of(metric: str, settings: str = "{}") -> str:
    """Name of what was measured: the metric's own where it says so, else what its settings or its card name."""
    if metric in BESIDE:
        return metric
    named = json.loads(settings or "{}").get("name")
    card = card_of(metric, settings)
    return str(named or (card.name if card else metric))


def means_by(rows: pd.DataFrame, *names: str) -> tuple[np.ndarray, list[pd.Index]]:
    """Means of the defined values as an array with an axis for each of the columns named, and what stands along each.

    Sorted along every axis; NaN where no value is defined.
    """
    codes, kept = zip(*(pd.factorize(rows[name], sort=True) for name in names), strict=True)
    shape = tuple(len(one) for one in kept)
    places, values = np.atleast_1d(np.ravel_multi_index(codes, shape)), rows["value"].to_numpy(float)
    known = ~np.isnan(values)
    sums = np.bincount(places[known], weights=values[known], minlength=math.prod(shape))
    counts = np.bincount(places[known], minlength=math.prod(shape))
    with np.errstate(invalid="ignore"):
        return (sums / counts).reshape(shape), list(kept)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Values as a table of seeds (rows) by images (columns); NaN where undefined or missing."""
    means = rows.groupby(["seed", "image"], sort=True)["value"].mean()
    return means.unstack("image")  # noqa: PD010 - pivot_table would drop an undefined seed


def interval_of(table: pd.DataFrame | np.ndarray, *, confidence: float) -> Interval:
    """Mean of such a table over seeds and images; a single seed or image is taken as given, and the note says so."""
    return crossed_interval(np.asarray(table, dtype=float), confidence=confidence, given_single=True)
