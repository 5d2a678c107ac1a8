"""Draw the pictures of docs/shapes.md.

    python experiments/shapes_pictures/draw.py [FOLDER]

Takes a few seconds and writes shapes_*.png into FOLDER, docs/images by default.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from xaibench.data.samples import Sample
from xaibench.data.shapes import Shapes

OBJECT_COLOURS = ("#ffffff", "#ffd400", "#00e5ff", "#ff5ca8")
PANEL_INCHES = 1.35
DPI = 100


def draw_sample(ax: Axes, sample: Sample, categories: Sequence[str], *, outlines: bool) -> Axes:
    """Show one sample titled by its classes; with outlines, objects solid (a colour each) and distractors dotted."""
    ax.imshow(sample.image, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(", ".join(categories[label] for label in sample.labels), fontsize=7, pad=2)
    if outlines:
        for mask, colour in zip(sample.masks, OBJECT_COLOURS, strict=False):
            ax.contour(mask, levels=[0.5], colors=["black"], linewidths=2.2)
            ax.contour(mask, levels=[0.5], colors=[colour], linewidths=1.1)
        for mask in sample.distractor_masks:
            ax.contour(mask, levels=[0.5], colors=["black"], linewidths=0.8, linestyles="dotted")
    return ax


def contact_sheet(
    path: Path, data: Shapes, indices: Sequence[int], *, n_columns: int, outlines: bool, panel_inches: float
) -> None:
    """Write a sheet of samples, in reading order."""
    n_rows = -(-len(indices) // n_columns)
    size = (n_columns * panel_inches, n_rows * (panel_inches + 0.15))
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for ax, index in zip(axes.flat, indices, strict=True):
        draw_sample(ax, data[index], data.categories, outlines=outlines)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    plt.close(figure)
    sheet = Image.open(drawn).convert("RGB")
    sheet.quantize(palette=sheet.quantize(256)).save(path, optimize=True)  # dithered: smooth at half of the size


def draw_all(folder: Path) -> None:
    """Write the four sheets."""
    folder.mkdir(parents=True, exist_ok=True)
    singles = Shapes(n=400, seed=20)
    contact_sheet(
        folder / "shapes_single.png", singles, range(12), n_columns=6, outlines=True, panel_inches=PANEL_INCHES
    )
    of_class = [[i for i in range(400) if singles.label(i) == label][3:7] for label in range(len(singles.categories))]
    by_column = [indices[row] for row in range(4) for indices in of_class]
    contact_sheet(folder / "shapes_classes.png", singles, by_column, n_columns=8, outlines=False, panel_inches=0.98)
    pairs, mosaics = Shapes(n=12, seed=21, variant="pair"), Shapes(n=3, seed=22, variant="mosaic")
    contact_sheet(folder / "shapes_pair.png", pairs, range(12), n_columns=6, outlines=True, panel_inches=PANEL_INCHES)
    contact_sheet(folder / "shapes_mosaic.png", mosaics, range(3), n_columns=3, outlines=True, panel_inches=2.7)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "docs" / "images")
