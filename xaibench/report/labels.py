"""Names, order and direction of what is compared: arms and metrics, as tables and sentences show them."""

import json
from collections.abc import Sequence

import pandas as pd

from xaibench.metrics.cards import CARDS, Card

Arm = tuple[str, str]
"""What competes: (explainer, layer); the layer is "" for an explainer without layers."""

REFERENCES = ("random", "center", "sobel", "raw_image")
"""Explainers that ignore the model: what a useful map must beat. Listed last, in this order."""

ORACLE = "oracle"
"""Ignores the model, too, but knows the object's mask: no map need beat it. Listed after the references."""

_TITLES = {
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "xgrad_cam": "XGrad-CAM",
    "hires_cam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "gradient": "the gradient",
    "input_x_gradient": "input × gradient",
    "guided_backprop": "guided backpropagation",
    "guided_grad_cam": "guided Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "smooth_grad": "SmoothGrad",
}


def arm_label(arm: Arm) -> str:
    """``grad_cam @ layer4.2``, or ``sobel``; ``model`` for what belongs to no explainer."""
    explainer, layer = arm
    return f"{explainer} @ {layer}" if layer else explainer or "model"


def spoken(arm: Arm) -> str:
    """The arm as a sentence names it: ``Grad-CAM at layer4.2``, ``the reference sobel``."""
    explainer, layer = arm
    if is_reference(arm):
        return f"the reference {explainer}"
    title = _TITLES.get(explainer, explainer)
    return f"{title} at {layer}" if layer else title


def is_reference(arm: Arm) -> bool:
    """Whether the arm's explainer ignores the model."""
    return arm[0] in (*REFERENCES, ORACLE)


def arms(records: pd.DataFrame, layers: Sequence[str] | None = None) -> list[Arm]:
    """All arms of the records: explainers by first appearance, each with its layers, references last.

    Parameters
    ----------
    records : DataFrame
        Columns `explainer` and `layer`.
    layers : sequence of str, optional
        Layers from shallow to deep, as in the run's settings; by first appearance where not given. Others come after
        these.
    """
    rows = records.loc[records["explainer"] != "", ["explainer", "layer"]].drop_duplicates()
    found = [(str(explainer), str(layer)) for explainer, layer in rows.itertuples(index=False)]
    explainers = list(dict.fromkeys(explainer for explainer, _ in found if not is_reference((explainer, ""))))
    order = [*explainers, *REFERENCES, ORACLE]
    depth = list(dict.fromkeys([*(layers or ()), *(layer for _, layer in found)]))
    return sorted(found, key=lambda arm: (order.index(arm[0]), depth.index(arm[1])))


def higher_is_better(metric: str, settings: str = "{}") -> bool | None:
    """Direction from the metric's card; None for a metric that has none.

    Parameters
    ----------
    metric : str
        Name in the records.
    settings : str
        The records' settings, JSON: a metric under a name of its own says there, as ``name``, which one it is.
    """
    card = card_of(metric, settings)
    return None if card is None else card.higher_is_better


def card_of(metric: str, settings: str = "{}") -> Card | None:
    """The metric's card, found by its name in the records or, for one under a name of its own, in its settings."""
    return CARDS.get(metric) or CARDS.get(json.loads(settings or "{}").get("name", ""))


def of_family(records: pd.DataFrame, *families: str) -> pd.Series:
    """Whether each record's metric belongs to one of these families of cards."""
    known = records[["metric", "settings"]].drop_duplicates("metric")
    cards = {metric: card_of(metric, settings) for metric, settings in known.itertuples(index=False)}
    inside = {metric for metric, card in cards.items() if card is not None and card.family in families}
    return records["metric"].isin(inside)


def metric_title(metric: str) -> str:
    """Title from the metric's card, or its name in words."""
    card = CARDS.get(metric)
    return metric.replace("_", " ") if card is None else card.title
