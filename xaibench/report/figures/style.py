"""One look for all figures: a colour for each arm throughout, embedded fonts, and the same bytes for the same data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from xaibench.report.labels import Arm, is_reference

# Okabe and Ito's palette, which colour-blind readers can tell apart, without yellow, which paper swallows.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_GREYS = ("#4d4d4d", "#7a7a7a", "#a0a0a0")
_DASHES: tuple[tuple[float, ...], ...] = ((5.0, 2.0), (1.5, 1.5), (6.0, 1.5, 1.5, 1.5), (3.0, 1.5))
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
INK, FAINT = "#222222", "#8a8a8a"

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.6,
    "figure.dpi": 200,
    "savefig.dpi": "figure",
    "image.interpolation": "nearest",
    "svg.fonttype": "path",
    "svg.hashsalt": "xaibench",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn, everywhere.

    Attributes
    ----------
    colour, dark_colour : str
        Hex colour on light and on dark ground.
    dashes : tuple of float
        On and off lengths of its line; empty for a full line.
    marker : str
        matplotlib's name of its marker.
    """

    colour: str
    dark_colour: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def line(self) -> tuple[float, tuple[float, ...] | None]:
        """The line style as matplotlib wants it."""
        return (0.0, self.dashes or None)


def arm_styles(arms: Sequence[Arm]) -> dict[Arm, ArmStyle]:
    """Give every arm its style: colours for what looks at the model, greys and dashes for the references.

    More layers of one explainer than the palette holds are coloured along viridis, by depth. Of several explainers,
    those without a layer get a colour each, and those with layers the shades of one colour each, lightest at the
    shallowest; dashes and markers tell them apart, too.
    """
    candidates = [arm for arm in arms if not is_reference(arm)]
    styles = dict(_candidate_styles(candidates))
    for i, arm in enumerate(arm for arm in arms if is_reference(arm)):
        styles[arm] = _style(_GREYS[i % len(_GREYS)], _DASHES[i % len(_DASHES)], len(candidates) + i)
    return {arm: styles[arm] for arm in arms}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save inside this context to get the look; the user's own settings are untouched outside it."""
    settings: Any = {**mpl.rcParamsDefault, **_SETTINGS, "backend": mpl.rcParams["backend"]}
    with mpl.rc_context(settings):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of that many inches that keeps its labels apart by itself and belongs to no window."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and SVG, without dates or versions in them.

    Returns
    -------
    tuple of Path
        The PNG and the SVG file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with styled():
        # unlike savefig, a canvas draws once: its layout is found while drawing, and stays for the second file
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    return png, svg


def save_pdf(figure: Figure, file: Path) -> Path:
    """Write a figure as PDF with embedded TrueType fonts, without dates or versions in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        FigureCanvasPdf(figure).print_pdf(file, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return file


def set_small(axes: Axes) -> Axes:
    """Set an axes' words for the column of a paper: small, and still readable at the size they have there."""
    axes.title.set_fontsize(8)
    axes.xaxis.label.set_fontsize(6.5)
    axes.yaxis.label.set_fontsize(7)
    axes.tick_params(labelsize=6.5)
    legend = axes.get_legend()
    for text in [legend.get_title(), *legend.get_texts()] if legend else []:
        text.set_fontsize(6)
    return axes


def blank(axes: Axes) -> Axes:
    """Remove an axes' frame and ticks, for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


def _style(colour: str, dashes: tuple[float, ...], index: int) -> ArmStyle:
    red, green, blue = (0.62 * part + 0.38 for part in to_rgb(colour))
    return ArmStyle(colour, to_hex((red, green, blue)), dashes, _MARKERS[index % len(_MARKERS)])


def _candidate_styles(arms: Sequence[Arm]) -> Iterator[tuple[Arm, ArmStyle]]:
    explainers = list(dict.fromkeys(explainer for explainer, _ in arms))
    if len(arms) <= len(OKABE_ITO):
        for i, (arm, colour) in enumerate(zip(arms, OKABE_ITO, strict=False)):
            yield arm, _style(colour, (), i)
        return
    for i, explainer in enumerate(explainers):
        own = [arm for arm in arms if arm[0] == explainer]
        colours = _along_viridis(len(own)) if len(explainers) == 1 else _shades(OKABE_ITO[i % len(OKABE_ITO)], len(own))
        dashes = () if i < len(OKABE_ITO) else _DASHES[i // len(OKABE_ITO) % len(_DASHES)]
        for place, (arm, colour) in enumerate(zip(own, colours, strict=True)):
            yield arm, _style(colour, dashes, place if len(explainers) == 1 else i)


def _along_viridis(n: int) -> list[str]:
    return [to_hex(mpl.colormaps["viridis"](0.9 * i / max(1, n - 1))) for i in range(n)]


def _shades(colour: str, n: int) -> list[str]:
    """`n` shades of a colour: from one mixed with white to the colour, darkened where there are several."""
    if n == 1:
        return [colour]
    parts = np.asarray(to_rgb(colour))
    places = np.linspace(-0.55, 0.35, n)
    return [to_hex(parts * (1 - place) if place > 0 else parts + (1 - parts) * -place) for place in places]
