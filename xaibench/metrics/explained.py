"""Maps of several explainers for one state of a network, which may be a randomized one that overflows."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.cams import CAM
from xaibench.explainers.errors import NonFiniteOutput
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.smoothed import Smoothed
from xaibench.explainers.upsample import upsample
from xaibench.metrics.schemes import seed_of

Maps = dict[tuple[str, str], Tensor]
"""By explainer's key and layer; (B, h, w)."""


def explained_maps(
    network: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    explainers: Mapping[str, Explainer],
    *,
    seed: int,
    rectify: bool,
    trained: Maps | None = None,
) -> Maps:
    """Explain a batch with every explainer, at the maps' own resolution.

    Parameters
    ----------
    network : nn.Module
        Maps images to logits (B, classes).
    images : Tensor, shape (B, C, H, W)
    targets : Tensor of int, shape (B,)
        Classes to explain.
    explainers : mapping of str to Explainer
        By the key under which their maps are returned.
    seed : int
        Explainers that draw random numbers get a generator of their own, seeded by this and their key.
    rectify : bool
        Whether negative values of class activation maps are cut off, see `rectifiable`. Others stay signed.
    trained : dict of (key, layer) to Tensor, optional
        The trained network's maps. Given them, images at which this network overflows get maps of NaN; without
        them, that is an error.

    Raises
    ------
    NonFiniteOutput
        If the trained network itself puts out NaN or infinity.
    """
    maps: Maps = {}
    for key, explainer in explainers.items():
        generator = torch.Generator().manual_seed(seed_of(seed, key))
        expected = {layer: values for (name, layer), values in (trained or {}).items() if name == key}
        for layer, values in _finite_maps(explainer, network, images, targets, generator, expected).items():
            maps[key, layer] = values.relu() if rectify and rectifiable(explainer) else values
    return maps


def rectifiable(explainer: Explainer) -> bool:
    """Whether the explainer is of the CAM family, whose papers show positive evidence only; smoothed or not."""
    return isinstance(explainer.explainer if isinstance(explainer, Smoothed) else explainer, CAM)


def upsampled(maps: Maps, explainers: Mapping[str, Explainer], size: tuple[int, int]) -> Maps:
    """Bring all maps to the images' `size`, each as its explainer does; (B, H, W)."""
    return {
        (key, layer): upsample(values, size, mode=explainers[key].upsampling) for (key, layer), values in maps.items()
    }


def _finite_maps(
    explainer: Explainer,
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    expected: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Explain all images, with NaN for those at which the randomized network overflows."""
    try:
        return explainer.maps(network, images, targets, generator=generator)
    except NonFiniteOutput as error:
        if not expected:
            raise  # the trained model itself
        kept = [i for i in range(len(images)) if i not in error.indices]
        maps = {layer: torch.full_like(values, torch.nan) for layer, values in expected.items()}
        if kept:
            for layer, values in explainer.maps(network, images[kept], targets[kept], generator=generator).items():
                maps[layer][kept] = values
        return maps
