"""All maps of a batch: every explainer's, with what they cost."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xaibench.explainers.cams import CAM
from xaibench.explainers.capture import capture
from xaibench.explainers.upsample import upsample
from xaibench.shards.images import Batch, parts_of
from xaibench.shards.rows import Arm
from xaibench.workbench import Workbench


@dataclass(frozen=True, eq=False)
class Explained:
    """All maps of a batch.

    Attributes
    ----------
    maps : dict from (explainer, layer) to Tensor, shape (B, h, w)
        At the layers' own resolution.
    attributions : Tensor, shape (B, M, H, W)
        The same, upsampled, in the order of `maps`.
    forward_passes, seconds : dict from (explainer, layer) to float
        What one image's map cost; layers explained together share.
    """

    maps: Mapping[Arm, Tensor]
    attributions: Tensor
    forward_passes: Mapping[Arm, float]
    seconds: Mapping[Arm, float]

    def of(self, explainer: str) -> dict[str, Tensor]:
        """Attributions (B, H, W) of one explainer by layer."""
        return {arm[1]: self.attributions[:, m] for m, arm in enumerate(self.maps) if arm[0] == explainer}


def explain_batch(bench: Workbench, batch: Batch) -> Explained:
    """Make every explainer's maps; CAMs that want the same layers and score share one pass.

    With ``batch_size=auto`` no more images than that are explained at once; otherwise all of them are, whose number
    `shard_size` limits.
    """
    at_once = bench.batch_size if bench.settings.batch_size == "auto" else len(batch.names)
    return _joined([_explained(bench, part) for part in parts_of(batch, at_once)])


def _explained(bench: Workbench, batch: Batch) -> Explained:
    maps: dict[Arm, Tensor] = {}
    passes: dict[Arm, float] = {}
    seconds: dict[Arm, float] = {}
    attributions = []
    for group in _sharing(bench):
        start = time.perf_counter()
        made = _maps_of(bench, batch, group)
        size = (batch.images.shape[2], batch.images.shape[3])
        full = {arm: upsample(values, size, mode=bench.explainers[arm[0]].upsampling) for arm, values in made.items()}
        share = (time.perf_counter() - start) / len(made) / len(batch.names)
        cost = bench.explainers[group[0]].forward_passes() / len(made)
        for arm, values in made.items():
            maps[arm], passes[arm], seconds[arm] = values, cost, share
            attributions.append(full[arm])
    return Explained(maps, torch.stack(attributions, dim=1), passes, seconds)


def _joined(parts: Sequence[Explained]) -> Explained:
    """Put the maps of a batch's parts together; what an image cost is the mean over all."""
    if len(parts) == 1:
        return parts[0]
    n_images = [len(part.attributions) for part in parts]
    mean_seconds = {
        arm: sum(n * part.seconds[arm] for n, part in zip(n_images, parts, strict=True)) / sum(n_images)
        for arm in parts[0].maps
    }
    maps = {arm: torch.cat([part.maps[arm] for part in parts]) for arm in parts[0].maps}
    return Explained(maps, torch.cat([part.attributions for part in parts]), parts[0].forward_passes, mean_seconds)


def _sharing(bench: Workbench) -> list[list[str]]:
    """Group the explainers that one capture can serve."""
    groups: dict[object, list[str]] = {}
    for name, explainer in bench.explainers.items():
        key = (explainer.layers, explainer.score, explainer.token_grid) if isinstance(explainer, CAM) else name
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _maps_of(bench: Workbench, batch: Batch, group: Sequence[str]) -> dict[Arm, Tensor]:
    first = bench.explainers[group[0]]
    if not isinstance(first, CAM):
        found = first.informed(batch.masks).maps(bench.classifier.network, batch.images, batch.targets)
        return {(group[0], layer): values for layer, values in found.items()}
    captured = capture(
        bench.classifier.network,
        batch.images,
        first.layers,
        targets=batch.targets,
        score=first.score,
        token_grid=first.token_grid,
    )
    cams = {name: explainer for name in group if isinstance(explainer := bench.explainers[name], CAM)}
    return {(name, layer): values for name, cam in cams.items() for layer, values in cam.maps_of(captured).items()}
