"""Records in which the truth about the metrics is known: one agrees with the masks, one reverses them, one draws lots."""

import numpy as np
import pandas as pd
from synthetic_records import ARMS, as_frame

from xaibench.records.record import Record
from xaibench.report.trust.corruption_chains import Chain

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
CHAIN = Chain("grad_cam", {share: [f"grad_cam_{100 * share:.0f}"] for share in SHARES[1:]})
EXPLAINERS = {
    "grad_cam": {"name": "grad_cam"},
    **{names[0]: {"name": "corrupted", "of": "grad_cam", "share": share} for share, names in CHAIN.explainers.items()},
}


def trust_records(n_images: int = 20, seed: int = 0) -> pd.DataFrame:
    """Scores of all arms: `insertion` follows the truth, `deletion` is turned about as its direction wants it,
    `average_gain` reverses the truth, `morf` is noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n_images):
        rows.append(Record("image", 1.0, image=f"image-{index:03d}"))
        truth, noise = rng.permutation(len(ARMS)) / 10, rng.random(len(ARMS))
        for (explainer, layer), good, other in zip(ARMS, truth.tolist(), noise.tolist(), strict=True):
            keys = {"image": f"image-{index:03d}", "explainer": explainer, "layer": layer}
            values = {
                "energy_in_mask": good,
                "insertion": good / 2,
                "deletion": 1 - good,
                "average_gain": -good,
                "morf": other,
            }
            rows += [Record(metric, value, **keys) for metric, value in values.items()]
    return as_frame(rows)


def corruption_records(n_images: int = 20, seed: int = 0) -> pd.DataFrame:
    """Scores along a chain: `insertion` falls, `deletion` rises, which is worse, `average_gain` rises, which is better,
    `energy_in_mask` falls once, `morf` is noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n_images):
        ease, noise = rng.normal(0, 0.3), rng.normal(0, 0.02, (5, len(SHARES)))
        for place, share in enumerate(SHARES):
            keys = {"image": f"image-{index:03d}", "explainer": CHAIN.at(share)[0], "layer": "layer4.2"}
            good = ease - share
            values = (good, -good, -good, ease - (share > 0.4), rng.normal())
            named = dict(zip(("insertion", "deletion", "average_gain", "energy_in_mask", "morf"), values, strict=True))
            rows += [
                Record(metric, float(value + noise[at, place]), **keys)
                for at, (metric, value) in enumerate(named.items())
            ]
    return as_frame(rows)
