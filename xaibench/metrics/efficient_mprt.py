"""Does an explanation get more complex when the model forgets everything? Efficient MPRT [1]_.

All parameters are randomized at once, and the map's complexity, the entropy of the histogram of its values, is compared
with that of the trained model's map. A faithful explanation of a random function has no structure to show, so its
entropy should rise. No similarity is involved, so no smooth map can look similar by accident; but an explainer whose
maps are noise anyway has no rise, and one whose maps are complex before has little room for it.

.. [1] A. Hedström, L. Weber, S. Lapuschkin, M. Höhne, "A Fresh Look at Sanity Checks for Saliency Maps", World
   Conference on Explainable Artificial Intelligence, 2024.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, get_args

from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import unwrapped
from xaibench.explainers.explainer import Explainer
from xaibench.metrics.batch_norm import BatchNorm
from xaibench.metrics.explained import Maps, explained_maps, upsampled
from xaibench.metrics.histogram import bin_counts, checked_bins, histogram_entropy
from xaibench.metrics.randomization import randomized
from xaibench.metrics.schemes import SCHEMES, Scheme, seed_of
from xaibench.metrics.undefined import blank, why_either_undefined
from xaibench.metrics.units import Unit
from xaibench.names import pick, unknown

ZERO_ENTROPY = "entropy of the trained model's map is zero: all its pixels lie in one bin"


@dataclass(frozen=True)
class EfficientMPRT:
    """Settings of the test; bins are the paper's.

    The paper also divides maps by the root of their mean square. A positive factor moves the bins along with the
    values and changes no histogram, so there is no such choice here.

    Attributes
    ----------
    seeds : sequence of int
        Kept as a tuple; each draws all weights anew.
    bins : int or str
        Number of bins of equal width between a map's own extremes, or the name of a rule from `BIN_RULES`, which sets
        the number from the trained model's map for both maps.
    scheme : str
        Name from `SCHEMES`.
    batch_norm : {"keep", "reset", "reestimate"}
        What becomes of running statistics, see `randomized`.
    rectify : bool
        Whether negative values of maps at a layer are cut off before upsampling. Maps without a layer stay signed.
    n_images : int
        How many images of a run take part.
    """

    name: ClassVar[str] = "efficient_mprt"
    higher_is_better: ClassVar[bool] = True

    seeds: Sequence[int] = (0, 1, 2)
    bins: int | str = 100
    scheme: Scheme = "initialization"
    batch_norm: BatchNorm = "keep"
    rectify: bool = False
    n_images: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        checked_bins(self.bins)
        pick("randomization scheme", self.scheme, SCHEMES)
        if self.batch_norm not in get_args(BatchNorm):
            raise unknown("treatment of batch norm", self.batch_norm, get_args(BatchNorm))
        if not self.seeds or self.n_images < 1:
            raise ValueError(f"give at least one seed and one image; got seeds={self.seeds}, n_images={self.n_images}")

    def defining(self) -> dict[str, object]:
        """Return the choices that define a value beside its seed, for the record."""
        beside = ("seeds", "n_images")
        return {"name": self.name} | {key: value for key, value in asdict(self).items() if key not in beside}


def entropy_rise(
    original: Float[Tensor, "B H W"], randomized: Float[Tensor, "B H W"], *, bins: int | str = 100
) -> tuple[Float[Tensor, " B"], list[str]]:
    """Relative rise of a map's histogram entropy: (H(randomized) − H(original)) / H(original); at least −1.

    Parameters
    ----------
    original, randomized : Tensor, shape (B, H, W)
        Signed maps of the trained and of the randomized network, any scale.
    bins : int or str
        As in `histogram_entropy`. A rule counts bins on the original; two entropies of different numbers of bins
        could not be compared, as log(bins) is the largest.

    Returns
    -------
    values : Tensor of float64, shape (B,)
        Higher is better; 0 where nothing rises. NaN where a map is constant (no explanation; for the original, a
        division by zero) or not finite, or a rule put the whole original into one bin.
    reasons : list of str
        Why a value is NaN; "" where it is not.
    """
    counts = bin_counts(original, bins)
    before, after = histogram_entropy(original, bins=counts), histogram_entropy(randomized, bins=counts)
    reasons = [
        reason or (ZERO_ENTROPY if entropy == 0 else "")
        for reason, entropy in zip(why_either_undefined(original, randomized), before.tolist(), strict=True)
    ]
    return blank((after - before) / before, reasons), reasons


def efficient_mprt(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    explainers: Mapping[str, Explainer],
    *,
    units: Sequence[Unit],
    settings: EfficientMPRT,
    seed: int,
) -> dict[tuple[str, str], tuple[Float[Tensor, " B"], list[str]]]:
    """Measure by how much the entropy of each explainer's maps rises when the whole network is randomized.

    Two explanations for each image. The model is bit for bit what it was afterwards, also after an exception.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes); wrappers such as `nn.DataParallel` are taken off.
    images : Tensor, shape (B, C, H, W)
    targets : Tensor of int, shape (B,)
        Classes explained before and after.
    explainers : mapping of str to Explainer
        By the key under which values are returned. Those that draw random numbers get a generator of their own
        before and after.
    units : sequence of Unit
        All of `randomization_units(model, images)`; the granularity makes no difference.
    settings : EfficientMPRT
    seed : int
        One of `settings.seeds`.

    Returns
    -------
    dict of (key, layer) to (Tensor of float64, shape (B,); list of str)
        Values and reasons of `entropy_rise` on upsampled maps.
    """
    network, size = unwrapped(model), (images.shape[2], images.shape[3])

    def maps(moment: str, trained: Maps | None = None) -> Maps:
        draws, rectify = seed_of(seed, moment), settings.rectify
        return explained_maps(network, images, targets, explainers, seed=draws, rectify=rectify, trained=trained)

    before = maps("trained")
    treatment = settings.batch_norm
    with randomized(network, units, scheme=settings.scheme, seed=seed, batch_norm=treatment, images=images):
        after = maps("randomized", before)
    before, after = upsampled(before, explainers, size), upsampled(after, explainers, size)
    return {key: entropy_rise(before[key], after[key], bins=settings.bins) for key in before}
