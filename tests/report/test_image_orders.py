import numpy as np
import pandas as pd
import pytest
from synthetic_records import synthetic_records

from xaibench.report.labels import is_reference
from xaibench.report.page.image_orders import image_orders, metric_dispute, telling_images
from xaibench.report.tables import make_tables
from xaibench.statistics.agreement import concordance

SIGNS = {True: 1, False: -1}


@pytest.fixture(scope="module")
def tables():
    return make_tables(synthetic_records(12), n_resamples=200)


@pytest.fixture(scope="module")
def names(tables):
    return list(tables.images.loc[tables.images["status"] == "ok", "image"])


def of(tables, names, key, metric=""):
    return next(order for order in image_orders(tables, names) if (order.key, order.metric) == (key, metric))


def by_hand(tables, metric, names):
    values = next(one for one in tables.ranking if one.metric == metric).values
    return values.loc[names, [arm for arm in values.columns if not is_reference(arm)]]


@pytest.mark.parametrize(
    ("metric", "title", "higher"), [("insertion", "Insertion", True), ("deletion", "Deletion", False)]
)
def test_worst_and_best_go_by_the_mean_over_arms_that_look_at_the_model(tables, names, metric, title, higher):
    means = by_hand(tables, metric, names).mean(axis=1)
    worst, best = of(tables, names, "worst", title), of(tables, names, "best", title)
    assert names[worst.places[0]] == (means.idxmin() if higher else means.idxmax())
    assert names[best.places[0]] == (means.idxmax() if higher else means.idxmin())
    assert sorted(worst.places) == list(range(len(names)))


def test_arms_disagree_as_far_as_their_scores_lie_apart(tables, names):
    table = by_hand(tables, "insertion", names)
    order = of(tables, names, "arms", "Insertion")
    np.testing.assert_allclose(order.values, (table.max(axis=1) - table.min(axis=1)).to_numpy())
    assert order.values[order.places[0]] == np.nanmax(order.values)


def test_metrics_disagree_as_one_less_kendalls_w(tables, names):
    ranked = [one for one in tables.ranking if one.candidates]
    found = metric_dispute(ranked, names)
    for name, value in zip(names, found, strict=True):
        rows = [one.values.loc[name] * SIGNS[one.higher_is_better] for one in ranked if name in one.values.index]
        says = pd.DataFrame([row.to_numpy() for row in rows if row.notna().all() and row.min() < row.max()])
        expected = 1 - concordance(says).kendalls_w if len(says) > 1 else np.nan
        assert value == pytest.approx(expected, nan_ok=True)
    assert np.isfinite(found).all()
    assert ((found >= -1e-12) & (found <= 1)).all()


def test_unknown_images_come_last_and_nothing_is_said_of_them(tables, names):
    order = of(tables, ["nobody", *names], "worst", "Insertion")
    assert np.isnan(order.values[0])
    assert order.places[-1] == 0


def test_one_metric_alone_disagrees_with_nobody(tables, names):
    assert np.isnan(metric_dispute(tables.ranking[:1], names)).all()
    assert np.isnan(metric_dispute([], names)).all()


def test_a_page_that_cannot_show_all_shows_the_extremes(tables, names):
    chosen = telling_images(tables, names, 8)
    assert len(chosen) == len(set(chosen)) == 8
    assert chosen == sorted(chosen, key=names.index)
    for order in (
        of(tables, names, "worst", "Insertion"),
        of(tables, names, "best", "Insertion"),
        of(tables, names, "metrics"),
    ):
        assert {names[place] for place in order.places[:2]} <= set(chosen)
    assert telling_images(tables, names, len(names)) == names
    assert len(telling_images(tables, names, 1)) == 1
    assert telling_images(tables, [], 5) == []
