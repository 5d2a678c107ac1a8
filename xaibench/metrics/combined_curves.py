"""Several curves of one map made into one: repeated draws of a baseline, means and differences of curves."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from xaibench.metrics.baselines import Baseline, Imputer
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.map_scores import MapScores


def repeated(baseline: Baseline | Imputer, repeats: int) -> tuple[Baseline | Imputer, ...]:
    """Return so many copies of a baseline, which differ in their seed; one if it has none, as all would be equal."""
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    if not is_dataclass(baseline) or all(field.name != "seed" for field in fields(baseline)):
        return (baseline,)
    drawn: Any = baseline
    return tuple(replace(drawn, seed=drawn.seed + i) for i in range(repeats))


def weighted_sum(curves: Sequence[CurveScores], weights: Sequence[float]) -> MapScores:
    """Add up curves with weights: value is the weighted sum of their areas.

    The curve kept joins all points' fractions and adds up the scores interpolated there, so that its trapezoid over
    the fractions is the value wherever that is the curves' own rule; points are repeated where curves share them.
    """
    values = sum(weight * curve.areas for weight, curve in zip(weights, curves, strict=True))
    closed = [_closed(curve) for curve in curves]
    x = torch.cat([fractions for fractions, _ in closed], dim=2).sort(dim=2).values
    y = sum(weight * _interpolated(x, *one) for weight, one in zip(weights, closed, strict=True))
    return MapScores(values, forward_passes(curves), reasons(curves), x, y)  # type: ignore[arg-type]


def forward_passes(curves: Sequence[CurveScores]) -> Float[Tensor, "B M"]:
    """Sum what the curves cost."""
    return torch.stack([curve.forward_passes for curve in curves]).sum(dim=0)


def reasons(curves: Sequence[CurveScores]) -> tuple[tuple[str, ...], ...]:
    """Take the first reason that any of the curves is undefined for."""
    by_map = [zip(*rows, strict=True) for rows in zip(*(curve.reasons for curve in curves), strict=True)]
    return tuple(tuple(next((why for why in all_of if why), "") for all_of in row) for row in by_map)


def _closed(curve: CurveScores) -> tuple[Tensor, Tensor]:
    """Fractions and scores (B, M, T) in which a shorter curve stays at its last point instead of ending in NaN."""
    fractions = curve.fractions.expand(curve.scores.shape)
    last = (~fractions.isnan()).sum(dim=2, keepdim=True).clamp(min=1) - 1
    at = torch.arange(fractions.shape[2]).expand_as(fractions).minimum(last)
    return fractions.gather(2, at).contiguous(), curve.scores.double().gather(2, at)


def _interpolated(x: Tensor, fractions: Tensor, scores: Tensor) -> Tensor:
    """Scores at `x` by straight lines between points, all (B, M, T); beyond either end the end's own."""
    if fractions.shape[2] == 1:
        return scores.expand_as(x)
    right = torch.searchsorted(fractions, x.contiguous()).clamp(1, fractions.shape[2] - 1)
    x0, x1 = fractions.gather(2, right - 1), fractions.gather(2, right)
    y0, y1 = scores.gather(2, right - 1), scores.gather(2, right)
    width = x1 - x0
    part = torch.where(width > 0, (x - x0) / width, torch.ones_like(x)).clamp(0, 1)
    return y0 + part * (y1 - y0)
