import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid as trapezoid_rule

from xaibench.metrics.areas import AREAS, recompute_area
from xaibench.names import UnknownName

SCORES = torch.tensor([[1.0, 0.5, 0.25, 0.0], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
FRACTIONS = torch.tensor([0.0, 0.4, 0.8, 1.0], dtype=torch.float64)
BY_HAND = {
    "uniform_trapezoid": [1.25 / 3, 1.5 / 3],
    "trapezoid": [0.3 + 0.15 + 0.025, 0.2 + 0.2],
    "span_trapezoid": [0.3 + 0.15 + 0.025, 0.2 + 0.2],
    "unit_trapezoid": [1.25, 1.5],
    "point_trapezoid": [1.25 / 4, 1.5 / 4],
    "mean": [1.75 / 4, 0.5],
    "mean_drop": [1 - 1.75 / 4, -0.5],
}
TRAPEZOIDS = [name for name in AREAS if name.endswith("trapezoid")]


@pytest.mark.parametrize("rule", AREAS)
def test_by_hand(rule):
    torch.testing.assert_close(AREAS[rule](FRACTIONS, SCORES), torch.tensor(BY_HAND[rule], dtype=torch.float64))


def test_span_that_the_curve_covers():
    fractions, scores = FRACTIONS[1:], torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64)
    assert AREAS["trapezoid"](fractions, scores).item() == pytest.approx(0.3)
    assert AREAS["span_trapezoid"](fractions, scores).item() == pytest.approx(0.5)


@given(scores=st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_rules_agree_on_an_even_grid(scores):
    fractions = torch.linspace(0, 1, len(scores), dtype=torch.float64)
    curve = torch.tensor(scores, dtype=torch.float64)
    expected = trapezoid_rule(scores, fractions.numpy())
    for rule in ("uniform_trapezoid", "trapezoid", "span_trapezoid"):
        assert AREAS[rule](fractions, curve).item() == pytest.approx(expected, abs=1e-12)
    n_steps = len(scores) - 1
    assert AREAS["unit_trapezoid"](fractions, curve).item() == pytest.approx(expected * n_steps, abs=1e-12)
    assert AREAS["point_trapezoid"](fractions, curve).item() == pytest.approx(
        expected * n_steps / len(scores), abs=1e-12
    )


def test_one_point_has_no_area_and_nan_stays():
    for rule in TRAPEZOIDS:
        assert AREAS[rule](FRACTIONS[:1], SCORES[:, :1]).isnan().all()
    broken = SCORES.clone()
    broken[0, 1] = torch.nan
    for area in AREAS.values():
        assert area(FRACTIONS, broken).isnan().tolist() == [True, False]


@pytest.mark.parametrize("rule", AREAS)
@given(seed=st.integers(0, 100), n_points=st.integers(1, 20))
def test_from_stored_curves_the_same(rule, seed, n_points):
    """What a record keeps gives the engine's area, bit for bit or nearly: lists of floats, no tensors."""
    rng = np.random.default_rng(seed)
    fractions, scores = np.sort(rng.random(n_points)), rng.random((3, n_points))
    expected = AREAS[rule](torch.from_numpy(fractions), torch.from_numpy(scores)).numpy()
    np.testing.assert_allclose(recompute_area(fractions.tolist(), scores.tolist(), rule), expected, rtol=0, atol=1e-14)
    alone = recompute_area(tuple(fractions.tolist()), tuple(scores[1].tolist()), rule)
    np.testing.assert_allclose(alone, expected[1], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("as_in_production")
def test_errors_of_stored_curves():
    with pytest.raises(UnknownName, match="unknown area rule 'trapezium'; did you mean trapezoid"):
        recompute_area([0, 1], [1, 0], "trapezium")
    with pytest.raises(ValueError, match=r"one fraction per score.*\(2,\) and \(3,\)"):
        recompute_area([0, 1], [1, 0, 0], "mean")
    with pytest.raises(ValueError, match="at least one"):
        recompute_area([], [], "mean")
    with pytest.raises(ValueError, match=r"ascend, got \[1, 0\]; reverse the curve"):
        recompute_area([1, 0], [1, 0], "mean")


def test_no_torch_is_needed():
    code = "import sys, xaibench.metrics.areas; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
