"""Does an explanation change when the labels had no meaning? The data randomization test [1]_.

A network of the same architecture is trained on the same kind of images with permuted labels, until it knows over 95 % of
them by heart: it has learned something, but nothing about classes. An explanation that is the same for both does not
depend on what the labels meant.

A low similarity alone proves little, since any retraining changes a map. So the same network is trained once more, from
the same initial weights and in the same order, on the true labels of the same images: the control.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.targets import check_targets
from xaibench.metrics.explained import explained_maps, upsampled
from xaibench.metrics.memorizing import Memorizing
from xaibench.metrics.schemes import seed_of
from xaibench.metrics.similarity import SIMILARITIES, why_undefined
from xaibench.names import pick

PERMUTED, TRUE = "permuted_labels", "true_labels"
WHOSE = ("trained model", "retrained network")


@dataclass(frozen=True)
class DataRandomization:
    """Settings of the test.

    Attributes
    ----------
    seeds : sequence of int
        Kept as a tuple; each permutes the labels and draws initial weights anew, and costs a training, or two with the
        control.
    n_train : int
        How many images are learned by heart.
    train_seed : int
        Which: for data that are drawn, the seed of the training images, so that none of them is evaluated; for a folder,
        which of its images, among them those that are evaluated.
    accuracy : float
        Share of the training labels that must be known; below it the test is not valid, and its values are NaN.
    max_epochs, learning_rate, batch_size
        As in `Memorizing`.
    control : bool
        Whether to train on the true labels, too.
    similarities : sequence of str
        Kept as a tuple; names from `SIMILARITIES`.
    rectify : bool
        Whether negative values of maps at a layer are cut off before upsampling. Maps without a layer stay signed.
    n_images : int
        How many images of a run take part.
    """

    name: ClassVar[str] = "data_randomization"
    higher_is_better: ClassVar[bool] = False

    seeds: Sequence[int] = (0,)
    n_train: int = 128
    train_seed: int = 2001
    accuracy: float = 0.95
    max_epochs: int = 60
    learning_rate: float = 1e-3
    batch_size: int = 16
    control: bool = True
    similarities: Sequence[str] = ("spearman", "spearman_abs", "ssim")
    rectify: bool = False
    n_images: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "similarities", tuple(self.similarities))
        for similarity in self.similarities:
            pick("similarity", similarity, SIMILARITIES)
        if not self.seeds or self.n_images < 1 or self.n_train < 2 or self.train_seed < 0:
            raise ValueError(
                "give at least one seed, one image to compare, two to train on and a train_seed of 0 or more; got "
                f"seeds={self.seeds}, n_images={self.n_images}, n_train={self.n_train}, train_seed={self.train_seed}"
            )
        self.memorizing(self.seeds[0])

    def memorizing(self, seed: int) -> Memorizing:
        """Return the settings of a training."""
        return Memorizing(self.accuracy, self.max_epochs, self.learning_rate, self.batch_size, seed)

    def defining(self) -> dict[str, object]:
        """Return the choices that define a value beside its seed, similarity and labels, for the record."""
        keys = ("n_train", "train_seed", "accuracy", "max_epochs", "learning_rate", "batch_size", "rectify")
        return {"name": self.name} | {key: getattr(self, key) for key in keys}


class Permutation(NamedTuple):
    """Labels dealt out anew.

    Attributes
    ----------
    labels : Tensor of int, shape (N,)
        The same labels, each as often as before.
    share_kept : float
        Share of the images that got a label equal to their own, by chance; about 1 / classes where all are as frequent.
    """

    labels: Tensor
    share_kept: float


def permuted(labels: Int[Tensor, " N"], seed: int) -> Permutation:
    """Permute labels among the images.

    Raises
    ------
    ValueError
        If all labels are equal, so that permuting them changes nothing.
    """
    if len(labels.unique()) < 2:
        raise ValueError(
            "labels must be of two classes at least: permuting equal ones changes nothing; got "
            f"{len(labels)} labels of {len(labels.unique())} class(es)"
        )
    generator = torch.Generator().manual_seed(seed_of(seed, "permuted labels"))
    shuffled = labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
    return Permutation(shuffled, (shuffled == labels).double().mean().item())


class NetworkComparison(NamedTuple):
    """How similar the maps of two networks are.

    Attributes
    ----------
    found : dict of (key, layer, similarity) to (Tensor of float64, shape (B,); list of str)
        Similarity of the two maps, NaN where undefined, and why.
    maps : dict of (key, layer) to Tensor, shape (B, h, w)
        The other network's maps at their own resolution, rectified if asked.
    """

    found: dict[tuple[str, str, str], tuple[Tensor, list[str]]]
    maps: dict[tuple[str, str], Tensor]


def compare_networks(
    honest: nn.Module,
    other: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    explainers: Mapping[str, Explainer],
    *,
    similarities: Sequence[str],
    rectify: bool,
    seed: int,
) -> NetworkComparison:
    """Compare each explainer's maps of one network with those of another, for the same images and classes.

    Two explanations for each image, and a pass of one image through each network.

    Parameters
    ----------
    honest, other : nn.Module
        Map images to logits, of the same classes; wrappers such as `nn.DataParallel` are taken off.
    images : Tensor, shape (B, C, H, W)
    targets : Tensor of int, shape (B,)
        Classes that the honest network explains.
    explainers : mapping of str to Explainer
        By the key under which values are returned. Those that draw random numbers get a generator of their own for
        each network.
    similarities : sequence of str
        Names from `SIMILARITIES`.
    rectify : bool
        As in `DataRandomization`.
    seed : int

    Raises
    ------
    ValueError
        If the networks have different numbers of classes.
    """
    networks, size = (unwrapped(honest), unwrapped(other)), (images.shape[2], images.shape[3])
    targets = _shared_targets(networks, images, targets)

    def maps(network: nn.Module, whose: str, trained: dict[tuple[str, str], Tensor] | None) -> dict:
        draws = seed_of(seed, whose)
        return explained_maps(network, images, targets, explainers, seed=draws, rectify=rectify, trained=trained)

    small = maps(networks[0], "honest", None)
    other_small = maps(networks[1], "other", small)
    first, second = (upsampled(one, explainers, size) for one in (small, other_small))
    found = {
        (*key, name): (
            SIMILARITIES[name](first[key], second[key]),
            why_undefined(name, first[key], second[key], whose=WHOSE),
        )
        for key in first
        for name in similarities
    }
    return NetworkComparison(found, other_small)


def _shared_targets(networks: tuple[nn.Module, nn.Module], images: Tensor, targets: Tensor) -> Tensor:
    logits = []
    for network in networks:
        with borrowed(network), torch.no_grad():
            logits.append(network(images[:1]))
    if logits[0].shape[1] != logits[1].shape[1]:
        raise ValueError(
            f"the two networks must know the same classes; the honest one has {logits[0].shape[1]}, "
            f"the other {logits[1].shape[1]}"
        )
    return check_targets(targets, logits[0].expand(len(targets), -1))
