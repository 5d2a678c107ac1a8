"""Means over seeds, images and steps, against pandas' pivot table."""

import numpy as np
import pandas as pd

from xaibench.report.sanity.checks import means_by


def rows():
    """Two seeds, three images and three steps: one record twice, some undefined, one combination missing."""
    rng = np.random.default_rng(0)
    keys = [(seed, image, step) for seed in (1, 0) for image in ("c", "a", "b") for step in (2, 1, 5)]
    table = pd.DataFrame([*keys[1:], keys[4]], columns=["seed", "image", "step"])
    table["value"] = rng.random(len(table))
    table.loc[[2, 5, 6, 7], "value"] = np.nan
    return table


def test_means_are_those_of_a_pivot_table():
    means, (seeds, images, steps) = means_by(rows(), "seed", "image", "step")
    assert (list(seeds), list(images), list(steps)) == ([0, 1], ["a", "b", "c"], [1, 2, 5])
    expected = rows().pivot_table(index=["seed", "image"], columns="step", values="value", aggfunc="mean", dropna=False)
    assert expected.isna().to_numpy().sum() > 3
    np.testing.assert_allclose(means.reshape(6, 3), expected.to_numpy(), rtol=1e-15)


def test_means_over_what_is_not_named_leave_undefined_values_out():
    means, _ = means_by(rows(), "image", "step")
    expected = rows().pivot_table(index="image", columns="step", values="value", aggfunc="mean", dropna=False)
    np.testing.assert_allclose(means, expected.to_numpy(), rtol=1e-15)
