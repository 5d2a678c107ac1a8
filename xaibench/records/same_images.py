"""Which images of several runs are the same one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class _Known:
    """One image: the data sets it was found in, and what it looked like to the networks."""

    key: str
    data: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


def image_keys(
    names: Sequence[Sequence[str]],
    digests: Sequence[str],
    stored: Sequence[Mapping[str, np.ndarray]],
    labels: Sequence[str],
) -> list[dict[str, str]]:
    """Give every image of every run a key that the same images share, and no others.

    Two images are the same if they have the same name and either come from data of the same digest, or look alike
    to the last bit, picture and mask, as stored beside the maps. Where the digests differ and nothing is stored, they
    are taken for different ones: a name is no proof.

    Parameters
    ----------
    names : sequence of sequences of str
        Of each run's images.
    digests : sequence of str
        Of each run's data; "" where it is not known.
    stored : sequence of mappings
        Each run's maps, with ``picture/…`` and ``mask/…``. They are read only where the digests differ.
    labels : sequence of str
        Of the runs; tell images of one name apart.

    Returns
    -------
    list of dict
        For each run, name to key: the name itself for the first image of that name, ``name (label)`` for others.
    """
    alike = len(set(digests)) == 1 and bool(digests[0])
    known: dict[str, list[_Known]] = {}
    keys = []
    for own, digest, arrays, label in zip(names, digests, stored, labels, strict=True):
        keys.append({name: _key(name, digest, {} if alike else arrays, label, known) for name in own})
    return keys


def _key(name: str, digest: str, arrays: Mapping[str, Any], label: str, known: dict[str, list[_Known]]) -> str:
    variants = known.setdefault(name, [])
    seen = _looks(name, arrays)
    found = next((one for one in variants if digest in one.data or (seen and seen in one.seen)), None)
    if found is None:
        found = _Known(f"{name} ({label})" if variants else name)
        variants.append(found)
    found.data |= {digest} - {""}
    found.seen |= {seen} - {""}
    return found.key


def _looks(name: str, arrays: Mapping[str, np.ndarray]) -> str:
    if f"picture/{name}" not in arrays:
        return ""
    digest = hashlib.sha256()
    for part in ("picture", "mask"):
        array = arrays.get(f"{part}/{name}")
        digest.update(b"" if array is None else f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
