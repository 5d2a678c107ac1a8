"""What explains nothing and tries the metrics instead, oracle and corrupted maps: where it may take part."""

from collections.abc import Mapping
from typing import Any

from xaibench.data.samples import Dataset, UnreadableImage
from xaibench.explainers.catalogue import CONTROLS
from xaibench.explainers.corrupted import Corrupted
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.oracle import Oracle
from xaibench.metrics.map_scores import ExplainerMetric


def check_controls(
    explainers: Mapping[str, Explainer],
    sanity: Mapping[str, Any],
    metrics: Mapping[str, Any],
    dataset: Dataset,
) -> None:
    """Refuse checks and metrics that explain changed images again for controls, and an oracle without masks.

    Parameters
    ----------
    explainers, sanity, metrics : mapping
        Of the run, as in `xaibench.workbench.Workbench`.
    dataset : Dataset

    Raises
    ------
    ValueError
        Naming who cannot go with whom.
    """
    controls = [name for name, explainer in explainers.items() if isinstance(explainer, tuple(CONTROLS.values()))]
    checks = [f"sanity.{key}" for key, check in sanity.items() if any(name in check.explainers for name in controls)]
    again = [f"metric.{key}" for key, metric in metrics.items() if isinstance(metric, ExplainerMetric)]
    if controls and (checks or again):
        raise ValueError(
            f"{', '.join(checks + again)} cannot try {', '.join(controls)}, which explain nothing; leave one or the "
            "other out, or name the explainers of the sanity check, as in sanity.KEY.explainers=[grad_cam]"
        )
    if any(_kind_of(explainers[name]) is Oracle for name in controls) and not _has_masks(dataset):
        raise ValueError("an oracle needs masks, and the data's first image has none; leave the oracle out")


def _kind_of(explainer: Explainer) -> type[Explainer]:
    """Kind of an explainer, or of the one whose maps it corrupts."""
    return type(explainer.explainer if isinstance(explainer, Corrupted) else explainer)


def _has_masks(dataset: Dataset) -> bool:
    """Whether the first image that can be read has a mask."""
    for index in range(len(dataset)):
        try:
            masks = dataset[index].masks
        except UnreadableImage:
            continue
        return masks is not None and len(masks) > 0
    return False
