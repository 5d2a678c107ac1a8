import math

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.sample_size import fewest_images, images_needed


def _differences(effect: float, n: int = 200) -> np.ndarray:
    """Values whose mean is `effect` and whose standard deviation is 1, exactly."""
    values = np.random.default_rng(0).normal(size=n)
    return (values - values.mean()) / values.std(ddof=1) + effect


def _power(effect: float, n: int, level: float) -> float:
    """Power of the two-sided paired t test, from the noncentral t distribution."""
    critical = stats.t.ppf(1 - level / 2, n - 1)
    centre = effect * math.sqrt(n)
    return stats.nct.sf(critical, n - 1, centre) + stats.nct.cdf(-critical, n - 1, centre)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_cohens_effects_at_80_percent_power(effect, n):
    # the numbers that G*Power gives for a two-sided paired t test at 5 %
    assert images_needed(_differences(effect)).n == n


@pytest.mark.parametrize("power", [0.8, 0.95])
@pytest.mark.parametrize("n_comparisons", [1, 21])
@pytest.mark.parametrize("effect", [0.15, 0.3, 0.6])
def test_the_exact_power_is_reached_and_not_exceeded_by_much(effect, n_comparisons, power):
    n = int(images_needed(_differences(effect), power=power, n_comparisons=n_comparisons).n)
    level = 0.05 / n_comparisons
    assert _power(effect, n + 1, level) >= power
    assert _power(effect, n - 2, level) < power


def test_a_named_difference():
    seen = images_needed(_differences(0.5))
    assert images_needed(_differences(0.1), difference=0.5) == seen
    assert images_needed(_differences(0.1), difference=-0.5) == seen


@pytest.mark.parametrize("differences", [[], [0.3], [0.3, math.nan]])
def test_unknown_spread(differences):
    found = images_needed(differences)
    assert math.isnan(found.n)
    assert "fewer than two images" in found.reason


@pytest.mark.parametrize("differences", [[0.0, 0.0, 0.0], [1.0, -1.0], [0.1, 0.2, -0.3]])
def test_no_difference_needs_no_number(differences):
    found = images_needed(differences)
    assert math.isnan(found.n)
    assert "no difference" in found.reason


def test_never_less_than_the_sign_flip_test_can_use():
    assert images_needed([0.5, 0.5, 0.5]).n == 6  # 2 / 2**6 = 0.031 is the first below 0.05
    assert fewest_images(0.05) == 6
    assert fewest_images(0.05 / 21) == 10
    assert fewest_images(2 / 2**9) == 9


def test_power_is_a_share():
    with pytest.raises(ValueError, match="got 80"):
        images_needed([1.0, 2.0], power=80.0)


@pytest.mark.slow
def test_simulated_power_of_the_sign_flip_test():
    from xaibench.statistics.paired import sign_flip_p

    rng = np.random.default_rng(3)
    effect, runs = 0.4, 2000
    n = int(images_needed(_differences(effect)).n)
    samples = rng.normal(effect, 1, (n, runs))
    power = float((sign_flip_p(samples, n_resamples=1999) < 0.05).mean())
    # two standard errors of the simulation are 0.018; the test itself loses little against Student's
    assert 0.77 <= power <= 0.83, power
