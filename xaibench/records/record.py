"""The tidy row in which every number of a run is kept, and the columns of its table."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "undefined", "failed"]


@dataclass(frozen=True)
class Record:
    """One measured value and what it belongs to; unused keys stay empty.

    Attributes
    ----------
    metric : str
        Name of the metric's card, for instance ``deletion``.
    value : float
        NaN exactly where `status` is not ``ok``.
    image : str
        The sample's name; "" for a value that belongs to no single image (timing).
    label, target : int
        Ground-truth class and explained class; -1 where there is none.
    explainer, layer : str
        What made the map; `layer` is "" for an explainer without layers.
    variant : str
        Which of a metric's variants: similarity of a cascade, phase of a timing; else "".
    module, step : str, int
        Sanity checks: the module randomized last, and how many were by then. 0 is the trained model.
    seed : int
        Seed of whatever was drawn for this value.
    status, reason : str
        ``ok``; ``undefined``, such as a correlation with a constant map; ``failed``, such as an unreadable
        image. `reason` says why, in a few words.
    forward_passes : float
        Images put through the model for this value; a shared pass counts in equal parts.
    seconds : float
        Wall time for this value, shared likewise; NaN where it was not measured.
    settings : str
        JSON object of every choice that defines the value, keys sorted.
    curve_x, curve_y : tuple of float
        The curve whose area is `value`; empty where there is none.
    """

    metric: str
    value: float
    image: str = ""
    label: int = -1
    target: int = -1
    explainer: str = ""
    layer: str = ""
    variant: str = ""
    module: str = ""
    step: int = 0
    seed: int = 0
    status: Status = "ok"
    reason: str = ""
    forward_passes: float = 0.0
    seconds: float = math.nan
    settings: str = "{}"
    curve_x: tuple[float, ...] = ()
    curve_y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.status == "ok") == math.isnan(self.value):
            raise ValueError(f"a value is NaN exactly where its status is not ok; got {self.value} and {self.status!r}")


def settings_json(settings: Mapping[str, object]) -> str:
    """Write settings as the one JSON text that equal settings have."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))
