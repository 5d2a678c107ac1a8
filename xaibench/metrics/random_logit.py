"""Does an explanation depend on the class it explains? The random logit test [1]_.

Each image is explained once more for another class, drawn at random. A map that stays the same shows what is in the
image, and not why the model answers as it does.

.. [1] L. Sixt, M. Granz, T. Landgraf, "When Explanations Lie: Why Many Modified BP Attributions Fail", ICML 2020.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.targets import check_targets
from xaibench.metrics.explained import Maps, explained_maps, upsampled
from xaibench.metrics.schemes import seed_of
from xaibench.metrics.similarity import SIMILARITIES, why_undefined
from xaibench.names import pick

WHOSE = ("target's map", "other class's map")


@dataclass(frozen=True)
class RandomLogit:
    """Settings of the test.

    Attributes
    ----------
    seeds : sequence of int
        Kept as a tuple; each draws another class for every image.
    similarities : sequence of str
        Kept as a tuple; names from `SIMILARITIES`. SSIM (the paper's) is that of the two-dimensional map.
    rectify : bool
        Whether negative values of maps at a layer are cut off before upsampling. Maps without a layer stay signed.
    n_images : int
        How many images of a run take part.
    """

    name: ClassVar[str] = "random_logit"
    higher_is_better: ClassVar[bool] = False

    seeds: Sequence[int] = (0,)
    similarities: Sequence[str] = ("ssim", "spearman")
    rectify: bool = False
    n_images: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "similarities", tuple(self.similarities))
        for similarity in self.similarities:
            pick("similarity", similarity, SIMILARITIES)
        if not self.seeds or self.n_images < 1:
            raise ValueError(f"give at least one seed and one image; got seeds={self.seeds}, n_images={self.n_images}")

    def defining(self) -> dict[str, object]:
        """Return the choices that define a value beside its seed and similarity, for the record."""
        return {"name": self.name} | {key: value for key, value in asdict(self).items() if key == "rectify"}


class LogitComparison(NamedTuple):
    """What the test gave for one seed.

    Attributes
    ----------
    found : dict of (key, layer, similarity) to (Tensor of float64, shape (B,); list of str)
        Similarity of the two maps, NaN where undefined, and why.
    targets : Tensor of int, shape (B,)
        The classes drawn.
    """

    found: dict[tuple[str, str, str], tuple[Tensor, list[str]]]
    targets: Tensor


def other_targets(
    targets: Int[Tensor, " B"], n_classes: int, *, seed: int, names: Sequence[Hashable]
) -> Int[Tensor, " B"]:
    """Draw for each image a class other than its target, all equally likely.

    Parameters
    ----------
    targets : Tensor of int, shape (B,)
    n_classes : int
        How many the model knows; at least 2.
    seed : int
    names : sequence of length B
        The images' names, or their indices in the data set: a draw depends on this and the seed alone, not on the
        rest of the batch.
    """
    if n_classes < 2:
        raise ValueError(
            f"the random logit test explains another class, but the model knows {n_classes}; leave the test out"
        )
    if len(names) != len(targets):
        raise ValueError(f"names must be one for each of {len(targets)} images; got {len(names)}")
    drawn = [_below(n_classes - 1, seed_of(seed, "random_logit", name)) for name in names]
    others = torch.tensor(drawn, dtype=targets.dtype, device=targets.device)
    return others + (others >= targets)


def random_logit(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    explainers: Mapping[str, Explainer],
    *,
    settings: RandomLogit,
    seed: int,
    names: Sequence[Hashable],
) -> LogitComparison:
    """Compare each explainer's maps of the targets with its maps of other classes.

    Two explanations for each image, and one pass of one image to count the classes.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes), two classes at least; wrappers such as `nn.DataParallel` are taken off.
    images : Tensor, shape (B, C, H, W)
    targets : Tensor of int, shape (B,)
    explainers : mapping of str to Explainer
        By the key under which values are returned. Those that draw random numbers get a generator of their own for
        each of the two maps.
    settings : RandomLogit
    seed : int
        One of `settings.seeds`.
    names : sequence of length B
        See `other_targets`.
    """
    network, size = unwrapped(model), (images.shape[2], images.shape[3])
    with borrowed(network), torch.no_grad():
        logits = network(images[:1])
    targets = check_targets(targets, logits.expand(len(targets), -1))
    others = other_targets(targets, logits.shape[1], seed=seed, names=names)

    def maps(classes: Tensor, moment: str) -> Maps:
        draws, rectify = seed_of(seed, moment), settings.rectify
        small = explained_maps(network, images, classes, explainers, seed=draws, rectify=rectify)
        return upsampled(small, explainers, size)

    first, second = maps(targets, "target"), maps(others, "other")
    found = {
        (*key, name): (
            SIMILARITIES[name](first[key], second[key]),
            why_undefined(name, first[key], second[key], whose=WHOSE),
        )
        for key in first
        for name in settings.similarities
    }
    return LogitComparison(found, others)


def _below(count: int, seed: int) -> int:
    return int(torch.randint(count, (), generator=torch.Generator().manual_seed(seed)))
