"""Short names of runs, made of what differs between them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xaibench.records.comparable import dotted


def run_labels(runs: Sequence[tuple[str, Path, Mapping[str, Any]]]) -> list[str]:
    """Name runs by what differs: experiment, model, weights, seed, images, device; else by their folders.

    Parameters
    ----------
    runs : sequence of (name, folder, run.json)
        A name that the user gave stands as it is; "" where there is none.

    Returns
    -------
    list of str
        No two alike.

    Raises
    ------
    ValueError
        If a name is given twice.
    """
    given = [name for name, _, _ in runs if name]
    double = next((name for name in given if given.count(name) > 1), None)
    if double:
        raise ValueError(f"two runs are named {double!r}; give each a name of its own")
    unnamed = [(folder, run) for name, folder, run in runs if not name]
    made = iter(_made(unnamed, taken=set(given)))
    return [name or next(made) for name, _, _ in runs]


def _made(runs: Sequence[tuple[Path, Mapping[str, Any]]], *, taken: set[str]) -> list[str]:
    labels = [""] * len(runs)
    if len(runs) == 1:
        return _numbered([runs[0][0].resolve().name], taken)
    for words in zip(*(list(_facets(folder, run)) for folder, run in runs), strict=True):
        if len(set(words)) == 1:
            continue
        labels = [", ".join(filter(None, pair)) for pair in zip(labels, words, strict=True)]
        if len(set(labels) - taken) == len(runs):
            return labels
    return _numbered([folder.resolve().name for folder, _ in runs], taken)


def _facets(folder: Path, run: Mapping[str, Any]) -> Iterator[str]:
    settings = dotted(run)
    yield str(settings.get("experiment_name", "")).replace("_", " ")
    yield str(settings.get("model.name", ""))
    yield str(settings.get("model.weights") or settings.get("model.digest", ""))[:12]
    for key in ("score", "upsampling", "inference.dtype", "target"):
        yield str(settings.get(key, ""))
    yield f"seed {settings.get('seed', '?')}"
    yield f"data seed {settings.get('data.seed', '?')}"
    yield f"{settings.get('data.n', '?')} images"
    provenance = run.get("provenance") or [{}]
    latest = provenance[-1] if isinstance(provenance, list) else provenance
    yield str(latest.get("device", ""))
    yield f"{latest.get('threads', '?')} threads"
    yield f"torch {latest.get('libraries', {}).get('torch', '?')}"
    yield folder.resolve().name


def _numbered(names: Sequence[str], taken: set[str]) -> list[str]:
    """Names made unique by a number where folders are called alike."""
    found: list[str] = []
    for name in names:
        free = (label for n in range(1, len(names) + len(taken) + 2) if (label := name if n == 1 else f"{name} #{n}"))
        found.append(next(label for label in free if label not in taken and label not in found))
    return found
