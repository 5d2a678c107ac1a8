"""What an explanation costs, phase by phase and layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import nan
from statistics import median, quantiles
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor, nn

from xaibench.explainers.borrowed import random_state_restored, unwrapped
from xaibench.explainers.cams import CAM_CLASSES
from xaibench.explainers.capture import find_layers
from xaibench.explainers.token_grids import TokenGrid
from xaibench.names import pick
from xaibench.timing import works
from xaibench.timing.clock import Clock, clock_for, coarseness
from xaibench.timing.conditions import device_name
from xaibench.timing.laps import Work, metered
from xaibench.timing.memory import MemoryMeter, meter_for
from xaibench.timing.needs import Needs, needs_of
from xaibench.timing.predicted import captured_mib
from xaibench.timing.schedule import Repetitions, repeat_interleaved
from xaibench.timing.vocabulary import INFERENCE, joint_name


@dataclass(frozen=True)
class PhaseTiming:
    """One phase's cost at one layer.

    Attributes
    ----------
    layer : str
        "" for the phases that belong to no layer (`inference`, `full_backward`); the names joined by ``+`` for all
        layers explained together.
    phase : str
        A key of `xaibench.timing.vocabulary.PHASES`.
    milliseconds : tuple of float
        Milliseconds an image of every repetition, in order; outliers are kept.
    ratio_to_inference : float
        Median over the median of plain inference; NaN where that one is zero.
    peak_memory_mib : float
        Most MiB held during the phase above what was held before its path began, for the whole batch, in one run of
        its own; what the phases before it left behind, such as the graph, is in it.
    memory_method : str
        How the peak was found.
    device : str
        ``cuda (…)`` or ``cpu (…)`` with the product's name.
    clock : str
        How time was taken.
    n_images : int
        Images in the batch.
    positions : tuple of int
        Place of each repetition in the order of all timed runs, to see drift.
    warmup_runs : int
        Runs before the first one counted.
    reason : str
        What makes the value doubtful; "" where nothing does.
    reserved_memory_mib : float
        Most MiB that the device's allocator kept in the meantime, in all; NaN on a CPU.
    needs : Needs
        What the phase needs on any machine.
    captured_mib : float
        MiB of the layers' outputs and gradients, which an explanation keeps; NaN where there is no layer.
    """

    layer: str
    phase: str
    milliseconds: tuple[float, ...]
    ratio_to_inference: float
    peak_memory_mib: float
    memory_method: str
    device: str
    clock: str
    n_images: int
    positions: tuple[int, ...]
    warmup_runs: int
    reason: str = ""
    reserved_memory_mib: float = nan
    needs: Needs = field(default_factory=Needs)
    captured_mib: float = nan

    @property
    def median_ms(self) -> float:
        """Median milliseconds an image."""
        return median(self.milliseconds)

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """First and third quartile of the milliseconds an image, linearly interpolated; equal for one repetition."""
        if len(self.milliseconds) == 1:
            return self.milliseconds[0], self.milliseconds[0]
        first, _, third = quantiles(self.milliseconds, n=4, method="inclusive")
        return first, third


def time_explanation_path(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    layers: Sequence[str],
    *,
    targets: Int64[Tensor, " B"],
    method: str = "grad_cam",
    score: str = "logit",
    upsampling: str = "bilinear",
    token_grid: TokenGrid | None = None,
    repeats: int = 20,
    warmup: int = 10,
    max_seconds: float = 60.0,
    counted: bool = True,
    clock: Clock | None = None,
    meter: MemoryMeter | None = None,
) -> list[PhaseTiming]:
    """Time plain inference, the explanation of each layer and of all together, and the full backward pass.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits (B, classes); run in evaluation mode. Modes, flags, hooks, parameter gradients and torch's
        global random state are as before afterwards, also after an exception.
    images : Tensor, shape (B, C, H, W)
        On the model's device, B at least 1. Precision and memory format are timed as they come.
    layers : sequence of str
        Dotted module names, each once.
    targets : Tensor of int64, shape (B,)
        Classes to explain.
    method, score, upsampling : str
        As in `xaibench.explainers.explain`; maps are rectified, as for display.
    token_grid : function, optional
        As in `xaibench.explainers.capture.capture`, for layers that put out tokens.
    repeats, warmup, max_seconds : int, int, float
        As in `repeat_interleaved`.
    counted : bool
        Whether to count operations, bytes and predicted memory, too: one more run of each piece of work, eagerly.
    clock, meter : Clock, MemoryMeter, optional
        By default those that `clock_for` and `meter_for` choose for the images' device.

    Returns
    -------
    list of PhaseTiming
        `inference` first; then for each layer, and where there are several for all of them together, `explanation`, the
        phases of the path, which add up to it, and `forward_without_hooks`, in this order of running; the two full
        backward passes last.

    Raises
    ------
    ValueError
        If there is no image, no layer, one layer twice, no repetition, or model and images are on different devices.
    UnknownName
        If a layer, method, score or upsampling does not exist.
    LayerError, NonFiniteOutput
        As in `capture`, before anything is timed.
    """
    _check(model, images, layers)
    if clock is None:
        clock = clock_for(images.device)
    images = images.detach()
    with random_state_restored(images.device):
        options: dict[str, Any] = {"score": score, "upsampling": upsampling, "token_grid": token_grid}
        pieces = _works(model, images, layers, targets=targets, method=method, options=options)
        timings = repeat_interleaved(pieces, clock, repeats=repeats, warmup=warmup, max_seconds=max_seconds)
        with meter or meter_for(images.device) as meter:
            memory = [metered(piece, meter) for piece in pieces]
        needs = [needs_of(piece, model, images) if counted else {} for piece in pieces]
        captured = captured_mib(model, images, layers, token_grid=token_grid) if counted else {}
    if captured:
        captured[joint_name(tuple(layers))] = sum(captured.values())
    inference_ms = median(timings[0].milliseconds[INFERENCE])
    row = partial(_summarized, images=images, clock=clock, meter=meter, inference_ms=inference_ms, repeats=repeats)
    return [
        replace(row(timing, phase, peak), needs=found.get(phase, Needs()), captured_mib=captured.get(layer, nan))
        for layer, timing, peaks, found in zip((p.layer for p in pieces), timings, memory, needs, strict=True)
        for phase, peak in peaks.items()
    ]


def _works(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    *,
    targets: Tensor,
    method: str,
    options: Mapping[str, Any],
) -> list[Work]:
    """All pieces of work, plain inference first; `options` are the explainer's."""
    kind = pick("method", method, CAM_CLASSES)
    groups = [(layer,) for layer in layers] + ([tuple(layers)] if len(layers) > 1 else [])
    found = [works.inference(model, images)]
    for group in groups:
        explainer = kind(group, rectify=True, **options)
        # the path stands between the two that it is compared with, run by run
        found.append(works.explanation(model, images, targets, explainer))
        found.append(works.explanation_path(model, images, targets, explainer))
        found.append(works.forward_without_hooks(model, images, group))
    full = (works.backward_to_input, works.full_backward)
    return [*found, *(backward(model, images, targets, score=options["score"]) for backward in full)]


def _summarized(
    timing: Repetitions,
    phase: str,
    memory_mib: tuple[float, float],
    *,
    images: Tensor,
    clock: Clock,
    meter: MemoryMeter,
    inference_ms: float,
    repeats: int,
) -> PhaseTiming:
    durations = timing.milliseconds[phase]
    return PhaseTiming(
        layer=timing.work.layer,
        phase=phase,
        milliseconds=tuple(duration / len(images) for duration in durations),
        ratio_to_inference=median(durations) / inference_ms if inference_ms > 0 else nan,
        peak_memory_mib=memory_mib[0],
        reserved_memory_mib=memory_mib[1],
        memory_method=meter.method,
        device=device_name(images.device),
        clock=clock.name,
        n_images=len(images),
        positions=tuple(timing.positions),
        warmup_runs=len(timing.warmup_ms),
        reason="; ".join(_doubts(timing, median(durations), clock, repeats=repeats)),
    )


def _doubts(timing: Repetitions, duration_ms: float, clock: Clock, *, repeats: int) -> list[str]:
    """What makes a phase's value doubtful."""
    done, warmed = len(timing.positions), len(timing.warmup_ms)
    doubts = [
        coarseness(duration_ms, clock),
        "" if timing.warm else f"not yet warm after {warmed} warm-up runs",
        "" if done == repeats else f"max_seconds left time for {done} of {repeats} repetitions",
    ]
    return [doubt for doubt in doubts if doubt]


def _check(model: nn.Module, images: Tensor, layers: Sequence[str]) -> None:
    find_layers(unwrapped(model), layers)
    twice = sorted({layer for layer in layers if list(layers).count(layer) > 1})
    if twice:
        raise ValueError(f"layers: each is timed once, but {', '.join(twice)} came twice; leave one out")
    if len(images) == 0:
        raise ValueError("images: expected a batch of at least one image, got none")
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.device != images.device:
        raise ValueError(
            f"images are on {images.device}, the model is on {parameter.device}; move one of them with .to(device)"
        )
