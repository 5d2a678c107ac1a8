"""The queue through which images reach the model: built in place, cut in full batches, scored on the device."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xaibench.metrics.scores import OF_ONE_LOGIT, SCORES
from xaibench.names import pick

Write = Callable[[Tensor, int], None]


class ProbabilitiesAsLogitsWarning(UserWarning):
    """The model seems to end in a softmax, and a second one was put on top of it.

    ``warnings.filterwarnings("error", category=ProbabilitiesAsLogitsWarning)`` makes it an error, ``"ignore"`` silences
    it.
    """


class ScoringQueue:
    """Scores any number of images in full batches, whatever pieces they come in.

    One batch is allocated and written again and again, so memory depends on its size alone. The scores stay on the
    device until `results` fetches them: the loop never waits for the device. Images are built in their own precision;
    a network in another one gets them cast at the last moment, and its logits are read in float32 at least.

    Parameters
    ----------
    model : callable
        Maps (B, C, H, W) to logits (B, classes).
    like : Tensor, shape (B, C, H, W)
        Images whose size, precision and device the batch takes.
    batch_size : int
        Images per forward pass.
    scores : sequence of str
        Names in `SCORES`; each image gets all of them from its one pass.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        like: Tensor,
        *,
        batch_size: int,
        scores: Sequence[str] = ("probability",),
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._model = model
        self._scores = [pick("score", name, SCORES) for name in scores]
        self._softmax = any(name not in OF_ONE_LOGIT for name in scores)
        self.layout = layout_of(model)
        self._batch = torch.empty(
            batch_size, *like.shape[1:], dtype=like.dtype, device=like.device, memory_format=self.layout
        )
        dtype = dtype_of(model) or like.dtype
        self._cast = None if dtype == like.dtype else torch.empty_like(self._batch, dtype=dtype)
        self._targets = torch.empty(batch_size, dtype=torch.int64, device=like.device)
        self._highest_target = 0
        self._all_probabilities = torch.ones((), dtype=torch.bool, device=like.device)
        self._filled = 0
        self._done: list[Tensor] = []
        self.n_images = 0

    def put(self, count: int, target: int, write: Write) -> int:
        """Queue `count` images of one target.

        Parameters
        ----------
        count : int
            How many images.
        target : int
            Class whose score is read.
        write : callable
            ``write(rows, start)`` fills the batch's rows with the images from number `start` on; called once per
            batch concerned.

        Returns
        -------
        int
            Position of the first of them in `results`.
        """
        if target < 0:
            raise ValueError(f"targets must be class indices from 0 on, got {target}")
        self._highest_target = max(self._highest_target, target)
        first, written = self.n_images, 0
        while written < count:
            end = min(self._filled + count - written, len(self._batch))
            write(self._batch[self._filled : end], written)
            self._targets[self._filled : end].fill_(target)
            written += end - self._filled
            self._filled = end
            if end == len(self._batch):
                self._run()
        self.n_images += count
        return first

    def results(self) -> Float[Tensor, "N S"]:
        """Run what is left and fetch all scores: (images, scores), in the order of `put`."""
        if self._filled:
            self._run()
        if not self._done:
            return torch.empty(0, len(self._scores))
        if self._softmax and self.n_images > 1 and bool(self._all_probabilities):
            warnings.warn(_PROBABILITIES, ProbabilitiesAsLogitsWarning, stacklevel=2)
        return torch.cat(self._done).cpu()

    def _run(self) -> None:
        batch = self._batch[: self._filled]
        if self._cast is not None:
            batch = self._cast[: self._filled].copy_(batch)
        logits = checked_logits(self._model(batch), self._filled, softmax=self._softmax)
        if self._highest_target >= logits.shape[1]:
            raise ValueError(
                f"target {self._highest_target} is out of range: the model has {logits.shape[1]} classes, from 0 on"
            )
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        self._all_probabilities &= look_like_probabilities(logits)
        targets = self._targets[: self._filled]
        self._done.append(torch.stack([score(logits, targets) for score in self._scores], dim=1))
        self._filled = 0


_PROBABILITIES = (
    "the model's outputs are no logits, it seems: for every image scored they are probabilities, at least 0 and with sum 1. "
    "A second softmax flattens all scores; return what goes into the model's softmax, or read its output as it is with "
    "score='logit'"
)


def look_like_probabilities(outputs: Float[Tensor, "B K"]) -> Bool[Tensor, ""]:
    """Whether every row is at least 0 and sums to 1 (to 0.01, as bfloat16 is no finer).

    A network's logits do so by chance in a single row at best, so the more images, the surer the answer.
    """
    return (outputs >= 0).all() & ((outputs.sum(dim=1) - 1).abs() < 0.01).all()


def checked_logits(output: object, n_images: int, *, softmax: bool) -> Tensor:
    """Return the model's output if it is a matrix of logits, or say what to change.

    Raises
    ------
    TypeError
        If it is no tensor (a tuple, a dict).
    ValueError
        If it is not (images, classes), or a softmax is asked of a single logit.
    """
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model returned a {type(output).__name__}, expected a tensor of logits (images, classes); "
            "wrap it in a module that returns the logits alone"
        )
    if output.ndim != 2 or len(output) != n_images:
        raise ValueError(f"the model returned shape {tuple(output.shape)}, expected ({n_images}, classes)")
    if softmax and output.shape[1] < 2:
        raise ValueError(
            "the model has one logit, whose softmax is always 1; "
            "use score='logit' or 'sigmoid', or wrap it to return the two logits (0, z)"
        )
    return output


def layout_of(model: object) -> torch.memory_format:
    """Memory layout in which the model's convolutions hold their weights, so that the batch comes in the same.

    A model without visible weights may state it as `takes_layout`.
    """
    if isinstance(stated := getattr(model, "takes_layout", None), torch.memory_format):
        return stated
    weights = (
        [p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] * p.shape[3] > 1]
        if isinstance(model, nn.Module)
        else []
    )
    if weights and not weights[0].is_contiguous() and weights[0].is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def dtype_of(model: object) -> torch.dtype | None:
    """Precision of the model's weights, in which it takes images; None where it has none.

    Weights are matrices and kernels: a norm's scales may be kept in more precision. A model without visible weights may
    state it as `takes_dtype`.
    """
    if isinstance(stated := getattr(model, "takes_dtype", None), torch.dtype):
        return stated
    values = [p for p in model.parameters() if p.is_floating_point()] if isinstance(model, nn.Module) else []
    return next((p.dtype for p in sorted(values, key=lambda p: p.ndim < 2)), None)


def network_of(model: object) -> Callable[[Tensor], Tensor]:
    """Return what maps images to logits: a module or function itself, of another object its ``network``.

    A module is taken whole: one that wraps another as ``self.network`` does so to change what that puts out.
    """
    network = model if isinstance(model, nn.Module) else getattr(model, "network", model)
    if not callable(network):
        raise TypeError(f"model must be callable on images, or have such a `network`; got {type(model).__name__}")
    return network


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """Inference mode, every module in evaluation mode; each has its own mode back afterwards, also on failure."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def predicted(model: object, images: Float[Tensor, "B C H W"], *, batch_size: int = 32) -> Int[Tensor, " B"]:
    """Class with the largest logit for each image; the first of equal ones."""
    network = network_of(model)
    with evaluating(network):
        parts = images.split(batch_size)
        dtype = dtype_of(network) or images.dtype
        found = [checked_logits(network(part.to(dtype)), len(part), softmax=False).argmax(dim=1) for part in parts]
    return torch.cat(found).clone()
