"""The experiment ``train_shapes``: train by the recipe, keep weights, curve and accuracy in a run's folder."""

import hashlib
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from xaibench.models.shapes_resnet import export_half
from xaibench.records.provenance import provenance
from xaibench.settings import RunSettings
from xaibench.training.card import write_card
from xaibench.training.recipe import Cycle, Phase, Recipe
from xaibench.training.training import train

_log = logging.getLogger(__name__)


def recipe_from(settings: RunSettings) -> Recipe:
    """Make the recipe from the settings' ``training`` group.

    Raises
    ------
    ValueError
        For a setting that the recipe does not have or cannot use.
    """
    given = dict(settings.training)
    for key, kind in (("phases", Phase), ("cycles", Cycle)):
        if key in given:
            given[key] = tuple(kind(**_tuples(entry)) for entry in given[key])
    try:
        return Recipe(**given)
    except TypeError as error:
        raise ValueError(f"training does not take these settings: {error}") from error


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def train_from_settings(settings: RunSettings) -> Path:
    """Train, or go on with it, and write ``shapes_resnet50.safetensors`` and its card into the run's folder."""
    recipe = recipe_from(settings)
    device = "cuda" if settings.device == "auto" and torch.cuda.is_available() else settings.device
    device = "cpu" if device == "auto" else device
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    written = json.dumps(asdict(recipe), sort_keys=True)
    name = f"{settings.experiment_name}-{hashlib.sha256(written.encode()).hexdigest()[:8]}"
    folder = Path(settings.out) if settings.out else Path("results") / name
    result = train(recipe, folder, device=device)
    weights = folder / "shapes_resnet50.safetensors"
    made = provenance(device=device, threads=torch.get_num_threads())
    sha256 = export_half(result.model, weights)
    write_card(weights, recipe=recipe, result=result, sha256=sha256, provenance=made)
    sys.stdout.write(f"accuracy {result.accuracy:.4f} on {recipe.n_test} images never trained on\nweights  {weights}\n")
    return folder
