"""What less precision costs and gains: each curve's area against float64, and the time of both, taken in turn."""

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xaibench.metrics.curve import Curve
from xaibench.metrics.curve_scores import CurveScores
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.scoring import dtype_of, evaluating, layout_of


@dataclass(frozen=True)
class AreaError:
    """How far a curve's areas lie from those of float64, over all maps where both are defined.

    Attributes
    ----------
    curve : str
        Its name.
    maps : int
        How many areas were compared.
    mean, percentile_95, largest : float
        Of the absolute difference, in units of the score; NaN where no area could be compared.
    lost : int
        Maps whose area is defined in float64 only, such as where float16 overflows.
    """

    curve: str
    maps: int
    mean: float
    percentile_95: float
    largest: float
    lost: int


@dataclass(frozen=True)
class PrecisionError:
    """Errors and speed of a copy of a model.

    Attributes
    ----------
    errors : tuple of AreaError
        One for each curve.
    speed_up : float
        Time of a batch through the model over that through the copy; above 1, the copy is faster.
    """

    errors: tuple[AreaError, ...]
    speed_up: float

    def rows(self) -> list[dict[str, object]]:
        """Return a row for each curve, fit for a table or JSON."""
        return [{**asdict(error), "speed_up": self.speed_up} for error in self.errors]


def precision_error(
    model: nn.Module,
    fast: nn.Module,
    images: Float[Tensor, "B C H W"],
    targets: Int[Tensor, " B"],
    attributions: Float[Tensor, "B M H W"],
    curves: Sequence[Curve],
    *,
    batch_size: int = 32,
    repeats: int = 5,
) -> PrecisionError:
    """Compare the areas that a fast copy gives with those of the model in float64, and the time that both take.

    The model is copied into float64 for that, so its own rounding counts neither for nor against the copy. The maps
    are given, so pixels are ranked alike.

    Parameters
    ----------
    model, fast : nn.Module
        A model, and a copy such as `inference.fast_copy` makes.
    images, targets, attributions, curves
        As `perturbation.perturbation_curves` takes them.
    batch_size : int, default 32
        Images per forward pass, of the curves and of the timing.
    repeats : int, default 5
        Timed passes of each, besides one that warms up; medians are compared.
    """
    exact = copy.deepcopy(model).double()
    wanted, found = (
        perturbation_curves(network, images, targets, attributions, curves, batch_size=batch_size)
        for network in (exact, fast)
    )
    del exact
    errors = tuple(area_error(curve.name, wanted[curve.name], found[curve.name]) for curve in curves)
    return PrecisionError(errors, speed_up(model, fast, images[0], batch_size=batch_size, repeats=repeats))


def area_error(name: str, wanted: CurveScores, found: CurveScores) -> AreaError:
    """Sum up the differences of two drawings of one curve."""
    differences = (wanted.areas.double() - found.areas.double()).abs().flatten()
    known = differences[~differences.isnan()]
    lost = int((found.areas.isnan() & ~wanted.areas.isnan()).sum())
    if not len(known):
        return AreaError(name, 0, float("nan"), float("nan"), float("nan"), lost)
    return AreaError(name, len(known), float(known.mean()), float(known.quantile(0.95)), float(known.max()), lost)


def speed_up(
    model: nn.Module,
    fast: nn.Module,
    image: Float[Tensor, "C H W"],
    *,
    batch_size: int,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Median time of a batch through the model over that through the copy, their passes taking turns."""
    networks = (model, fast)
    batches = [
        image.to(dtype_of(network) or image.dtype)
        .expand(batch_size, *image.shape)
        .contiguous(memory_format=layout_of(network))
        for network in networks
    ]
    seconds: list[list[float]] = [[], []]
    with evaluating(model), evaluating(fast):
        for _ in range(repeats + 1):
            for taken, network, batch in zip(seconds, networks, batches, strict=True):
                start = clock()
                network(batch)
                if image.device.type == "cuda":
                    torch.cuda.synchronize(image.device)
                taken.append(clock() - start)
    slow, quick = (statistics.median(taken[1:]) for taken in seconds)
    return slow / quick
