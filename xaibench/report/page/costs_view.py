"""The cost of the explanation path as the page shows it: bars whose lengths are shares of the longest."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xaibench.report.figures.cost import layers_in_words, path_layers, path_phases, phase_colour, shared_cost, words
from xaibench.timing.vocabulary import FORWARD, FULL_BACKWARD, INFERENCE


@dataclass(frozen=True)
class CostView:
    """Bars of each layer, in percent of the width.

    Attributes
    ----------
    phases : list of (str, str)
        Name and colour.
    rows : list of (str, float, list of (str, float, float))
        Layer, milliseconds in all, and of each phase its name, milliseconds and length.
    inference : float
        Milliseconds of plain inference, and its place in percent; NaN where unknown.
    full : float
        Milliseconds of a forward pass and a backward pass through the whole network; NaN where unknown.
    """

    phases: list[tuple[str, str]]
    rows: list[tuple[str, float, list[tuple[str, str, float, float]]]]
    inference: float
    inference_place: float
    full: float


def cost_view(costs: pd.DataFrame) -> CostView | None:
    """Lay out the bars; None where the path was not measured.

    Parameters
    ----------
    costs : DataFrame
        Milliseconds an image; one row a layer, one column a phase.
    """
    phases = path_phases(costs)
    layers = path_layers(costs)[phases].fillna(0.0)
    if layers.empty or not phases:
        return None
    inference = shared_cost(costs, INFERENCE)
    longest = float(np.nanmax([layers.sum(axis=1).max(), inference])) * 1.02
    rows = [
        (
            layers_in_words(str(layer)),
            float(row.sum()),
            [(words(p), phase_colour(p), float(row[p]), round(float(100 * row[p] / longest), 2)) for p in phases],
        )
        for layer, row in layers.iterrows()
    ]
    forward = float(layers[FORWARD].median()) if FORWARD in layers else math.nan
    return CostView(
        [(words(phase), phase_colour(phase)) for phase in phases],
        rows,
        inference,
        round(100 * inference / longest, 2),
        forward + shared_cost(costs, FULL_BACKWARD),
    )
