"""Training of the packaged network: progress, checkpoints, and resume without a trace.

Everything random in a round is drawn from (seed, round), so that a checkpoint needs no random state and a killed run
that goes on gives, on a CPU with the same number of threads, the same weights as an undisturbed one.
"""

import json
import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from xaibench.models.shapes_resnet import half, shapes_resnet50
from xaibench.training.recipe import Phase, Recipe
from xaibench.training.views import Pool, draw_pool, generator_of, view, whole

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class TrainingResult:
    """What training gives.

    Attributes
    ----------
    model : Module
        In evaluation mode, float32, with weights that half precision represents exactly: those that were tested.
    curve : list of dict
        A row a round: ``round`` (from one), ``size_px``, ``images`` seen, ``learning_rate`` of the last step, ``loss``
    , ``seconds``.
    accuracy : float
        Fraction of the test images whose class is ranked first.
    accuracy_by_class : dict from str to float
    """

    model: nn.Module
    curve: list[dict[str, Any]]
    accuracy: float
    accuracy_by_class: dict[str, float]


def train(
    recipe: Recipe,
    directory: str | Path,
    *,
    device: str = "cpu",
    progress: bool = True,
    n_workers: int | None = None,
) -> TrainingResult:
    """Train a network by a recipe, or go on with it, and test it.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    directory : path
        Holds the checkpoint, written whole after each round; made if it is missing. Called again with the same recipe,
        `train` goes on from there.
    device : str
        Where the network lives, such as ``cpu`` or ``cuda``.
    progress : bool
        Show a bar.
    n_workers : int, optional
        Processes that draw the images; by default one for each core.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        If the directory holds a checkpoint of another recipe, or one that cannot be read.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model = initial_model(recipe).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.weight_decay))
    n_done, curve = _resume(recipe, directory / CHECKPOINT, model, optimizer)
    if n_done < recipe.n_rounds:
        pool = draw_pool(recipe.dataset("train"), n_workers=n_workers, progress=progress)
        validation = draw_pool(recipe.dataset("validation"), n_workers=n_workers, progress=False)
    for round_index in tqdm(
        range(n_done, recipe.n_rounds), "train", recipe.n_rounds, initial=n_done, unit="round", disable=not progress
    ):
        begin = perf_counter()
        phase = recipe.phase(round_index)
        loss, accuracy = _train_round(recipe, round_index, phase, model, optimizer, pool)
        hits = correct(model, validation, size_px=phase.size_px)
        curve.append(
            {
                "round": round_index + 1,
                "size_px": phase.size_px,
                "texture": phase.texture[1],
                "images": (round_index + 1) * recipe.steps_per_round * recipe.batch_size,
                "learning_rate": recipe.learning_rate_at((round_index + 1) * recipe.steps_per_round - 1),
                "loss": loss,
                "accuracy": accuracy,
                "validation_accuracy": hits.double().mean().item(),
                "seconds": perf_counter() - begin,
            }
        )
        _save(recipe, directory / CHECKPOINT, model, optimizer, round_index + 1, curve)
        logger.info("%s", curve[-1])
    model.load_state_dict({name: half(tensor) for name, tensor in model.state_dict().items()})
    dataset = recipe.dataset("test")
    pool = draw_pool(dataset, n_workers=n_workers, progress=progress)
    hits = correct(model, pool, size_px=recipe.image_size_px).double()
    by_class = {name: hits[pool.labels == label].mean().item() for label, name in enumerate(dataset.categories)}
    return TrainingResult(model.eval(), curve, hits.mean().item(), by_class)


def initial_model(recipe: Recipe) -> nn.Module:
    """The network before its first step; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # torch.manual_seed would seed GPUs, too
        return shapes_resnet50(recipe.width_per_group, len(recipe.dataset("train").categories))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels with weight decay; norms and biases without."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def correct(model: nn.Module, pool: Pool, *, size_px: int, batch_size: int = 128) -> Bool[Tensor, " N"]:
    """Whether each whole image's class is ranked first.

    Parameters
    ----------
    model : Module
        Left in the mode it was in.
    pool : Pool
    size_px : int
        Side to which the images are shrunk.
    batch_size : int
        Images at a time.

    Returns
    -------
    Tensor of bool, shape (N,)
        On the CPU.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = pool.images.split(batch_size)
            predicted = [model(whole(part.to(device), size_px=size_px)).argmax(dim=1).cpu() for part in parts]
    finally:
        model.train(was_training)
    return torch.cat(predicted) == pool.labels


def _train_round(
    recipe: Recipe,
    round_index: int,
    phase: Phase,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pool: Pool,
) -> tuple[float, float]:
    """One pass over the round's images; the mean loss and accuracy.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    device = str(next(model.parameters()).device)
    generator = generator_of(recipe.seed, round_index)
    losses, hits = [], []
    model.train()
    for batch_index, indices in enumerate(_round_indices(recipe, round_index).split(recipe.batch_size)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(round_index * recipe.steps_per_round + batch_index)
        done = batch_index / recipe.steps_per_round
        texture = phase.texture[0] + (phase.texture[1] - phase.texture[0]) * done
        images = view(pool, indices, phase, texture=texture, generator=generator, device=device)
        labels = pool.labels[indices].to(device)
        logits = model(images)
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        hits.append((logits.detach().argmax(dim=1) == labels).double().mean())
    mean = torch.stack(losses).double().mean().item()
    if not math.isfinite(mean):
        raise FloatingPointError(f"the loss of round {round_index + 1} is {mean}; try lower learning rates")
    return mean, torch.stack(hits).mean().item()


def _round_indices(recipe: Recipe, round_index: int) -> Int[Tensor, " M"]:
    """Which of the pool's images a round uses: the next of a stream of permutations of all, full batches only."""
    begin = round_index * recipe.images_per_round
    passes = range(begin // recipe.n_train, (begin + recipe.images_per_round - 1) // recipe.n_train + 1)
    stream = torch.cat([torch.randperm(recipe.n_train, generator=generator_of(recipe.seed, -2 - p)) for p in passes])
    begin -= passes.start * recipe.n_train
    return stream[begin : begin + recipe.steps_per_round * recipe.batch_size]


def _resume(
    recipe: Recipe, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[dict[str, Any]]]:
    """Rounds done and the curve so far, from the checkpoint where there is one; model and optimizer take its state."""
    if not path.exists():
        return 0, []
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is no readable checkpoint; move it away to train from the beginning") from error
    theirs, ours = json.loads(checkpoint["recipe"]), json.loads(_written(recipe))
    if theirs != ours:
        changed = [key for key in ours if theirs.get(key) != ours[key]]
        raise ValueError(
            f"{path} belongs to another recipe (different: {', '.join(changed)}); "
            "give another directory, or the recipe that it was begun with"
        )
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    return checkpoint["n_rounds"], checkpoint["curve"]


def _save(
    recipe: Recipe,
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    n_rounds: int,
    curve: list[dict[str, Any]],
) -> None:
    """Write the checkpoint beside the old one, then put it in its place."""
    checkpoint = {
        "recipe": _written(recipe),
        "n_rounds": n_rounds,
        "curve": curve,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    beside = path.with_name(path.name + ".part")
    torch.save(checkpoint, beside)
    beside.replace(path)


def _written(recipe: Recipe) -> str:
    """The recipe as JSON."""
    return json.dumps(asdict(recipe), sort_keys=True)
