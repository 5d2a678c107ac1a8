"""What the maps themselves are like, by arm: ties, zero maps, NaN, and how much was really removed where it was asked."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from xaibench.report.labels import Arm, arm_label, arms

MAP_COLUMNS = [
    "explainer", "layer", "arm", "maps", "not_finite", "nothing_positive", "all_tied", "tied_share", "largest_tied_share",
    "positive_share", "smallest_positive_share",
]  # fmt: skip
REMOVAL_COLUMNS = [
    "metric", "explainer", "layer", "arm", "maps", "asked", "removed", "least_removed", "most_removed",
]  # fmt: skip


def map_counts(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per arm: how many of its maps are degenerate, and the shares of tied and of positive pixels.

    Returns
    -------
    DataFrame
        `not_finite` maps hold NaN or infinity; they are in no share. `nothing_positive` ones are zero everywhere once
        they are rectified. `all_tied` ones have no value that occurs once: the tie rule alone decides their order, or
        most of it. Shares are means over the other maps, with the worst map's beside them; NaN where not recorded.
    """
    tied, positive = (_by_arm(records, metric) for metric in ("tied_fraction", "positive_fraction"))
    rows: list[list[object]] = []
    for arm in (arm for arm in arms(records, layers) if arm in tied):
        shares, above = tied[arm], positive.get(arm, np.array([]))
        row: list[object] = [*arm, arm_label(arm), len(shares), int(np.isnan(shares).sum())]
        row += [int((above == 0).sum()) if len(above) else np.nan, int((shares == 1).sum())]
        rows.append([*row, *_mean_and(shares, np.nanmax), *_mean_and(above, np.nanmin)])
    return pd.DataFrame(rows, columns=MAP_COLUMNS)


def removed_shares(records: pd.DataFrame, *, layers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per metric and arm: at the point of the curve where it was missed most, the share asked for and that removed.

    Returns
    -------
    DataFrame
        `asked` is that point's share, `removed` the mean over maps of what was removed instead, with the least and the
        most of any map. Whole curves are in the records.
    """
    own = records[(records["metric"] == "removal_error") & (records["status"] == "ok")]
    groups = dict(list(own.groupby(["variant", "explainer", "layer"], sort=False)))
    rows: list[list[object]] = []
    for variant in own["variant"].unique():
        for arm in arms(records, layers):
            if (group := groups.get((variant, *arm))) is None:
                continue
            asked = np.asarray(group["curve_x"].iloc[0], dtype=float)
            removed = np.stack([np.asarray(curve, dtype=float) for curve in group["curve_y"]])
            worst = int(np.abs(removed - asked).max(axis=0).argmax())
            at = removed[:, worst]
            spread = asked[worst], at.mean(), at.min(), at.max()
            rows.append([variant, *arm, arm_label(arm), len(at), *map(float, spread)])
    return pd.DataFrame(rows, columns=REMOVAL_COLUMNS)


def _by_arm(records: pd.DataFrame, metric: str) -> dict[Arm, np.ndarray]:
    rows = records.loc[records["metric"] == metric, ["explainer", "layer", "value"]]
    return {
        (str(explainer), str(layer)): group["value"].to_numpy(dtype=float)
        for (explainer, layer), group in rows.groupby(["explainer", "layer"], sort=False)
    }


def _mean_and(values: np.ndarray, worst: Callable[[np.ndarray], float]) -> tuple[float, float]:
    """Mean and worst of the defined values; NaN where there are none."""
    if not len(values) or bool(np.isnan(values).all()):
        return float("nan"), float("nan")
    return float(np.nanmean(values)), float(worst(values))
