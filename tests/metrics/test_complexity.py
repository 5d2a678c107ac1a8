import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_goldens import Golden

from xaibench.metrics.complexity import (
    ALL_ZERO,
    EffectiveComplexity,
    GiniSparseness,
    MapEntropy,
    effective_complexity,
    gini_sparseness,
    map_entropy,
)
from xaibench.metrics.undefined import NOT_FINITE

GOLDEN = Golden("complexity")
MAPS = GOLDEN["maps"]
SETTINGS = GOLDEN.cases["complexity"]["settings"]
KINDS = GOLDEN.cases["complexity"]["kinds"]
CONSTANT, ZERO = KINDS.index("constant"), KINDS.index("all zero")


def close(actual, expected, tolerance=1e-8):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0, equal_nan=True)


def test_golden():
    close(map_entropy(MAPS), GOLDEN["complexity/entropy"])
    close(gini_sparseness(MAPS), GOLDEN["complexity/gini_exact"])
    close(gini_sparseness(MAPS, offset=1e-7), GOLDEN["complexity/gini"])


def test_golden_effective_complexity_but_for_constant_maps():
    """Quantus refuses a constant map; it has as many pixels above the threshold as any other."""
    counts, expected = effective_complexity(MAPS, relative=False), GOLDEN["complexity/effective_complexity"]
    close(counts[~expected.isnan()], expected[~expected.isnan()])
    assert expected[[CONSTANT, ZERO]].isnan().all()
    assert counts[[CONSTANT, ZERO]].tolist() == [MAPS[0].numel(), 0]


def test_xplique():
    golden = Golden("xplique")
    close(map_entropy(golden["maps"]), golden["map_complexity/complexity"], 1e-4)
    close(gini_sparseness(golden["maps"]), golden["map_complexity/sparseness"], 1e-4)


@pytest.mark.filterwarnings("ignore")
def test_quantus():
    """Its metrics take magnitudes before this step, and one adds to them in place."""
    import quantus

    maps = torch.randn(4, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maps[1] = maps[1].clamp(min=0)
    maps[2] *= 1e-5
    a, images = maps.abs().numpy()[:, None], np.zeros((4, 1, 6, 7))
    theirs = {
        kind: torch.tensor(
            list(getattr(quantus, kind)(disable_warnings=True).evaluate_batch(x_batch=images, a_batch=a.copy()))
        )
        for kind in ("Complexity", "Sparseness", "EffectiveComplexity")
    }
    close(map_entropy(maps), theirs["Complexity"].double())
    close(gini_sparseness(maps, offset=1e-7), theirs["Sparseness"].double())
    close(effective_complexity(maps, relative=False), theirs["EffectiveComplexity"].double())


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.floats(1e-3, 1e3), st.randoms())
def test_properties(values, factor, random):
    """Scale and order of the pixels do not matter; the extremes are known."""
    a = torch.tensor(values, dtype=torch.float64)[None, None] + 0.01
    shuffled = list(values)
    random.shuffle(shuffled)
    b = factor * (torch.tensor(shuffled, dtype=torch.float64)[None, None] + 0.01)
    for metric in (map_entropy, gini_sparseness):
        close(metric(a), metric(-b), 1e-9)
    assert 0 <= float(map_entropy(a)) <= math.log(len(values)) + 1e-12
    assert -1e-12 <= float(gini_sparseness(a)) < 1 - 1 / len(values)


def test_by_hand():
    maps = torch.tensor([[[0.0, -3.0], [1.0, 0.0]], [[2.0, 2.0], [-2.0, 2.0]], [[0.0, 0.0], [0.0, 5.0]]])
    expected = [(-3 * 0 - 1 * 0 + 1 * 1 + 3 * 3) / (4 * 4), 0, 1 - 1 / 4]
    close(gini_sparseness(maps), torch.tensor(expected, dtype=torch.float64))
    entropy = [-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), math.log(4), 0]
    close(map_entropy(maps), torch.tensor(entropy, dtype=torch.float64))
    assert effective_complexity(maps, threshold=0.5).tolist() == [1, 4, 1]
    assert effective_complexity(maps, threshold=0.5, relative=False).tolist() == [2, 4, 1]


def test_undefined_maps_stay_alone():
    maps = torch.ones(2, 2, 3, 4)
    maps[0, 1], maps[1, 0, 1, 1] = 0, torch.inf
    for metric in (GiniSparseness(), MapEntropy(), EffectiveComplexity()):
        scores = metric.map_scores(maps)
        assert scores.reasons == (("", ALL_ZERO), (NOT_FINITE, ""))
        assert scores.values.isnan().tolist() == [[False, True], [True, False]]
        assert float(scores.forward_passes.sum()) == 0
    for metric in (GiniSparseness(offset=1e-7), EffectiveComplexity(relative=False)):
        assert float(metric.map_scores(maps).values[0, 1]) == pytest.approx(0, abs=1e-15)
    with pytest.raises(ValueError, match="threshold must not be negative"):
        EffectiveComplexity(threshold=-1.0)
