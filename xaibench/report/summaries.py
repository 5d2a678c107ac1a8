"""What the pictures draw, computed from records: mean curves, similarity along a cascade, time per phase."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from xaibench.report.cost.grid import without_grid
from xaibench.report.labels import Arm, arms
from xaibench.report.sanity.checks import Cascade, means_by
from xaibench.statistics.intervals import mean_curve_band


@dataclass(frozen=True)
class MeanLine:
    """A mean over images at each x, with its pointwise 95 % band.

    Attributes
    ----------
    x, mean, low, high : array of float, shape (n,)
        Curves have a bootstrap band over images, cascades Student's t interval, as each of their points has its own
        undefined values. NaN where fewer than two images have a value.
    n_images : int
        Images that have a value anywhere on the line.
    n_undefined : int
        Values that were asked for and are not defined; they are in no mean.
    """

    x: Float[ndarray, " n"]
    mean: Float[ndarray, " n"]
    low: Float[ndarray, " n"]
    high: Float[ndarray, " n"]
    n_images: int
    n_undefined: int = 0

    @property
    def area(self) -> float:
        """Area under the mean, by trapezoids."""
        return float(np.trapezoid(self.mean, self.x))


def mean_curves(records: pd.DataFrame, metric: str) -> dict[Arm, MeanLine]:
    """Mean curve over images of each arm that has curves of `metric`; a curve on another grid is interpolated."""
    rows = records[records["metric"] == metric]
    rows = rows[rows["curve_y"].map(_length) > 0]
    lines, groups = {}, dict(list(rows.groupby(["explainer", "layer"], sort=False)))
    for arm in arms(rows):
        own = groups[arm]
        curves = list(zip(own["curve_x"], own["curve_y"], strict=True))
        x = np.asarray(max(curves, key=lambda curve: len(curve[0]))[0], dtype=float)
        values = np.stack([np.interp(x, curve_x, curve_y) for curve_x, curve_y in curves])
        band = mean_curve_band(values)
        lines[arm] = MeanLine(x, band.mean, band.low, band.high, band.n, len(values) - band.n)
    return lines


def cascade_lines(cascade: Cascade, similarity: str) -> dict[Arm, MeanLine]:
    """Similarity with the trained model's map against the step of a cascade, for each arm.

    Seeds are averaged within an image first: images, not seeds, are what the band generalizes to.
    """
    lines = {}
    rows = cascade.rows.loc[cascade.rows["variant"] == similarity, ["explainer", "layer", "image", "step", "value"]]
    groups = dict(list(rows.groupby(["explainer", "layer"], sort=False)))
    for arm in arms(rows):
        values, (_, steps) = means_by(groups[arm], "image", "step")
        lines[arm] = _line(steps.to_numpy(float), values, n_undefined=int(groups[arm]["value"].isna().sum()))
    return lines


def phase_costs(records: pd.DataFrame, metric: str = "milliseconds") -> pd.DataFrame:
    """One row a layer and one column a phase, both in the order of their first row; NaN where not measured."""
    rows = without_grid(records[(records["metric"] == metric) & (records["status"] == "ok")])
    table = rows.pivot_table(index="layer", columns="variant", values="value", aggfunc="median")
    return table.reindex(index=unique(rows["layer"]), columns=unique(rows["variant"]))


def unique(values: Iterable[Hashable]) -> list[str]:
    """Different values in the order in which they first appear."""
    different = values.unique() if isinstance(values, pd.Series) else dict.fromkeys(values)
    return [str(value) for value in different]


def _line(x: Float[ndarray, " n"], values: Float[ndarray, "images n"], *, n_undefined: int) -> MeanLine:
    low, mean, high = mean_band(values)
    return MeanLine(x, mean, low, high, int((~np.isnan(values)).any(axis=1).sum()), n_undefined)


def mean_band(values: Float[ndarray, "images n"], *, confidence: float = 0.95) -> Sequence[Float[ndarray, " n"]]:
    """Lower end, mean and upper end of Student's t interval in each column; undefined values are left out."""
    defined = ~np.isnan(values)
    n = defined.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(defined, values, 0).sum(axis=0) / n
        variance = (np.where(defined, values - mean, 0) ** 2).sum(axis=0) / (n - 1)
        half = stats.t.ppf(0.5 + confidence / 2, np.maximum(n - 1, 1)) * np.sqrt(variance / n)
    half = np.where(n > 1, half, np.nan)
    return mean - half, mean, mean + half


def _length(curve: object) -> int:
    return len(curve) if isinstance(curve, tuple | list | np.ndarray) else 0
