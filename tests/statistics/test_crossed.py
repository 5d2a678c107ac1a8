import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from xaibench.statistics.crossed import CrossedSpread, crossed_spread
from xaibench.statistics.hierarchy import crossed_interval


def gappy(rng: np.random.Generator, shape: tuple[int, int], share: float = 0.3) -> np.ndarray:
    """Values with gaps at random."""
    return np.where(rng.random(shape) < share, np.nan, rng.random(shape))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_against_loops_and_a_linear_model(share):
    values = gappy(np.random.default_rng(0), (3, 9), share)
    cells = [(s, i, values[s, i]) for s in range(3) for i in range(9) if math.isfinite(values[s, i])]
    n, mean = len(cells), np.mean([value for _, _, value in cells])
    members = [sorted({cell[axis] for cell in cells}) for axis in (0, 1)]
    expected = []
    for axis, own in enumerate(members):
        sums = [sum(cell[2] - mean for cell in cells if cell[axis] == one) for one in own]
        expected.append(len(own) / (len(own) - 1) * sum(one**2 for one in sums) / n**2)
    design = [
        [1.0] + [float(s == k) for k in members[0][1:]] + [float(i == k) for k in members[1][1:]] for s, i, _ in cells
    ]
    fit = sm.OLS([value for _, _, value in cells], np.array(design)).fit()
    found = crossed_spread(values)
    assert (found.n_seeds, found.n_images) == (len(members[0]), len(members[1]))
    assert (found.of_seeds, found.of_images) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.together == pytest.approx(fit.mse_resid / n, rel=1e-10)


def test_a_seed_or_image_without_any_value_is_none():
    values = gappy(np.random.default_rng(1), (3, 6))
    wider = np.full((4, 8), math.nan)
    wider[:3, 1:7] = values
    assert crossed_spread(wider) == crossed_spread(values)


def test_gaps_do_not_depend_on_the_order():
    rng = np.random.default_rng(2)
    values = gappy(rng, (4, 12))
    shuffled = values[rng.permutation(4)][:, rng.permutation(12)]
    one, other = crossed_spread(values), crossed_spread(shuffled)
    assert one.half_width(confidence=0.9) == pytest.approx(other.half_width(confidence=0.9), rel=1e-10)


def test_what_cannot_be_told_apart_adds_nothing_together():
    # every image under one seed: nothing is left of the additive fit
    assert crossed_spread(np.array([[0.1, 0.2, np.nan], [np.nan, np.nan, 0.7]])).together == 0
    assert crossed_spread(np.array([[0.1, 0.2, 0.4]])).of_seeds == 0
    assert crossed_spread(np.array([[0.1], [0.3]])).of_images == 0


def test_other_numbers_shrink_what_they_average():
    spread = CrossedSpread(3, 10, of_seeds=0.05, of_images=0.03, together=0.01)
    t = lambda members: stats.t.ppf(0.975, members - 1)  # noqa: E731
    half = spread.half_width(confidence=0.95)
    assert half == pytest.approx(math.sqrt(t(3) ** 2 * 0.05 + t(10) ** 2 * 0.02), rel=1e-12)
    more = spread.half_width(confidence=0.95, n_images=40)
    assert more == pytest.approx(math.sqrt(t(3) ** 2 * (0.04 + 0.01 / 4) + t(40) ** 2 * 0.02 / 4), rel=1e-12)
    both = spread.half_width(confidence=0.95, n_seeds=6, n_images=40)
    assert both == pytest.approx(math.sqrt(t(6) ** 2 * (0.04 + 0.01 / 4) / 2 + t(40) ** 2 * 0.02 / 4), rel=1e-12)
    # seeds that spread less than the rest alone would make them have nothing of their own
    alike = CrossedSpread(3, 10, of_seeds=0.004, of_images=0.03, together=0.01)
    assert alike.half_width(confidence=0.95, n_images=10**12) == pytest.approx(0, abs=1e-5)


GAPS = {
    "none": lambda rng, shape: np.zeros(shape, bool),
    "30 % of the values": lambda rng, shape: rng.random(shape) < 0.3,
    "more under some seeds": lambda rng, shape: rng.random(shape) < np.linspace(0, 0.8, shape[0])[:, None],
    "more of some images": lambda rng, shape: rng.random(shape) < rng.random(shape[1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 3, 5])
@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("of_seeds", [0.0, 0.05, 0.2])
@pytest.mark.parametrize(("a", "b"), [(0.5, 2), (5, 1)])
def test_coverage_with_gaps(n_seeds, gaps, of_seeds, a, b):
    rng, runs = np.random.default_rng(1), 1000
    normal = (
        math.sqrt(of_seeds) * rng.normal(size=(runs, n_seeds, 1))
        + math.sqrt(0.5) * rng.normal(size=(runs, 1, 32))
        + math.sqrt(0.5 - of_seeds) * rng.normal(size=(runs, n_seeds, 32))
    )
    samples = stats.beta.ppf(stats.norm.cdf(normal), a, b)
    found = [crossed_interval(np.where(GAPS[gaps](rng, one.shape), np.nan, one)) for one in samples]
    held = np.mean([one.low <= a / (a + b) <= one.high for one in found])
    assert 0.91 <= held <= 0.99, held
