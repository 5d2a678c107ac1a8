"""Records of a deletion metric and its variations, with a known ranking of the arms under each."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from synthetic_records import as_frame

from xaibench.metrics.areas import recompute_area
from xaibench.records.record import Record, settings_json

ARMS = (*(("grad_cam", layer) for layer in ("layer1", "layer2", "layer3", "layer4")), ("sobel", ""))
BASE = {
    "name": "deletion", "direction": "deletion", "baseline": "Zero()", "steps": "EqualSteps(n_steps=4)",
    "ties": "reverse_raster", "rectify": False, "first": "most", "seed": 0, "score": "probability", "endpoints": "both",
    "area": "uniform_trapezoid", "regions": "pixels", "region_score": "mean",
}  # fmt: skip
UPWARDS = (0.1, 0.3, 0.5, 0.7, 0.9)  # how good each arm is; the base's
FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def evaluator_records(
    variations: Mapping[str, tuple[Mapping[str, object], Sequence[float]]], *, n_images: int = 12, noise: float = 0.0
) -> pd.DataFrame:
    """Rows of metrics by key: what differs from `BASE`, and how good each arm is under it.

    A good map has a low curve, and a high one where `direction` is insertion. All arms of an image share its ends;
    `noise` is each value's own.
    """
    rng = np.random.default_rng(0)
    rows = []
    for key, (changes, qualities) in variations.items():
        for index in range(n_images):
            for (explainer, layer), quality in zip(ARMS, qualities, strict=True):
                settings = {**BASE, **changes, "resize": "bilinear" if layer else "none"}
                middle = (1 - quality) * 0.8 + 0.01 * index + noise * rng.normal()
                middle = 1 - middle if settings["direction"] == "insertion" else middle
                curve = (0.9, *(middle + 0.1 * (0.5 - x) for x in FRACTIONS[1:-1]), 0.2)
                value = float(recompute_area(FRACTIONS, curve, str(settings["area"])))
                rows.append(
                    Record(
                        key, value, image=f"image-{index}", explainer=explainer, layer=layer,
                        settings=settings_json(settings), curve_x=FRACTIONS, curve_y=curve,
                    )
                )  # fmt: skip
    return as_frame(rows)
