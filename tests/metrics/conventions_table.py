"""One map's areas under every preset: the table in docs/conventions.md. Run this file to write it anew.

From the checkout: ``PYTHONPATH=. python tests/metrics/conventions_table.py``
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from metric_goldens import Golden

from xaibench.metrics.map_scores import MapScores
from xaibench.metrics.perturbation import draw_metric
from xaibench.metrics.pixel_flipping import PixelFlipping
from xaibench.metrics.presets import PRESETS, preset_settings

# the published steps are meant for 224 × 224; these are their like on 20 × 28 pixels
SMALLER = {
    "rise": {"step_px": 28},
    "latec": {"step_px": 28},
    "quantus": {"features_in_step": 56},
}
CURVES = ("deletion", "insertion", "morf", "lerf", "area_between_curves", "pixel_flipping")


def rows():
    """Yield preset, metric, points and value of the first image and its tied map in the golden file."""
    golden = Golden("deletion_presets")
    inputs = golden["images"][:1], golden["predicted"][:1], golden["maps_tied"][:1, None]
    for name, preset in PRESETS.items():
        for metric in preset.metrics:
            if metric in CURVES:
                found = measure(preset_settings(name, metric, **SMALLER.get(name, {})), golden.network(), *inputs)
                yield name, metric, found.curve_y.shape[2], float(found.values[0, 0])


def measure(settings, network, images, targets, maps) -> MapScores:
    """Score by either kind of metric."""
    if isinstance(settings, PixelFlipping):
        return settings.scores(network, images, targets, maps)
    return draw_metric(network, images, targets, maps, settings)


def table():
    """Write the rows as Markdown."""
    lines = ["| preset | metric | points | value |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {metric} | {points} | {value:.4f} |" for name, metric, points, value in rows()]
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(table() + "\n")
