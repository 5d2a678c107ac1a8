import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid as trapezoid_rule

from xaibench.metrics.areas import mean, trapezoid, uniform_trapezoid

SCORES = torch.tensor([[1.0, 0.5, 0.25, 0.0], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
FRACTIONS = torch.tensor([0.0, 0.4, 0.8, 1.0], dtype=torch.float64)


def test_by_hand():
    torch.testing.assert_close(
        uniform_trapezoid(FRACTIONS, SCORES), torch.tensor([1.25 / 3, 1.5 / 3], dtype=torch.float64)
    )
    torch.testing.assert_close(
        trapezoid(FRACTIONS, SCORES), torch.tensor([0.3 + 0.15 + 0.025, 0.2 + 0.2], dtype=torch.float64)
    )
    torch.testing.assert_close(mean(FRACTIONS, SCORES), torch.tensor([1.75 / 4, 0.5], dtype=torch.float64))


@given(scores=st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_rules_agree_on_an_even_grid(scores):
    fractions = torch.linspace(0, 1, len(scores), dtype=torch.float64)
    curve = torch.tensor(scores, dtype=torch.float64)
    expected = trapezoid_rule(scores, fractions.numpy())
    for rule in (uniform_trapezoid, trapezoid):
        torch.testing.assert_close(rule(fractions, curve).item(), expected, atol=1e-12, rtol=0)


def test_one_point_has_no_area_and_nan_stays():
    assert uniform_trapezoid(FRACTIONS[:1], SCORES[:, :1]).isnan().all()
    assert trapezoid(FRACTIONS[:1], SCORES[:, :1]).isnan().all()
    broken = SCORES.clone()
    broken[0, 1] = torch.nan
    for rule in (uniform_trapezoid, trapezoid, mean):
        assert rule(FRACTIONS, broken).isnan().tolist() == [True, False]
