import math

import numpy as np
import pytest

from xaibench.statistics.bounds import image_share, images_to_clear, is_below
from xaibench.statistics.intervals import Interval, two_way_interval
from xaibench.statistics.paired import images_p, sign_flip_p

NAN = math.nan


@pytest.mark.parametrize(
    ("ends", "bound", "outcome"),
    [
        ((0.2, 0.1, 0.3), 0.4, "met"),
        ((0.2, 0.1, 0.3), 0.3, "undecided"),
        ((0.2, 0.1, 0.3), 0.15, "undecided"),
        ((0.2, 0.1, 0.3), 0.1, "not met"),
        ((1.0, 1.0, 1.0), 0.5, "not met"),
        ((0.2, NAN, NAN), 0.9, "undecided"),
        ((NAN, NAN, NAN), 0.9, "undefined"),
        ((0.2, 0.1, 0.3), NAN, "undefined"),
    ],
)
def test_what_an_interval_allows_to_say(ends, bound, outcome):
    assert is_below(Interval(*ends, 9, 0), bound) == outcome


def test_one_seed_scales_with_the_root_of_the_images():
    # the upper half is 0.2 and has to shrink to 0.05: sixteen times the images
    values = np.random.default_rng(0).normal(0.45, 0.3, (1, 10))
    interval = Interval(0.45, 0.3, 0.65, 10, 0)
    assert images_to_clear(values, interval, 0.5).n == 160
    # the lower half, 0.15, where the bound lies below: (0.15 / 0.05)² = 9
    assert images_to_clear(values, interval, 0.4).n == 90


def test_images_and_seeds_share_the_variance():
    values = np.array([0.0, 2.0])[:, None] + np.array([0.0, 3.0, 6.0])
    # squared standard errors: images 9 / 3, seeds 2 / 2
    assert image_share(values) == pytest.approx(3 / (3 + 1))
    assert image_share(values[:1]) == 1
    interval = Interval(4.0, 3.0, 6.0, 6, 0)
    # half 2, of whose square 3/4 shrinks: 3 images * 3 / (d² - 1) with d = 1.5
    assert images_to_clear(values, interval, 5.5).n == math.ceil(3 * 3 / (1.5**2 - 1))
    # at d = 0.9 the seeds' part alone, 1, is too wide
    found = images_to_clear(values, interval, 4.9)
    assert math.isnan(found.n)
    assert "about 10 seeds and 15 images" in found.reason


def test_so_many_images_do_clear_the_bound():
    rng = np.random.default_rng(1)
    draw = lambda n: rng.normal(0.4, 0.3, n)[None, :] + rng.normal(0, 0.01, (3, 1))  # noqa: E731
    values = draw(12)
    interval = two_way_interval(values, n_resamples=999)
    bound = interval.estimate + 0.05
    assert is_below(interval, bound) == "undecided"
    n = int(images_to_clear(values, interval, bound).n)
    spread = values.mean(axis=0).std(ddof=1)
    more = rng.normal(0, 1, n)
    more = (more - more.mean()) / more.std(ddof=1) * spread + interval.estimate
    seeds = values.mean(axis=1, keepdims=True) - values.mean()
    assert two_way_interval(more[None, :] + seeds, n_resamples=999).high == pytest.approx(bound, abs=0.01)


def test_nothing_settles_an_estimate_on_the_bound_or_without_spread():
    values = np.ones((2, 2))
    assert "on the bound" in images_to_clear(values, Interval(0.5, 0.4, 0.6, 4, 0), 0.5).reason
    assert "spread" in images_to_clear(values, Interval(0.5, NAN, NAN, 1, 0), 0.6).reason


def test_p_over_images_averages_seeds_first():
    differences = np.array([[1.0, 2.0, np.nan, 4.0], [3.0, np.nan, np.nan, 0.0]])
    assert images_p(differences) == sign_flip_p(np.array([[2.0], [2.0], [2.0]]))[0] == 0.25
    assert math.isnan(images_p(np.full((2, 3), np.nan)))
    assert math.isnan(images_p(np.empty((0, 0))))
