"""Pictures and maps of a run, by image: what galleries, strips and the page's image browser show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from xaibench.report.labels import Arm
from xaibench.report.summaries import unique


@dataclass(frozen=True)
class Pictured:
    """One image as the network saw it, with its maps.

    Attributes
    ----------
    name, label, predicted : str
        Its name, and in words the class it shows and the class explained; "" where unknown.
    confidence : float
        Probability of the target on the clean image; NaN where unknown.
    correct : bool or None
        Whether the model names the labelled class; None where unknown.
    picture : array of uint8, shape (H, W, 3)
    mask : array of bool, shape (H, W), or None
        Where the labelled object lies.
    maps : mapping of arm to array of float, shape (h, w)
        Signed, at each layer's own resolution.
    """

    name: str
    label: str
    predicted: str
    confidence: float
    correct: bool | None
    picture: UInt8[ndarray, "H W 3"]
    mask: Bool[ndarray, "H W"] | None
    maps: Mapping[Arm, Float[ndarray, "_h _w"]]


@dataclass(frozen=True)
class Strip:
    """Maps of one image while a model's modules are randomized one after the other.

    Attributes
    ----------
    name : str
        The image.
    picture : array of uint8, shape (H, W, 3)
    mask : array of bool, shape (H, W), or None
    maps : mapping of arm to (mapping of step to array of float, shape (h, w))
        Step 0 is the trained model.
    """

    name: str
    picture: UInt8[ndarray, "H W 3"]
    mask: Bool[ndarray, "H W"] | None
    maps: Mapping[Arm, Mapping[int, Float[ndarray, "_h _w"]]]


def pictured_names(maps: Mapping[str, ndarray]) -> list[str]:
    """Names of the images that have a picture, in the order of their names."""
    return sorted(key.split("/", 1)[1] for key in maps if key.startswith("picture/"))


def pictured(
    maps: Mapping[str, ndarray],
    records: pd.DataFrame,
    *,
    names: Iterable[str],
    categories: Sequence[str],
    only: Sequence[Arm] | None = None,
) -> list[Pictured]:
    """Gather images by name, with what the records know about them.

    Parameters
    ----------
    maps : mapping
        The run's arrays by key; see docs/architecture.md.
    records : DataFrame
        The run's records.
    names : iterable of str
        Which images.
    categories : sequence of str
        Class names by index; an index beyond them is written as a number.
    only : sequence of arm, optional
        Whose maps to read; all by default.
    """
    keys = _map_keys(maps)
    facts = records[records["metric"].isin(["confidence", "correct"])].drop_duplicates(["metric", "image"])
    value = facts.set_index(["metric", "image"])["value"].to_dict()
    classes = _classes(records)
    found = []
    for name in names:
        label, target = (int(index) for index in classes.loc[name].to_numpy()) if name in classes.index else (-1, -1)
        correct = value.get(("correct", name))
        found.append(
            Pictured(
                name=name,
                label=category(label, categories),
                predicted=category(target, categories),
                confidence=float(value.get(("confidence", name), np.nan)),
                correct=None if correct is None or np.isnan(correct) else bool(correct),
                picture=maps[f"picture/{name}"],
                mask=_mask(maps, name),
                maps={arm: maps[key] for arm, key in keys.get(name, {}).items() if only is None or arm in only},
            )
        )
    return found


def about_images(records: pd.DataFrame) -> pd.DataFrame:
    """The few records from which `pictured` tells what is known of the images: for those who call it many times."""
    first = records.loc[records["target"] >= 0, "image"].drop_duplicates().index
    return records[records["metric"].isin(["confidence", "correct"]) | records.index.isin(first)]


def strips(maps: Mapping[str, ndarray], *, n_images: int = 1) -> list[Strip]:
    """Maps along the cascade with the first seed, for the first images that have them."""
    table: dict[str, dict[Arm, dict[int, str]]] = {}
    chosen_seed: dict[Arm, int] = {}
    for key in sorted(key for key in maps if key.startswith("cascade/")):
        _, explainer, layer, seed, step, image = key.split("/", 5)
        if int(seed) != chosen_seed.setdefault((explainer, layer), int(seed)):
            continue
        table.setdefault(image, {}).setdefault((explainer, layer), {})[int(step)] = key
    names = [name for name in sorted(table) if f"picture/{name}" in maps][:n_images]
    return [
        Strip(
            name,
            maps[f"picture/{name}"],
            _mask(maps, name),
            {arm: {step: maps[key] for step, key in sorted(steps.items())} for arm, steps in table[name].items()},
        )
        for name in names
    ]


def category(index: int, categories: Sequence[str]) -> str:
    """Name of a class; "" where there is none."""
    if index < 0:
        return ""
    return str(categories[index]) if index < len(categories) else f"class {index}"


def spread_evenly(names: Sequence[str], n: int) -> list[str]:
    """Choose `n` names from first to last at equal distances, for an overview that favours none."""
    if len(names) <= n:
        return list(names)
    return unique(names[round(i)] for i in np.linspace(0, len(names) - 1, n))


def _classes(records: pd.DataFrame) -> pd.DataFrame:
    """Label and target of each image: of the row with its confidence, or of the first that knows a target.

    Rows about pairs of images know neither, and sanity checks may explain another class.
    """
    sure, columns = records["metric"] == "confidence", ["image", "label", "target"]
    known = pd.concat([records.loc[sure, columns], records.loc[records["target"] >= 0, columns]])
    return known[known["image"] != ""].drop_duplicates("image").set_index("image")


def _map_keys(maps: Mapping[str, ndarray]) -> dict[str, dict[Arm, str]]:
    found: dict[str, dict[Arm, str]] = {}
    for key in maps:
        if key.startswith("map/"):
            _, explainer, layer, image = key.split("/", 3)
            found.setdefault(image, {})[explainer, layer] = key
    return found


def _mask(maps: Mapping[str, ndarray], name: str) -> Bool[ndarray, "H W"] | None:
    key = f"mask/{name}"
    return np.asarray(maps[key]).astype(bool) if key in maps else None
