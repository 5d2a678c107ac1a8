"""The card of trained weights: what they are, how they were made, how good they are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xaibench.data.outlines import CLASSES
from xaibench.data.shapes import GENERATOR_VERSION
from xaibench.models.shapes_resnet import IMAGENET_MEAN, IMAGENET_STD
from xaibench.training.recipe import Recipe
from xaibench.training.training import TrainingResult


def write_card(
    weights: Path, *, recipe: Recipe, result: TrainingResult, sha256: str, provenance: dict[str, Any]
) -> None:
    """Write the card of a file of weights beside it: ``.json`` for programs, ``.md`` for people.

    Parameters
    ----------
    weights : path
        The file; its digest is `sha256`.
    recipe : Recipe
    result : TrainingResult
    provenance : dict
        As in `xaibench.records.provenance`.
    """
    card = {
        "architecture": f"torchvision ResNet(Bottleneck, [3, 4, 6, 3], width_per_group={recipe.width_per_group})",
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "precision": "float16 on disk, float32 in memory",
        "sha256": sha256,
        "categories": list(CLASSES),
        "image_size_px": recipe.image_size_px,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "data": {"generator": GENERATOR_VERSION, "variant": "single", "n": recipe.n_train, "seed": recipe.train_seed},
        "test": {
            "n": recipe.n_test,
            "seed": recipe.test_seed,
            "accuracy": result.accuracy,
            "accuracy_by_class": result.accuracy_by_class,
        },
        "recipe": asdict(recipe),
        "curve": result.curve,
        "provenance": provenance,
    }
    weights.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    weights.with_suffix(".md").write_text(_markdown(card), encoding="utf-8")


def _markdown(card: dict[str, Any]) -> str:
    test, data, recipe = card["test"], card["data"], card["recipe"]
    classes = "".join(f"| {name} | {accuracy:.4f} |\n" for name, accuracy in test["accuracy_by_class"].items())
    rows = "".join(
        f"| {row['round']} | {row['size_px']} | {row['texture']:.2f} | {row['images']} | {row['learning_rate']:.2e} "
        f"| {row['loss']:.3f} | {row['accuracy']:.3f} | {row['validation_accuracy']:.3f} |\n"
        for row in card["curve"]
    )
    minutes = sum(row["seconds"] for row in card["curve"]) / 60
    return f"""# Card of the embedded ResNet-50

{card["architecture"]}, {card["parameters"] / 1e6:.1f} M parameters, {card["precision"]}.

**Accuracy {test["accuracy"]:.4f}** on {test["n"]} images never trained on (`Shapes(n={test["n"]}, seed={test["seed"]})`), with the weights as rounded to half precision.

| class | accuracy |
|---|---|
{classes}
- Images: {card["image_size_px"]} × {card["image_size_px"]}, scaled to [0, 1], normalized by mean {card["mean"]} and standard deviation {card["std"]}.
- Training images: `Shapes(n={data["n"]}, seed={data["seed"]})`, generator {data["generator"]}; {card["curve"][-1]["images"]} views, {minutes:.0f} minutes of training
  ({card["provenance"]["device"]}, {card["provenance"]["threads"]} threads).
- Recipe: `xaibench.training.recipe.Recipe`, seed {recipe["seed"]}; `xaibench experiment=train_shapes` runs it again. Views begin as close windows on the object without
  textures; textures come in, then the windows widen to the whole image. The learning rate rises and falls in {len(recipe["cycles"])} cycles.
- SHA-256 of the file: `{card["sha256"]}`

## Training curve

Loss and accuracy are of the views; validation is on {recipe["n_validation"]} whole images at the round's own size.

| round | size | texture | views | learning rate | loss | accuracy | validation |
|---|---|---|---|---|---|---|---|
{rows}"""
