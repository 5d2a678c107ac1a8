"""From a cell of the grid to work that can be timed: the network, the images and the threads that it says."""

import copy
import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast as cast_type

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from xaibench.explainers.borrowed import unwrapped
from xaibench.explainers.cams import CAM_CLASSES
from xaibench.metrics.inference import cast, float32_products
from xaibench.timing import works
from xaibench.timing.grid import Cell
from xaibench.timing.laps import Laps, Work

TF32_CAPABILITY = (8, 0)
"""Compute capability from which on a CUDA device has tf32: Ampere's."""

RECOMPILATIONS = 64
"""Shapes for which a sweep may compile a network; torch's own limit is 8, past which it runs uncompiled."""

NO_HOOKS = {
    "compiled": "hooks do not run reliably inside a compiled network, so an explanation takes torch.compile off and costs "
    "what it costs without: see compiled = false",
    "cuda_graph": "a CUDA graph replays what was recorded and calls no hooks, so an explanation runs without: see "
    "cuda_graph = false",
}
"""Why there is no explanation path under these conditions."""


def why_unsupported(cell: Cell, device: torch.device) -> str:
    """Say why the device, or the run, cannot do what a cell asks, before anything is tried; "" where it can."""
    cuda = device.type == "cuda"
    if cell.dtype in ("tf32", "float16") and not cuda:
        return f"{cell.dtype} needs a CUDA device; this one is {device.type}"
    if cell.dtype == "tf32" and torch.cuda.get_device_capability(device) < TF32_CAPABILITY:
        return f"tf32 needs compute capability 8.0; {torch.cuda.get_device_name(device)} has less"
    if cell.dtype == "bfloat16" and cuda and not torch.cuda.is_bf16_supported():
        return f"{torch.cuda.get_device_name(device)} has no bfloat16"
    if cell.cuda_graph and not cuda:
        return f"a CUDA graph needs a CUDA device; this one is {device.type}"
    if cell.cuda_graph and cell.compiled:
        return "a compiled network is not recorded as a CUDA graph here; choose one of compiled and cuda_graph"
    if cell.threads > (cores := available_cores()):
        return f"{cell.threads} threads on {cores} cores would wait for each other"
    if cell.n_layers > len(cell.layers):
        return f"the run names {len(cell.layers)} layers; n_layers = {cell.n_layers} needs more, such as layers=blocks"
    return ""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Stock:
    """Copies of a network and of its images, made once for all cells that want the same.

    Parameters
    ----------
    model : nn.Module
        As the run has it; it is not changed.
    pictures : Tensor, shape (N, C, H, W)
        Images as the network sees them, on its device.
    targets : Tensor of int64, shape (N,)
        Classes to explain.
    """

    def __init__(self, model: nn.Module, pictures: Float[Tensor, "N C H W"], targets: Int64[Tensor, " N"]) -> None:
        self.device = pictures.device
        self._model, self._pictures, self._targets = unwrapped(model), pictures, targets
        self._networks: dict[tuple[str, str], nn.Module] = {}
        self._images: dict[Cell, Tensor] = {}

    def network(self, cell: Cell) -> nn.Module:
        """Copy of the network in the cell's precision and memory format, frozen, in evaluation mode, not compiled."""
        key = (cell.dtype, cell.memory_format)
        if key not in self._networks:
            network = copy.deepcopy(self._model).eval().requires_grad_(False)
            cast(network, _torch_dtype(cell.dtype))
            self._networks[key] = network.to(memory_format=_layout(cell))
        return self._networks[key]

    def images(self, cell: Cell) -> Float[Tensor, "B C h w"]:
        """As many images as the cell's batch has, resized; again from the first where there are fewer."""
        key = cell.conditions()
        if key not in self._images:
            self._images[key] = _images_for(self._pictures[self._rows(cell)], cell)
        return self._images[key]

    def targets(self, cell: Cell) -> Int64[Tensor, " B"]:
        """Their classes to explain."""
        return self._targets[self._rows(cell)]

    def _rows(self, cell: Cell) -> Int64[Tensor, " B"]:
        return torch.arange(cell.batch_size, device=self.device) % len(self._pictures)


def works_for(stock: Stock, cell: Cell, *, score: str, upsampling: str, inference: bool = True) -> list[Work]:
    """Make the work of a cell: plain inference, and the explanation path where the conditions let hooks in.

    Parameters
    ----------
    stock : Stock
    cell : Cell
        A supported one.
    score, upsampling : str
        Of the explanation.
    inference : bool
        Whether plain inference is wanted.

    Returns
    -------
    list of Work
        Each sets the threads and the precision of products before it starts and puts them back afterwards.
    """
    network, images = stock.network(cell), stock.images(cell)
    found = []
    if inference:
        with conditions_of(cell, images.device):  # what a CUDA graph records stays as precise as it was then
            accelerated = _accelerated(network, images, cell)
        found.append(works.inference(accelerated, images))
    if not why_no_explanation(cell):
        explainer = CAM_CLASSES[cell.method](cell.layers, score=score, upsampling=upsampling, rectify=True)
        found.append(works.explanation_path(network, images, stock.targets(cell), explainer))
    return [under(work, cell, images.device) for work in found]


def why_no_explanation(cell: Cell) -> str:
    """Say why only plain inference can be timed; "" where the explanation can."""
    return next((reason for flag, reason in NO_HOOKS.items() if getattr(cell, flag)), "")


def under(work: Work, cell: Cell, device: torch.device) -> Work:
    """The same work with the cell's threads and precision of products while it runs."""

    def run(laps: Laps) -> None:
        with conditions_of(cell, device):
            work.run(laps)

    return Work(work.layer, work.phases, run)


@contextmanager
def conditions_of(cell: Cell, device: torch.device) -> Iterator[None]:
    """Set threads and, on CUDA, the precision of float32 products; as before afterwards, also after an exception.

    A network that is compiled for more shapes than `RECOMPILATIONS` raises instead of running uncompiled in silence.
    """
    before = torch.get_num_threads()
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(cell.threads)
        if device.type == "cuda" and cell.dtype in ("float32", "tf32"):
            stack.enter_context(float32_products("tf32" if cell.dtype == "tf32" else "ieee"))
        if cell.compiled:
            limits = {"recompile_limit": RECOMPILATIONS, "fail_on_recompile_limit_hit": True}
            stack.enter_context(importlib.import_module("torch._dynamo").config.patch(**limits))
        yield


class Replayed(nn.Module):
    """A network whose forward pass was recorded as a CUDA graph, for images of one size.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on a CUDA device.
    images : Tensor, shape (B, C, H, W)
        As all others will be; their values are copied into the graph's own input at each call.
    """

    def __init__(self, network: nn.Module, images: Float[Tensor, "B C H W"]) -> None:
        super().__init__()
        self._network, self._input, self._graph = network, images.clone(), torch.cuda.CUDAGraph()
        side = torch.cuda.Stream(images.device)
        side.wait_stream(torch.cuda.current_stream(images.device))
        with torch.inference_mode(), torch.cuda.device(images.device):
            with torch.cuda.stream(side):
                for _ in range(3):  # libraries choose their algorithms in the first runs, which no graph may hold
                    network(self._input)
            torch.cuda.current_stream(images.device).wait_stream(side)
            # torch's own stream for recording is one of the device that was current when it first recorded
            with torch.cuda.graph(self._graph, stream=side):
                self._output = network(self._input)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Tensor:
        """Replay the graph on `images`; the result is overwritten by the next call."""
        self._input.copy_(images)
        self._graph.replay()
        return self._output


def _accelerated(network: nn.Module, images: Tensor, cell: Cell) -> nn.Module:
    """Compile or record the network where the cell says so; compiling itself happens in the first run."""
    if cell.compiled:
        return cast_type(nn.Module, torch.compile(network, dynamic=False))
    return Replayed(network, images) if cell.cuda_graph else network


def _images_for(images: Tensor, cell: Cell) -> Tensor:
    size = (cell.image_size, cell.image_size)
    if images.shape[2:] != size:
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
    return images.to(_torch_dtype(cell.dtype)).contiguous(memory_format=_layout(cell))


def _torch_dtype(name: str) -> torch.dtype:
    dtype: torch.dtype = torch.float32 if name == "tf32" else getattr(torch, name)
    return dtype


def _layout(cell: Cell) -> torch.memory_format:
    return torch.channels_last if cell.memory_format == "channels_last" else torch.contiguous_format
