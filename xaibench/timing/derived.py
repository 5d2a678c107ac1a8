"""What follows from phases timed in the same round: their sum against the whole, and what hooks add.

Both compare repetition by repetition. A round runs the pieces of work one after another, so whatever else the machine
does hits them alike; the least or the median of each, found in different rounds, would not belong together.
"""

from collections.abc import Sequence
from math import nan

from xaibench.timing.phases import PhaseTiming
from xaibench.timing.vocabulary import EXPLANATION, EXPLANATION_PATH, FORWARD, FORWARD_WITHOUT_HOOKS


def phases_to_whole(timings: Sequence[PhaseTiming]) -> dict[str, tuple[float, ...]]:
    """Sum of the path's phases over the time of `explanation` in the same round, for each layer; 1 is a perfect match.

    Returns
    -------
    dict of str to tuple of float
        One ratio a round; NaN where the whole took no time. Layers that lack a phase are left out.
    """
    found = {}
    for layer, phases in _by_layer(timings).items():
        if {EXPLANATION, *EXPLANATION_PATH} <= set(phases):
            sums = map(sum, zip(*(phases[phase] for phase in EXPLANATION_PATH), strict=True))
            pairs = zip(sums, phases[EXPLANATION], strict=True)
            found[layer] = tuple(total / whole if whole > 0 else nan for total, whole in pairs)
    return found


def hook_milliseconds(timings: Sequence[PhaseTiming]) -> dict[str, tuple[float, ...]]:
    """Milliseconds an image that hooks and bookkeeping add to the forward pass, for each layer.

    Returns
    -------
    dict of str to tuple of float
        One difference a round, below zero where the machine disturbed the pass without hooks more.
    """
    return {
        layer: tuple(w - o for w, o in zip(phases[FORWARD], phases[FORWARD_WITHOUT_HOOKS], strict=True))
        for layer, phases in _by_layer(timings).items()
        if {FORWARD, FORWARD_WITHOUT_HOOKS} <= set(phases)
    }


def _by_layer(timings: Sequence[PhaseTiming]) -> dict[str, dict[str, tuple[float, ...]]]:
    layers: dict[str, dict[str, tuple[float, ...]]] = {}
    for timing in timings:
        layers.setdefault(timing.layer, {})[timing.phase] = timing.milliseconds
    return layers
