"""The record of one map's value."""

import math
from typing import Any

from xaibench.records.record import Record
from xaibench.shards.images import Batch

Arm = tuple[str, str]  # explainer, layer


def map_record(batch: Batch, b: int, arm: Arm, metric: str, value: float, reason: str, **more: Any) -> Record:
    """Record the value of one map of image `b` of the batch; NaN is undefined, for the reason given."""
    undefined = math.isnan(value)
    keys: dict[str, Any] = {"image": batch.names[b], "label": int(batch.labels[b]), "target": int(batch.targets[b])}
    return Record(
        metric,
        value,
        explainer=arm[0],
        layer=arm[1],
        status="undefined" if undefined else "ok",
        reason=(reason or "not defined here") if undefined else "",
        **(keys | more),
    )
