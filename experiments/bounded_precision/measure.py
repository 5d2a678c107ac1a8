"""Are areas drawn to a precision as precise as they say, and what do they save? Exact curves of 224 steps, once and for all.

python experiments/bounded_precision/measure.py OUT    about 1 hour on 2 CPU cores, of which exact curves take nearly all
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from xaibench.data.shapes import Shapes
from xaibench.explainers.cams import GradCAM
from xaibench.explainers.references import Center, Random, RawImage, Sobel
from xaibench.metrics.deletion import Deletion
from xaibench.metrics.inference import fast_copy
from xaibench.metrics.insertion import Insertion
from xaibench.metrics.perturbation import perturbation_curves
from xaibench.metrics.refinement import Refinement
from xaibench.models.zoo import load_model

N_STEPS = 224
SEEDS = {77: 40, 78: 25, 79: 40}  # of the images, and their number
FOLDS = 5
EXPLAINERS = (GradCAM(("layer1.2", "layer2.3", "layer3.5", "layer4.2")), Random(), Center(), Sobel(), RawImage())
METRICS = {"deletion": Deletion(n_steps=N_STEPS), "insertion": Insertion(n_steps=N_STEPS)}


def exact_curves(file: Path) -> dict[str, np.ndarray]:
    """Every point of both curves for 8 maps of each image, (8, 225); image after image, so that it can be broken off."""
    found = dict(np.load(file)) if file.exists() else {}
    classifier = load_model(name="shapes_resnet50")
    fast = fast_copy(classifier.network)
    for seed, n_images in SEEDS.items():
        for i in range(n_images):
            if f"{seed}/insertion/{i}" in found:
                continue
            image = classifier.preprocessing.image(Shapes(n_images, seed)[i].image)[None]
            found |= {f"{seed}/{name}/{i}": scores for name, scores in drawn(classifier.network, fast, image).items()}
            np.savez(file, **found)
    return found


def drawn(network: torch.nn.Module, fast: torch.nn.Module, image: torch.Tensor) -> dict[str, np.ndarray]:
    """Both curves of all maps of one image."""
    with torch.no_grad():
        target = network(image).argmax(dim=1)
    maps = [made for explainer in EXPLAINERS for made in explainer(network, image, target).values()]
    curves = [metric.curve(name) for name, metric in METRICS.items()]
    found = perturbation_curves(fast, image, target, torch.stack(maps, dim=1), curves)
    return {name: scores.scores[0].numpy() for name, scores in found.items()}


def refined(curve: np.ndarray, rule: Refinement) -> tuple[float, int, float]:
    """Area, number of points and error estimate, as the engine would find them."""
    n = len(curve)
    places = rule.first(n)
    while len(more := rule.more(places, curve[places], n)):
        places = np.union1d(places, more)
    return area(np.interp(np.arange(n), places, curve[places])), len(places), rule.error(places, curve[places], n)


def uniform(curve: np.ndarray, n_points: int) -> float:
    """Area of equally spaced points, for comparison."""
    places = np.linspace(0, len(curve) - 1, n_points).round().astype(int)
    return area(np.interp(np.arange(len(curve)), places, curve[places]))


def area(curve: np.ndarray) -> float:
    """Trapezoid over equal steps."""
    return float((curve.sum() - (curve[0] + curve[-1]) / 2) / (len(curve) - 1))


def share_of_passes(n_points: np.ndarray) -> float:
    """Forward passes over those of the whole grid: all maps of an image share its clean image and a curve's other end."""
    arms, ends = 8 * len(METRICS), 1 + len(METRICS)
    return float(((n_points.mean() - 2) * arms + ends) / ((N_STEPS - 1) * arms + ends))


def calibrated(rows: np.ndarray, precision: float) -> float:
    """Least factor with which 95 % of the areas of these curves are within the precision, by bisection."""
    exact = np.array([area(row) for row in rows])
    low, high = 0.5, 4.0
    for _ in range(10):
        factor = (low + high) / 2
        found = np.array([refined(row, Refinement(precision, factor=factor))[0] for row in rows])
        low, high = (low, factor) if (np.abs(found - exact) <= precision).mean() >= 0.95 else (factor, high)
    return high


def summary(part: str, rows: np.ndarray, found: np.ndarray, precision: float) -> dict[str, object]:
    """What was found of the curves, beside their exact areas."""
    exact = np.array([area(row) for row in rows])
    error, n_points = np.abs(found[:, 0] - exact), found[:, 1]
    plain = np.abs(np.array([uniform(row, round(n_points.mean())) for row in rows]) - exact)
    return {
        "part": part,
        "precision": precision,
        "areas": len(rows),
        "within": (error <= precision).mean(),
        "error_95": np.quantile(error, 0.95),
        "largest_error": error.max(),
        "within_own_error": (error <= np.maximum(found[:, 2], 1e-12)).mean(),
        "points": n_points.mean(),
        "share_of_forward_passes": share_of_passes(n_points),
        "uniform_error_95": np.quantile(plain, 0.95),
    }


def tables(rows: np.ndarray, images: np.ndarray) -> Iterator[dict[str, object]]:
    """All images as the package has it; and each fifth of them with the factor that the others alone would have given."""
    for precision in (0.002, 0.005, 0.01, 0.02):
        rule = Refinement(precision)
        yield summary("as packaged", rows, np.array([refined(row, rule) for row in rows]), precision)
    precision, found = 0.005, np.empty((len(rows), 3))
    for fold in range(FOLDS):
        held_out = images % FOLDS == fold
        rule = Refinement(precision, factor=calibrated(rows[~held_out], precision))
        found[held_out] = [refined(row, rule) for row in rows[held_out]]
    yield summary("held out", rows, found, precision)


def main(out: Path) -> None:
    """Measure and write the table."""
    out.mkdir(parents=True, exist_ok=True)
    curves = exact_curves(out / "exact_curves.npz")
    keys = [(seed, i, name) for seed, n in SEEDS.items() for i in range(n) for name in METRICS]
    rows = np.concatenate([curves[f"{seed}/{name}/{i}"] for seed, i, name in keys]).astype(float)
    images = np.arange(len(rows)) // (8 * len(METRICS))
    pd.DataFrame(list(tables(rows, images))).round(4).to_csv(out / "bounded_precision.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
