"""Orders in which to look at images: the worst, the best and the most disputed first.

*Worst* and *best* go by the mean of an image's scores over the arms that look at the model. An image is *disputed* in two
ways. Its *arms* disagree as far as their scores lie apart: the range over the arms that look at the model. Its
*metrics* disagree as far as they rank the same maps differently: 1 - Kendall's W of the metrics' rankings of all arms [1]_,
0 where all metrics rank this image's maps alike, near 1 where they have nothing in common.

.. [1] M. G. Kendall and B. Babington Smith, "The Problem of m Rankings", Annals of Mathematical Statistics 10, 1939.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from xaibench.report.labels import is_reference
from xaibench.report.scores import MetricScores
from xaibench.report.tables import Tables
from xaibench.report.wording import lowered

FIRST = ("insertion", "deletion")
"""Metrics to begin with, where the run has them."""


@dataclass(frozen=True)
class ImageOrder:
    """A way to go through images.

    Attributes
    ----------
    key : str
        What kind of order: ``best``, ``worst``, ``arms`` or ``metrics``.
    metric : str
        Title of the metric it goes by; "" for one that goes by all.
    values : array of float, shape (n_images,)
        What the images are ordered by; NaN where undefined.
    ascending : bool
        Whether the smallest come first. Undefined ones come last either way, equal ones as they were.
    words : str
        What a value is.
    """

    key: str
    metric: str
    values: Float[ndarray, " n_images"]
    ascending: bool
    words: str

    @property
    def places(self) -> list[int]:
        """Positions of the images, the first to look at first."""
        found: list[int] = np.argsort(self.values if self.ascending else -self.values, kind="stable").tolist()
        return found


def image_orders(tables: Tables, names: Sequence[str]) -> list[ImageOrder]:
    """All orders of these images that the scores give, leading metrics first; none without scores.

    Parameters
    ----------
    tables : Tables
        Scores of the run.
    names : sequence of str
        The images to order.
    """
    ranked = [one for one in tables.ranking if one.candidates]
    ranked.sort(key=lambda one: FIRST.index(one.metric) if one.metric in FIRST else len(FIRST))
    orders = [order for scores in ranked for order in _of_metric(scores, names)]
    dispute = metric_dispute(ranked, names)
    if np.isfinite(dispute).any():
        orders.append(ImageOrder("metrics", "", dispute, False, "disagreement of the metrics (1 − Kendall's W)"))
    return orders


def _of_metric(scores: MetricScores, names: Sequence[str]) -> list[ImageOrder]:
    table = scores.values.reindex(list(names))[[arm for arm in scores.arms if not is_reference(arm)]].to_numpy(float)
    title, higher = scores.title, bool(scores.higher_is_better)
    means = _by_row(np.mean, table)
    spread = _by_row(np.ptp, table)
    of_mean = f"{lowered(title)}, mean over the arms that look at the model"
    return [
        ImageOrder("worst", title, means, higher, of_mean),
        ImageOrder("best", title, means, not higher, of_mean),
        ImageOrder("arms", title, spread, False, f"{lowered(title)}, range over the arms that look at the model"),
    ]


def metric_dispute(ranked: Sequence[MetricScores], names: Sequence[str]) -> Float[ndarray, " n_images"]:
    """How far the metrics disagree on the order of each image's maps: 1 - Kendall's W, in [0, 1].

    A metric that is undefined for a map of the image, or that ties all its maps, says nothing about it and is left out
    there. Ties are corrected for. NaN where fewer than two metrics are left, or fewer than three arms.
    """
    arms = [arm for arm in (ranked[0].arms if ranked else []) if all(arm in one.arms for one in ranked)]
    if len(arms) < 3 or len(ranked) < 2:
        return np.full(len(names), math.nan)
    signed = [
        one.values.reindex(list(names))[arms].to_numpy(float) * (1 if one.higher_is_better else -1) for one in ranked
    ]
    return 1 - _kendalls_w(np.stack(signed, axis=1))


def _kendalls_w(scores: Float[ndarray, "images raters arms"]) -> Float[ndarray, " images"]:
    """Kendall's W of each image, corrected for ties; raters with NaN or without any difference are left out."""
    n = scores.shape[2]
    says = np.isfinite(scores).all(axis=2) & (scores.max(axis=2) > scores.min(axis=2))
    ranks = stats.rankdata(np.where(says[..., None], scores, 0), axis=2)
    m = says.sum(axis=1)
    sums = (ranks * says[..., None]).sum(axis=1)
    spread = ((sums - sums.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    # a rater without ties has ranks whose squared deviations add up to (n³ - n) / 12; ties take their share from that
    own = (((ranks - (n + 1) / 2) ** 2).sum(axis=2) * says).sum(axis=1)
    return np.where(m > 1, spread / np.where(m > 1, m * own, 1), np.nan)


def _by_row(function: object, table: Float[ndarray, "images arms"]) -> Float[ndarray, " images"]:
    """Apply a function to the defined values of each row; NaN for a row without any."""
    rows = [row[np.isfinite(row)] for row in table]
    return np.array([function(row) if len(row) else np.nan for row in rows], dtype=float)  # type: ignore[operator]


def telling_images(tables: Tables, names: Sequence[str], n: int) -> list[str]:
    """Choose `n` of the images for a page that cannot show all, in the order given.

    A quarter each of the worst, the best (by the leading metric) and the most disputed (by all metrics or, without
    two, by the arms); the rest at equal distances from first to last, which favours none.
    """
    names = list(names)
    if len(names) <= n:
        return names
    orders = {order.key: order for order in reversed(image_orders(tables, names))}
    chosen: dict[int, None] = {}
    for key in ("worst", "best", "metrics" if "metrics" in orders else "arms"):
        wanted = len(chosen) + n // 4
        for place in orders[key].places if key in orders else []:
            if len(chosen) < wanted:
                chosen.setdefault(place)
    left = [place for place in range(len(names)) if place not in chosen]
    even = np.linspace(0, len(left) - 1, n - len(chosen)).round().astype(int)
    return [names[place] for place in sorted([*chosen, *(left[i] for i in even)])]
