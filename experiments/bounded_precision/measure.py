"""Are areas drawn to a precision as precise as they say, and what do they save? Exact curves of 224 steps, once and for all.

python experiments/bounded_precision/measure.py OUT    about 25 minutes on 2 CPU cores, of which exact curves take nearly all
"""

import sys
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
PARTS = {"calibration": (77, 40), "held out": (78, 25)}  # seed of the images and their number
EXPLAINERS = (GradCAM(("layer1.2", "layer2.3", "layer3.5", "layer4.2")), Random(), Center(), Sobel(), RawImage())
METRICS = {"deletion": Deletion(n_steps=N_STEPS), "insertion": Insertion(n_steps=N_STEPS)}


def exact_curves(file: Path) -> dict[str, np.ndarray]:
    """Every point of both curves for 8 maps of each image, (8, 225); image after image, so that it can be broken off."""
    found = dict(np.load(file)) if file.exists() else {}
    classifier = load_model(name="shapes_resnet50")
    fast = fast_copy(classifier.network)
    for part, (seed, n_images) in PARTS.items():
        for i in range(n_images):
            if f"{part}/insertion/{i}" in found:
                continue
            image = classifier.preprocessing.image(Shapes(n_images, seed)[i].image)[None]
            found |= {f"{part}/{name}/{i}": scores for name, scores in drawn(classifier.network, fast, image).items()}
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


def table(curves: dict[str, np.ndarray], part: str, precision: float) -> dict[str, object]:
    """What a precision gives on the images of a part."""
    rule, n_images = Refinement(precision), PARTS[part][1]
    rows = [row.astype(float) for i in range(n_images) for name in METRICS for row in curves[f"{part}/{name}/{i}"]]
    found = np.array([refined(row, rule) for row in rows])
    exact = np.array([area(row) for row in rows])
    error = np.abs(found[:, 0] - exact)
    mean_points = found[:, 1].mean()
    plain = np.abs(np.array([uniform(row, round(mean_points)) for row in rows]) - exact)
    # the clean image is scored once for an image, the fully removed and the blurred one once, whatever the maps
    arms, ends = 8 * len(METRICS), 1 + len(METRICS)
    share = ((mean_points - 2) * arms + ends) / ((N_STEPS - 1) * arms + ends)
    return {
        "part": part,
        "precision": precision,
        "images": n_images,
        "areas": len(rows),
        "within": (error <= precision).mean(),
        "error_95": np.quantile(error, 0.95),
        "largest_error": error.max(),
        "within_own_error": (error <= np.maximum(found[:, 2], 1e-12)).mean(),
        "points": mean_points,
        "share_of_forward_passes": share,
        "uniform_error_95": np.quantile(plain, 0.95),
    }


def main(out: Path) -> None:
    """Measure and write the table."""
    out.mkdir(parents=True, exist_ok=True)
    curves = exact_curves(out / "exact_curves.npz")
    rows = [table(curves, part, precision) for part in PARTS for precision in (0.002, 0.005, 0.01, 0.02)]
    pd.DataFrame(rows).round(4).to_csv(out / "bounded_precision.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
