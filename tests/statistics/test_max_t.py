import itertools

import numpy as np
import pytest

from xaibench.statistics.max_t import max_t_p
from xaibench.statistics.paired import sign_flip_p


def test_one_column_is_the_plain_sign_flip_test():
    column = np.random.default_rng(1).normal(0.4, 1, (9, 1))
    assert max_t_p(column) == pytest.approx(sign_flip_p(column))


def test_every_pattern_by_hand():
    table = np.array([[1.0, 0.2, -1.0], [2.0, -0.1, 0.5], [1.5, 0.3, 0.7], [0.5, 0.4, -0.2]])

    def sizes(values):
        return [abs(c.mean()) / np.sqrt(np.mean(c**2) - c.mean() ** 2) for c in values.T]

    largest = [max(sizes(table * np.array(signs)[:, None])) for signs in itertools.product((1, -1), repeat=4)]
    expected = [sum(size >= own - 1e-12 for size in largest) / 16 for own in sizes(table)]
    assert max_t_p(table) == pytest.approx(expected)


def test_copies_of_a_column_cost_nothing():
    column = np.random.default_rng(2).normal(0.5, 1, (20, 1))
    alone = max_t_p(column, n_resamples=999)
    assert max_t_p(np.repeat(column, 50, axis=1), n_resamples=999) == pytest.approx(np.repeat(alone, 50))


def test_columns_without_spread():
    table = np.column_stack([np.zeros(6), np.ones(6)])
    assert max_t_p(table) == pytest.approx([1.0, 2 / 2**6])


def test_false_alarms_are_rare_over_all_columns_together():
    rng = np.random.default_rng(3)
    alarms = [(max_t_p(rng.normal(0, 1, (10, 1)) + rng.normal(0, 1, (10, 12))) < 0.05).any() for _ in range(300)]
    assert 0.01 < np.mean(alarms) < 0.09  # 0.05 ± 3 standard errors
