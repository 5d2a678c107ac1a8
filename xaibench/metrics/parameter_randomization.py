"""Does an explanation change when the model forgets what it learned? The parameter randomization test [1]_.

Unit by unit, parameters are replaced by random ones, and each explainer's map is compared with its map of the trained
model. A map that stays similar does not depend on what was learned there. Step 0 is the trained model itself: its
similarity is 1 by definition and belongs to no average. With several noisy copies of each image it is Smooth MPRT [2]_,
which takes the noise of shattered gradients out of the comparison.

.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
.. [2] A. Hedström, L. Weber, S. Lapuschkin, M. Höhne, "A Fresh Look at Sanity Checks for Saliency Maps", World
   Conference on Explainable Artificial Intelligence, 2024.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.explainers.borrowed import borrowed, unwrapped
from xaibench.explainers.explainer import Explainer
from xaibench.explainers.smoothed import Smoothed
from xaibench.metrics.batch_norm import BatchNorm
from xaibench.metrics.explained import Maps, explained_maps, upsampled
from xaibench.metrics.randomization import Order, cascade
from xaibench.metrics.reuse import Reuse, outputs_reused
from xaibench.metrics.schemes import SCHEMES, Scheme, seed_of
from xaibench.metrics.settled import Folds, folded_when_settled
from xaibench.metrics.similarity import SIMILARITIES, why_undefined
from xaibench.metrics.units import Granularity, Unit
from xaibench.names import pick, unknown


@dataclass(frozen=True)
class ParameterRandomization:
    """Settings of the test; the defaults are the paper's except for the scheme and the number of images.

    Attributes
    ----------
    order : {"top_down", "bottom_up", "independent"}
        See `cascade`.
    granularity : {"block", "module", "stage"}
        See `randomization_units`.
    scheme : str
        Name from `SCHEMES`; the paper's is ``truncated_normal``.
    batch_norm : {"keep", "reset", "reestimate"}
        What becomes of running statistics, see `randomized`.
    seeds : sequence of int
        Kept as a tuple; each draws all weights anew.
    similarities : sequence of str
        Kept as a tuple; names from `SIMILARITIES`.
    target : {"fixed", "repredicted"}
        Whether the trained model's class is explained throughout, or at each step the class predicted then (the
        paper's code).
    rectify : bool
        Whether negative values of class activation maps are cut off before upsampling, as in Grad-CAM. Other maps stay
        signed.
    n_samples : int
        Copies of each image over which an explanation is averaged, the last of them clean; 1 explains the image
        itself. Smooth MPRT has 50.
    noise_level : float
        Standard deviation of the other copies' Gaussian noise, as a fraction of the image's range. Every step sees the
        same noise.
    n_images : int
        How many images of a run take part.
    n_pairs : int
        How many pairs of random maps calibrate each similarity, see `random_map_pairs`.
    reuse : bool
        Whether outputs before the shallowest randomized unit are kept instead of computed again; the numbers are the
        same.
    fold : bool
        Whether batch norm is folded into its convolution where both have been randomized for good; the numbers move by
        rounding.
    """

    name: ClassVar[str] = "parameter_randomization"
    higher_is_better: ClassVar[bool] = False

    order: Order = "top_down"
    granularity: Granularity = "block"
    scheme: Scheme = "initialization"
    batch_norm: BatchNorm = "keep"
    seeds: Sequence[int] = (0, 1, 2)
    similarities: Sequence[str] = ("spearman", "spearman_abs", "ssim")
    target: Literal["fixed", "repredicted"] = "fixed"
    rectify: bool = True
    n_samples: int = 1
    noise_level: float = 0.1
    n_images: int = 8
    n_pairs: int = 64
    reuse: bool = True
    fold: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "similarities", tuple(self.similarities))
        choices = {"order": Order, "granularity": Granularity, "batch_norm": BatchNorm}
        for key, literal in choices.items():
            if getattr(self, key) not in get_args(literal):
                raise unknown(key, getattr(self, key), get_args(literal))
        if self.target not in ("fixed", "repredicted"):
            raise unknown("target of the randomization", self.target, ("fixed", "repredicted"))
        pick("randomization scheme", self.scheme, SCHEMES)
        for similarity in self.similarities:
            pick("similarity", similarity, SIMILARITIES)
        if not self.seeds or self.n_images < 1:
            raise ValueError(f"give at least one seed and one image; got seeds={self.seeds}, n_images={self.n_images}")
        for count in ("n_samples", "n_pairs"):
            if getattr(self, count) < 1:
                raise ValueError(f"{count} of the randomization must be at least 1; got {getattr(self, count)}")
        if not 0 <= self.noise_level < math.inf:
            raise ValueError(f"noise_level must be a fraction of the image's range, 0 or more; got {self.noise_level}")

    def defining(self) -> dict[str, object]:
        """Return the choices that define a value beside its seed and similarity, for the record."""
        beside = ("seeds", "n_images", "n_pairs", "reuse", "fold", "similarities")
        return {"name": self.name} | {key: value for key, value in asdict(self).items() if key not in beside}

    def smoothed(self, explainers: Mapping[str, Explainer], *, seed: int) -> dict[str, Explainer]:
        """Return the explainers that are run at every step: these, or each averaged over noisy copies.

        Their `forward_passes` are those of one step.
        """
        if self.n_samples == 1:
            return dict(explainers)
        n_samples, noise_level, draws = self.n_samples, self.noise_level, seed_of(seed, "noise")
        return {
            key: Smoothed(explainer, n_samples=n_samples, noise_level=noise_level, clean_last=True, seed=draws)
            for key, explainer in explainers.items()
        }


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one step of one seed's cascade gave.

    Attributes
    ----------
    step : int
        0 is the trained model compared with itself: 1 where defined, to be kept out of averages.
    module : str
        Name of the unit randomized last; "" at step 0.
    seed : int
    targets : Tensor of int, shape (B,)
        Classes explained at this step.
    similarities : dict of (key, layer, similarity) to Tensor, shape (B,)
        NaN where undefined.
    reasons : dict of (key, layer, similarity) to list of str
        Why, by image; "" where defined.
    maps : dict of (key, layer) to Tensor, shape (B, h, w)
        The step's maps at their own resolution, rectified and smoothed as `settings` say.
    unchanged : tuple of str
        Parameters of the unit that the scheme left as they were.
    seconds : float
        Wall time of the step: drawing, explaining, comparing.
    """

    step: int
    module: str
    seed: int
    targets: Tensor
    similarities: dict[tuple[str, str, str], Tensor]
    reasons: dict[tuple[str, str, str], list[str]]
    maps: Maps
    unchanged: tuple[str, ...]
    seconds: float


def randomization_similarities(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    explainers: Mapping[str, Explainer],
    *,
    units: Sequence[Unit],
    settings: ParameterRandomization,
    seed: int,
) -> Iterator[StepResult]:
    """Compare maps along one cascade with those of the trained model.

    The model is bit for bit what it was when the iteration ends or is closed; while it goes on, the model is in the
    state of the step last given.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes); wrappers such as `nn.DataParallel` are taken off.
    images : Tensor, shape (B, C, H, W)
        One batch: all steps keep its activations at hand.
    targets : Tensor of int, shape (B,)
        Classes to explain; for ``target="repredicted"`` used by nobody.
    explainers : mapping of str to Explainer
        By the key under which their maps are compared and returned. Those that draw random numbers get a generator of
        their own at each step.
    units : sequence of Unit
        From `randomization_units(model, images, granularity=settings.granularity)`.
    settings : ParameterRandomization
    seed : int
        One of `settings.seeds`.

    Yields
    ------
    StepResult
        For the trained model, then for each unit.
    """
    network = unwrapped(model)
    steps_to_come = cascade(
        network,
        units,
        order=settings.order,
        scheme=settings.scheme,
        seed=seed,
        batch_norm=settings.batch_norm,
        images=images,
    )
    convolves = images.device.type == "cpu" and any(isinstance(module, nn.Conv2d) for module in network.modules())
    if convolves:
        images = images.contiguous(memory_format=torch.channels_last)
    explainers = settings.smoothed(explainers, seed=seed)
    size, rectify = (images.shape[2], images.shape[3]), settings.rectify
    compare = _Comparison(settings.similarities)
    trained: Maps = {}
    layout = _weights_channels_last(network) if convolves else nullcontext()
    with (
        layout,
        _reusing(network, settings) as reuse,
        _folding(network, settings) as folds,
        closing(steps_to_come) as steps,
    ):
        started = time.perf_counter()
        for step in steps:
            names = [name for unit in step.randomized for name in (*unit.parameters, *unit.buffers)]
            if reuse is not None:
                reuse.touch(names, forget=settings.order == "top_down")
            if folds is not None:
                folds.settle(names)
            if settings.target == "repredicted":
                targets = _predicted(network, images)
            draws = seed_of(seed, "maps", step.number)
            maps = explained_maps(network, images, targets, explainers, seed=draws, rectify=rectify, trained=trained)
            trained = trained or maps
            values, reasons = compare(upsampled(maps, explainers, size))
            module, seconds = step.unit.name if step.unit else "", time.perf_counter() - started
            yield StepResult(step.number, module, seed, targets, values, reasons, maps, step.unchanged, seconds)
            started = time.perf_counter()


@contextmanager
def _weights_channels_last(network: nn.Module) -> Iterator[None]:
    """Lay the kernels out so that a CPU convolves fastest; afterwards each has the very memory that it had."""
    shared = Counter(p.untyped_storage().data_ptr() for p in network.parameters())
    kernels = [p for p in network.parameters() if p.ndim == 4 and shared[p.untyped_storage().data_ptr()] == 1]
    memories = [p.data for p in kernels]
    try:
        for kernel in kernels:
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        for kernel, memory in zip(kernels, memories, strict=True):
            kernel.data = memory


def _reusing(network: nn.Module, settings: ParameterRandomization) -> AbstractContextManager[Reuse | None]:
    # Bottom-up, everything comes after what is randomized; re-estimated statistics change layers that no unit tells of.
    worth = settings.reuse and settings.order != "bottom_up" and settings.batch_norm != "reestimate"
    return outputs_reused(network) if worth else nullcontext(None)


def _folding(network: nn.Module, settings: ParameterRandomization) -> AbstractContextManager[Folds | None]:
    # Independently randomized units are put back at the next step; re-estimated statistics change at every one.
    worth = settings.fold and settings.order != "independent" and settings.batch_norm != "reestimate"
    return folded_when_settled(network) if worth else nullcontext(None)


def _predicted(network: nn.Module, images: Tensor) -> Tensor:
    with borrowed(network), torch.no_grad():
        return network(images).argmax(dim=1)


class _Comparison:
    """Compares attributions with the first ones it was given, which it describes once."""

    def __init__(self, similarities: Sequence[str]) -> None:
        self._similarities = similarities
        self._first: Maps = {}
        self._described: dict[tuple[str, str, str], Tensor] = {}

    def __call__(
        self, attributions: Maps
    ) -> tuple[dict[tuple[str, str, str], Tensor], dict[tuple[str, str, str], list[str]]]:
        values, reasons = {}, {}
        for (explainer, layer), these in attributions.items():
            first = self._first.setdefault((explainer, layer), these)
            for name in self._similarities:
                key = (explainer, layer, name)
                description = SIMILARITIES[name].describe(these)
                described = self._described.setdefault(key, description)
                values[key] = SIMILARITIES[name].compare(described, description)
                reasons[key] = why_undefined(name, first, these)
        return values, reasons
