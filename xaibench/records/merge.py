"""Several run folders as one table, and what in them may be compared.

Rules stand in `comparable`; what they come to, run by run:

==================  ==============================  ====================================================================
set-up and images   seed or machine                 how they are merged
==================  ==============================  ====================================================================
other set-up, same  any                             paired, image by image
images
same set-up, same   the same seeds                  a repetition, perhaps on another machine: values must agree but for
images                                              rounding, and count once
same set-up, same   another seed                    seeds are a second level beside the images
images
same set-up, other  any                             more images of one configuration: pooled
images
other set-up,       any                             not comparable
other images
any                 any                             times stand side by side
==================  ==============================  ====================================================================
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from xaibench.records.comparable import (
    conflicts,
    differences,
    dotted,
    family,
    metric_settings,
    other_seeds,
    population,
    told,
)
from xaibench.records.run_folders import named_folder, open_run, refuse_copies, refuse_doubles
from xaibench.records.run_labels import run_labels
from xaibench.records.same_images import image_keys
from xaibench.records.table import MEASURED_METRICS

LEFT_OUT_COLUMNS = ["run", "what", "why"]


class NotComparable(ValueError):
    """Nothing in the runs can be compared; the message says why, with the settings that differ."""


@dataclass(frozen=True)
class MergedRun:
    """One of the runs.

    Attributes
    ----------
    label : str
        Its name in tables, pictures and sentences.
    folder : Path
    run : dict
        The contents of run.json.
    settings : dict
        `dotted` settings.
    """

    label: str
    folder: Path
    run: dict[str, Any] = field(repr=False)
    settings: dict[str, Any] = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.run.get("finished"))

    def same_draw(self, other: "MergedRun") -> bool:
        """Whether all seeds that both have are the same, and the run's own known of both or of neither."""
        alike = ("seed" in self.settings) == ("seed" in other.settings)
        return alike and not other_seeds(self.settings, other.settings)


@dataclass(frozen=True)
class Merged:
    """Runs in one table.

    Attributes
    ----------
    records : DataFrame
        `run`, the columns of `Record` and `shard`; only what another run shares. Equal images have equal names, and others
        other ones.
    runs : list of MergedRun
        In the order given; the first is what the others are compared with.
    set_ups : list of list of str
        Labels of the runs of each set-up.
    left_out : DataFrame
        Columns `run`, `what`, `why`.
    """

    records: pd.DataFrame
    runs: list[MergedRun]
    set_ups: list[list[str]]
    left_out: pd.DataFrame

    @property
    def set_up_labels(self) -> list[str]:
        """A name of each set-up: that of its run, or what those of its runs have in common."""
        common = [", ".join(_shared_parts(group)) for group in self.set_ups]
        names = [
            group[0] if len(group) == 1 else f"{words} ({len(group)} runs)" if words else " + ".join(group)
            for words, group in zip(common, self.set_ups, strict=True)
        ]
        return names if len(set(names)) == len(names) else [" + ".join(group) for group in self.set_ups]

    def set_up_of(self, run: str) -> str:
        """Name of a run's set-up."""
        place = next(place for place, group in enumerate(self.set_ups) if run in group)
        return self.set_up_labels[place]

    def draws(self, group: Sequence[str]) -> list[list[str]]:
        """A set-up's runs by their seeds: those of one list repeat each other, wherever they share images."""
        draws: list[list[str]] = []
        for run in group:
            own = (draw for draw in draws if all(self[run].same_draw(self[other]) for other in draw))
            draw = next(own, None)
            if draw is None:
                draws.append([run])
            else:
                draw.append(run)
        return draws

    def __getitem__(self, label: str) -> MergedRun:
        return next(run for run in self.runs if run.label == label)


def merge(folders: Sequence[Path | str]) -> Merged:
    """Read runs and put what is comparable into one table.

    Parameters
    ----------
    folders : sequence of path
        At least two run folders; ``NAME=FOLDER`` names one.

    Raises
    ------
    ValueError
        For fewer than two folders, one that holds no run (with what is near), or the same run twice.
    NotComparable
        If nothing is left to compare.
    """
    named = [named_folder(word) for word in folders]
    if len(named) < 2:
        raise ValueError("a comparison takes two runs or more: xaibench compare RUN_A RUN_B")
    refuse_doubles([path for _, path in named])
    opened = [open_run(path) for _, path in named]
    labels = run_labels([(name, folder.path, folder.run) for (name, _), folder in zip(named, opened, strict=True)])
    runs = [MergedRun(label, one.path, one.run, dotted(one.run)) for label, one in zip(labels, opened, strict=True)]
    tables = [folder.records() for folder in opened]
    refuse_copies([run.folder for run in runs], tables)
    images = [sorted(set(table["image"]) - {""}) for table in tables]
    digests = [str(run.settings.get("data.digest", "")) for run in runs]
    keys = image_keys(images, digests, [folder.maps() for folder in opened], labels)
    tables = [table.assign(image=table["image"].map({**own, "": ""})) for table, own in zip(tables, keys, strict=True)]
    return _merged(runs, tables, [set(own.values()) for own in keys])


def _merged(runs: list[MergedRun], tables: list[pd.DataFrame], images: list[set[str]]) -> Merged:
    groups = _set_ups(runs, images)
    left_out = [*_other_targets(runs), *_other_images(runs, images, groups)]
    without = {label for label, _, _ in left_out}
    records = pd.concat(
        [table.assign(run=run.label) for run, table in zip(runs, tables, strict=True)], ignore_index=True
    )
    records = records[["run", *records.columns.drop("run")]]
    families = _families(records)
    records = records[families.eq("timing") | ~records["run"].isin(without)]
    families = families.loc[records.index]
    checked = sorted(set(records.loc[families.eq("sanity"), "run"]), key=[run.label for run in runs].index)
    left_out += [(label, "sanity checks", "their verdicts stand on the page of each run") for label in checked]
    records, families = records[~families.eq("sanity")], families[~families.eq("sanity")]
    scores = records[~families.eq("timing")]
    left_out += [*_other_conventions(scores), *_alone(scores, runs)]
    gone = {(label, metric) for label, metric, _ in left_out}
    pairs = zip(records["run"], records["metric"], strict=True)
    kept = pd.Series([pair not in gone for pair in pairs], index=records.index, dtype=bool)
    records, families = records[kept], families[kept]
    left_out += _untimed(records, runs)
    lost = pd.DataFrame(left_out, columns=LEFT_OUT_COLUMNS)
    timed = set(records.loc[records["metric"] == "milliseconds", "run"])
    if len(timed) < 2 and families.isin(["timing", "run", "image"]).all():
        raise NotComparable(_refusal(lost))
    return Merged(records.reset_index(drop=True), runs, [[runs[i].label for i in group] for group in groups], lost)


def _families(records: pd.DataFrame) -> pd.Series:
    """Family of each record's metric; ``image`` for what says whether an image was used."""
    known = records[["metric", "settings"]].drop_duplicates("metric").itertuples(index=False)
    found = {metric: "timing" if metric in MEASURED_METRICS else family(metric, settings) for metric, settings in known}
    return records["metric"].map(found | {"image": "image"})


def _untimed(records: pd.DataFrame, runs: Sequence[MergedRun]) -> Iterator[tuple[str, str, str]]:
    """Times of the only run that has some."""
    timed = set(records.loc[records["metric"] == "milliseconds", "run"])
    if len(timed) == 1:
        why = "no other run has them" if len(runs) > 2 else "the other run does not have them"
        yield timed.pop(), "times", why


def _set_ups(runs: Sequence[MergedRun], images: Sequence[set[str]]) -> list[list[int]]:
    """Group runs of one configuration whose images are the same, or drawn from one population."""
    groups: list[list[int]] = []
    for i, run in enumerate(runs):

        def fits(j: int, i: int = i, run: MergedRun = run) -> bool:
            same = bool(images[i]) and images[i] == images[j]
            together = same or population(run.settings) == population(runs[j].settings)
            return together and not conflicts(runs[j].settings, run.settings)

        group = next((group for group in groups if all(fits(j) for j in group)), None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    return groups


def _other_targets(runs: Sequence[MergedRun]) -> Iterator[tuple[str, str, str]]:
    first = runs[0]
    for run in runs[1:]:
        found = {key: pair for key, pair in differences(first.settings, run.settings).items() if key == "target"}
        if found:
            yield run.label, "all scores", f"another class is explained than in {first.label}: {told(found)}"


def _other_images(
    runs: Sequence[MergedRun], images: Sequence[set[str]], groups: Sequence[Sequence[int]]
) -> Iterator[tuple[str, str, str]]:
    of = {i: number for number, group in enumerate(groups) for i in group}
    for i, run in enumerate(runs):
        others = [j for j in range(len(runs)) if j != i]
        if not images[i] or any(of[i] == of[j] or images[i] & images[j] for j in others):
            continue
        other = runs[others[0]]
        data = {
            key: pair
            for key, pair in differences(other.settings, run.settings).items()
            if key.startswith("data.") and key != "data.digest"
        }
        where = told(data or {"data.digest": (other.settings.get("data.digest"), run.settings.get("data.digest"))})
        apart = conflicts(other.settings, run.settings)
        pooled = (
            f"nor can they be pooled, as the configurations differ ({told(apart)})"
            if apart
            else ("nor can they be pooled, as they are drawn from elsewhere")
        )
        yield run.label, "all scores", f"no image in common with {other.label} ({where}), {pooled}"


def _other_conventions(records: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Metrics whose settings are not those of the first run that has them."""
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for label, rows in records.groupby("run", sort=False):
        for metric, settings in metric_settings(rows).items():
            known_by, known = first.setdefault(metric, (str(label), settings))
            found = {f"metric.{metric}.{key}": pair for key, pair in differences(known, settings).items()}
            if found:
                yield str(label), metric, f"measured otherwise than in {known_by}: {told(found)}"


def _alone(records: pd.DataFrame, runs: Sequence[MergedRun]) -> Iterator[tuple[str, str, str]]:
    """Metrics of one run only."""
    others = dict.fromkeys((label, metric) for label, metric, _ in _other_conventions(records))
    pairs = records[["run", "metric"]].drop_duplicates()
    comparable = [pair for pair in pairs.itertuples(index=False, name=None) if pair not in others]
    for label, metric in comparable:
        if metric != "image" and not any(one != label and other == metric for one, other in comparable):
            yield label, metric, "no other run has it" if len(runs) > 2 else "the other run does not have it"


def _shared_parts(labels: Sequence[str]) -> list[str]:
    """Parts that all labels have: ``resnet18`` of ``resnet18, seed 0`` and ``resnet18, seed 1``."""
    first, *others = [label.split(", ") for label in labels]
    return [part for part in first if all(part in other for other in others)]


def _refusal(left_out: pd.DataFrame) -> str:
    whole = left_out[left_out["what"] == "all scores"]
    shown = whole if len(whole) else left_out
    reasons = [f"{what} of {run}: {why}" for run, what, why in shown.itertuples(index=False)]
    more = [f"… ({len(reasons)} in all)"] if len(reasons) > 5 else []
    return "\n  ".join(["the runs have nothing to compare", *reasons[:5], *more])
