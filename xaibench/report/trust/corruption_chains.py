"""Which explainers of a run are others with a share of their cells misplaced? Found from the run's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CORRUPTED = "corrupted"
"""Name of the explainer that misplaces cells, see `xaibench.explainers.corrupted`."""


@dataclass(frozen=True)
class Chain:
    """An explainer and its corrupted maps.

    Attributes
    ----------
    start : str
        The explainer's name in the records: its maps as they are.
    explainers : dict of float to list of str
        Names of the corrupted explainers by share of the cells misplaced, from small to large; several of one share
        are repetitions.
    """

    start: str
    explainers: dict[float, list[str]]

    @property
    def shares(self) -> list[float]:
        """Shares from 0 on."""
        return [0.0, *(share for share in self.explainers if share)]

    def at(self, share: float) -> list[str]:
        """Explainers with this share of their cells misplaced; at 0 the start is one."""
        return [*([self.start] if share == 0 else []), *self.explainers.get(share, [])]


def chains_of(run: Mapping[str, Any]) -> list[Chain]:
    """Chains of a run by its run.json, in the order of its explainers; none where it says nothing of them."""
    settings = run.get("settings")
    leaves = settings.get("explainer") if isinstance(settings, Mapping) else None
    found: dict[str, dict[float, list[str]]] = {}
    for name, leaf in (leaves or {}).items() if isinstance(leaves, Mapping) else ():
        if isinstance(leaf, Mapping) and leaf.get("name") == CORRUPTED:
            found.setdefault(str(leaf.get("of")), {}).setdefault(float(leaf["share"]), []).append(str(name))
    return [Chain(start, dict(sorted(shares.items()))) for start, shares in found.items()]


def corrupted_names(chains: list[Chain]) -> list[str]:
    """Explainers that are told of with their chain, and nowhere else."""
    return [name for chain in chains for names in chain.explainers.values() for name in names]
