import math

import pytest

from xaibench.statistics.adcc_means import adcc_of_means


def test_by_hand():
    """Means over the two images that have all three terms: drop 1/2, coherency 1/2, complexity 1/2."""
    nan = math.nan
    assert adcc_of_means([0.2, 0.8, nan, 0.0], [0.9, 0.1, 1.0, nan], [0.5, 0.5, 0.0, 0.0]) == pytest.approx(0.5)


def test_edges():
    assert adcc_of_means([1.0, 1.0], [0.5, 0.6], [0.1, 0.1]) == 0
    assert math.isnan(adcc_of_means([math.nan], [0.5], [0.1]))
    assert math.isnan(adcc_of_means([], [], []))
    with pytest.raises(ValueError, match="one value per image"):
        adcc_of_means([0.1, 0.2], [0.5], [0.1])
