"""Which class is explained: models that take their own prediction for the target may explain different ones of an image."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import pandas as pd

from xaibench.records.merge import Merged
from xaibench.report.wording import counted

Targets = Mapping[str, frozenset[int]]


def targets_of(merged: Merged, rows: pd.DataFrame) -> dict[str, Targets]:
    """Classes explained in each set-up, by image; rows that explain none (target -1) tell nothing."""
    known = rows[(rows["image"] != "") & (rows["target"] >= 0)]
    found: dict[str, Targets] = {}
    for label, group in zip(merged.set_up_labels, merged.set_ups, strict=True):
        own = known[known["run"].isin(group)].groupby("image")["target"]
        found[label] = {str(image): frozenset(map(int, targets)) for image, targets in own}
    return found


def other_class(one: Targets, other: Targets, images: Iterable[str]) -> list[str]:
    """Those of the images for which the one set-up explains another class than the other."""
    return [image for image in images if image in one and image in other and one[image] != other[image]]


def class_sentences(merged: Merged) -> Iterator[str]:
    """On how many images two set-ups explain different classes; nothing where it is on none."""
    for (first, one), (second, other) in combinations(targets_of(merged, merged.records).items(), 2):
        shared = [image for image in one if image in other]
        if unlike := other_class(one, other, shared):
            yield (
                f"On {len(unlike)} of {counted(len(shared), 'image')}, {second} explains another class than {first}; the "
                "images stay paired, so that a difference there is one of the class, too."
            )
