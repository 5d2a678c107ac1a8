"""Where to look next on a curve whose area is wanted to a given precision.

A curve is known at some points of a grid and taken as straight between them. Between two neighbouring points it moves
like a random path of some roughness, pinned down at both: the area under such a bridge differs from the trapezoid by
a random amount of variance ``roughness · width³ / 12``. Roughness is read from the curve itself: from how far it rises
or falls from point to point, and from how far its points lie off the chord between their neighbours. The intervals that
contribute most are halved, until the standard error that is left, times a factor, is below the precision asked for. As
a curve that has been rough somewhere may be so elsewhere, a part of its whole roughness is spread over it: most where
it is half-way between its lowest and highest value, none where it rests at one of them.

The weights and the factor are calibrated: `Refinement` says on what. They are no bound: a curve that dips and comes back
between two points hides it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


@dataclass(frozen=True)
class Refinement:
    """How points are chosen.

    The defaults were calibrated on deletion and insertion curves of 224 steps of the packaged network (four Grad-CAM
    layers and four reference explainers on 105 images), so that 95 % of the areas lie within 0.005;
    experiments/bounded_precision has what comes of it on images held out.

    Attributes
    ----------
    precision : float
        Wanted of the area, in units of the score; above 0.
    first_intervals : int
        Of the grid that every curve begins with; 7 make halves of 224 steps fall on steps, down to single ones.
    of_steps, of_chords, of_curve : float
        Weights of the two readings of roughness at an interval, and of the whole curve's.
    factor : float
        Standard errors that must fit into the precision, of a curve known at as many points as most take.
    easing : float
        How much less is asked of a curve that needs many points: ``factor · (typical / points)^easing`` standard errors,
        `typical` being 30 points at 0.005. A pass brings more areas within the precision where curves are smooth, so 95 %
        of all areas come cheapest this way; of rough curves alone fewer are.
    at_once : int
        Intervals of one curve that are halved before it is judged again: more mean fewer rounds and fuller batches,
        fewer mean that less is wasted.
    most : int, optional
        Points of one curve, about; by default 72, and more for a precision below 0.005, in inverse proportion. The
        roughest curves would swallow what all others save: they end here, with an error that says so.
    """

    precision: float
    first_intervals: int = 7
    of_steps: float = 0.9
    of_chords: float = 1.5
    of_curve: float = 0.3
    factor: float = 1.56
    easing: float = 0.4
    at_once: int = 1
    most: int | None = None

    def __post_init__(self) -> None:
        if not self.precision > 0:
            raise ValueError(f"precision must be above 0, in units of the score such as 0.005; got {self.precision}")

    @property
    def cap(self) -> int:
        """Points at which a curve ends, precise enough or not."""
        return max(72, round(0.36 / self.precision)) if self.most is None else self.most

    def first(self, n_points: int) -> Int[ndarray, " K"]:
        """Places of the points to begin with, on a grid of so many."""
        return np.unique(np.linspace(0, n_points - 1, min(self.first_intervals + 1, n_points)).round().astype(np.int64))

    def more(self, places: Int[ndarray, " K"], values: Float[ndarray, " K"], n_points: int) -> Int[ndarray, " L"]:
        """Places to look at next; none where the area is precise enough.

        Parameters
        ----------
        places : array of int, ascending
            Where the curve is known; both ends among them.
        values : array of float
            What it is there.
        n_points : int
            Of the whole grid.
        """
        variances = self._variances(places, values, n_points)
        if len(places) >= self.cap or not len(variances) or self._error(variances) <= self.precision:
            return np.empty(0, dtype=np.int64)
        worst = np.argsort(-variances, kind="stable")[: self.at_once]
        worst = worst[variances[worst] >= variances.max() / 2]
        return np.sort((places[worst] + places[worst + 1]) // 2)

    def error(self, places: Int[ndarray, " K"], values: Float[ndarray, " K"], n_points: int) -> float:
        """Estimate within which the area lies, in 95 % of the curves as calibrated; 0 where the whole grid is known."""
        return self._error(self._variances(places, values, n_points))

    def _error(self, variances: ndarray) -> float:
        typical = 30 * (0.005 / self.precision) ** 0.6  # as measured from 0.002 to 0.02
        eased = self.factor * (typical / (len(variances) + 1)) ** self.easing
        return float(eased * np.sqrt(variances.sum()))

    def _variances(self, places: ndarray, values: ndarray, n_points: int) -> ndarray:
        """Variance that each interval contributes to the area."""
        gaps = np.diff(places)
        if not len(gaps):
            return np.empty(0)
        widths, rises = gaps / (n_points - 1), np.diff(values)
        off = _off_chords(values, widths)
        at_points = off**2 * (widths[:-1] + widths[1:]) / (widths[:-1] * widths[1:])
        roughness = self.of_steps * rises**2 / widths + self.of_chords * _between(at_points, len(widths))
        roughness = roughness + self.of_curve * (off**2).sum() * _levels(values, widths)
        return roughness * widths**3 / 12 * (1 - 1 / gaps**2)  # nothing hides between neighbours of the grid


def _off_chords(values: ndarray, widths: ndarray) -> ndarray:
    """How far each inner point lies off the chord between its neighbours."""
    left, right = widths[:-1], widths[1:]
    return values[1:-1] - (values[:-2] * right + values[2:] * left) / (left + right)


def _levels(values: ndarray, widths: ndarray) -> ndarray:
    """How far each interval is from the curve's two extremes: 0 where it rests at one, 1 on average over the curve."""
    low, high = values.min(), values.max()
    at_points = (values - low) * (high - values)
    levels = (at_points[:-1] + at_points[1:]) / 2
    mean = (levels * widths).sum()
    return levels / mean if mean > 0 else np.ones_like(levels)


def _between(at_points: ndarray, n_intervals: int) -> ndarray:
    """Mean of what is known at an interval's two ends; the outermost ends take their neighbour's."""
    if not len(at_points):
        return np.zeros(n_intervals)
    padded = np.concatenate([at_points[:1], at_points, at_points[-1:]])
    return (padded[:-1] + padded[1:]) / 2
