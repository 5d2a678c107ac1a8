"""Records of made-up sanity checks whose outcome is known: what a run of every check over many explainers writes."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from synthetic_records import BLOCKS, LAYERS, as_frame

from xaibench.records.record import Record, settings_json

ALL_UNITS = (
    "fc",
    *(f"{stage}.{block}" for stage, blocks in BLOCKS.items() for block in reversed(range(blocks))),
    "stem",
)
UNITS = ALL_UNITS[::4]  # fc, layer4.0, layer3.2, layer2.2, layer1.1: enough to test, and quick
CANDIDATES = (
    *(("grad_cam", layer) for layer in LAYERS),
    ("gradient", ""),
    ("input_x_gradient", ""),
    ("guided_backprop", ""),
    ("guided_grad_cam", LAYERS[-1]),
    ("integrated_gradients", ""),
)
REFERENCES = (("random", ""), ("center", ""), ("sobel", ""))
SANITY_ARMS = (*CANDIDATES, *REFERENCES)
SIMILARITIES = ("spearman", "spearman_abs", "ssim")
TOP_DOWN = {"name": "parameter_randomization", "order": "top_down", "granularity": "block", "rectify": False}
INDEPENDENT = {**TOP_DOWN, "order": "independent"}
SMOOTH = {**TOP_DOWN, "n_samples": 50}

# similarity after n units: floor + (1 - floor) * exp(-n / slowness)
FLOORS = {"grad_cam": 0.0, "gradient": 0.0, "input_x_gradient": 0.0, "integrated_gradients": 0.15, "random": 0.0}
SLOWNESS = {"guided_backprop": 40.0, "guided_grad_cam": 25.0, "integrated_gradients": 1.0, "random": 0.05}


def sanity_records(n_images: int = 8, seeds: tuple[int, ...] = (0, 1, 2), noise: float = 0.05) -> pd.DataFrame:
    """A run of every sanity check: Grad-CAM and gradient pass, guided methods and Sobel fail."""
    rng = np.random.default_rng(0)
    rows = [
        *cascade_rows("parameter_randomization", TOP_DOWN, n_images, seeds, noise, rng),
        *cascade_rows("independent_randomization", INDEPENDENT, n_images, seeds, noise, rng),
        *calibration_rows(SANITY_ARMS, rng),
        *other_rows(n_images, seeds, rng),
    ]
    return as_frame(rows)


def cascade_rows(
    key: str, settings: dict, n_images: int, seeds: tuple[int, ...], noise: float, rng: np.random.Generator
) -> Iterator[Record]:
    """A cascade of all arms; the map of ``layer1.2`` is constant on the second image, and for ``layer3.2`` everywhere."""
    text = settings_json(settings)
    for explainer, layer in SANITY_ARMS:
        for variant in SIMILARITIES:
            for image in range(n_images):
                for seed in seeds:
                    for step, module in enumerate(("", *UNITS)):
                        keys = {
                            "image": f"image-{image}", "explainer": explainer, "layer": layer, "variant": variant,
                            "module": module, "step": step, "seed": seed, "settings": text,
                        }  # fmt: skip
                        if layer == "layer1.2" and step and (image == 1 or module == "layer3.2"):
                            yield undefined(key, "the map is constant", **keys)
                            continue
                        alone = settings["order"] == "independent"
                        value = similarity(explainer, variant, 2 if alone and step else step)
                        value += noise * rng.normal() if step and explainer != "sobel" else 0.0
                        yield Record(key, float(np.clip(value, -1, 1)), **keys)


def similarity(explainer: str, variant: str, step: int) -> float:
    """Expected similarity after `step` units."""
    floor = FLOORS.get(explainer, 0.0)
    if explainer in ("sobel", "center"):
        return 1.0
    if variant == "spearman_abs" and explainer == "input_x_gradient":
        floor = 0.6
    if variant == "ssim":
        floor = max(floor, 0.3)
    return floor + (1 - floor) * math.exp(-step / SLOWNESS.get(explainer, 0.7))


def calibration_rows(arms, rng: np.random.Generator, *, pairs: int = 40, spread: float = 0.1) -> Iterator[Record]:
    """Pairs of unrelated maps of each arm."""
    text = settings_json({"name": "parameter_randomization", "rectify": False})
    for explainer, layer in arms:
        for variant in SIMILARITIES:
            for module, middle in (("random_maps", 0.0), ("other_images", 0.1)):
                middle += 0.35 if variant == "ssim" else 0.0
                for pair in range(pairs):
                    image = f"image-{pair % 8}" if module == "other_images" else ""
                    value = float(np.clip(middle + spread * rng.normal(), -1, 1))
                    keys = {"explainer": explainer, "layer": layer, "variant": variant, "module": module, "step": pair}
                    yield Record("calibration", value, image=image, settings=text, **keys)


def other_rows(n_images: int, seeds: tuple[int, ...], rng: np.random.Generator) -> Iterator[Record]:
    """Efficient MPRT, random logit, permuted labels with their control, accuracies and coverage."""
    for labels in ("permuted_labels", "true_labels"):
        for seed in seeds[:2]:
            curve = {"curve_x": (1.0, 2.0, 3.0), "curve_y": (0.3, 0.8, 0.97)}
            yield Record("training_accuracy", 0.97, module=labels, seed=seed, **curve)
    for of, share in (("parameters", 1.0), ("buffers", 0.98)):
        for seed in seeds:
            yield Record("coverage", share, variant=of, seed=seed)
    for explainer, layer in SANITY_ARMS:
        for image in range(n_images):
            keys = {"image": f"image-{image}", "explainer": explainer, "layer": layer}
            for seed in seeds:
                rise = 0.0 if explainer in ("random", "sobel", "center") else 0.2 + 0.02 * rng.normal()
                yield Record("efficient_mprt", float(rise), seed=seed, **keys)
                logit = 1.0 if explainer in ("random", "sobel", "center") else 0.5 + 0.05 * rng.normal()
                yield Record("random_logit", float(logit), seed=seed, variant="ssim", **keys)
            for seed in seeds[:2]:
                for variant in SIMILARITIES:
                    for labels, middle in (("permuted_labels", 0.1), ("true_labels", 0.6)):
                        middle = 1.0 if explainer in ("sobel", "center") else middle + 0.05 * rng.normal()
                        middle = float(np.clip(middle, -1, 1))
                        yield Record("data_randomization", middle, seed=seed, variant=variant, module=labels, **keys)


def undefined(metric: str, reason: str, **keys) -> Record:
    """A value that is not defined."""
    return Record(metric, math.nan, status="undefined", reason=reason, **keys)
