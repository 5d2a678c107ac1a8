"""Enough images? Width of each arm's interval, and stability of the ranking, against the number of images."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from xaibench.report.convergence import MetricConvergence
from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, new_figure, set_small, styled
from xaibench.report.labels import Arm

MOST = 3
"""Metrics drawn: the first that rank arms; the table has all."""
BEYOND = 10
"""A number of images is marked up to so many times those there are; what is further is told in words."""
CORRELATION, SAME_BEST = "#01665e", "#8c510a"  # no arm has these colours
_Place = Literal["outside lower center", "outside lower left", "outside upper center", "outside lower right"]


def plot_widths(
    axes: Axes, metric: MetricConvergence, *, styles: Mapping[Arm, ArmStyle], labels: Mapping[Arm, str]
) -> Axes:
    """Draw the width of each arm's interval, with the band in which 90 % of the orders of images lie."""
    found = metric.found
    for place, arm in enumerate(metric.arms):
        style = styles[arm]
        low, high = found.width_low[:, place], found.width_high[:, place]
        axes.fill_between(found.n, low, high, color=style.colour, alpha=0.1, linewidth=0)
        axes.plot(found.n, found.widths[:, place], color=style.colour, linestyle=style.line, label=labels[arm])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    return _count_images(axes, metric)


def plot_stability(axes: Axes, metric: MetricConvergence) -> Axes:
    """Draw how like the final ranking that of n images is, how often the best arm is the same, and what would settle it."""
    found = metric.found
    axes.fill_between(found.n, found.rank_low, found.rank_high, color=CORRELATION, alpha=0.13, linewidth=0)
    axes.plot(found.n, found.rank_correlation, color=CORRELATION, label="Kendall's tau with the final ranking")
    axes.plot(
        found.n,
        found.same_best,
        color=SAME_BEST,
        linestyle=(0, (5, 2)),
        label="share of samples with the same best arm",
    )
    axes.set_ylim(min(0.0, float(found.rank_low.min()) if len(found.n) else 0.0), 1.04)
    axes.grid(axis="y")
    _count_images(axes, metric)
    for power, dashes in ((0.8, (1, 1)), (0.95, (4, 2))):
        n = metric.needed[power]
        if math.isfinite(n) and n <= BEYOND * metric.n_images:
            axes.axvline(
                n, color=INK, linewidth=1, linestyle=(0, dashes), label=f"leaders settled, {100 * power:g} % power"
            )
    return axes


def convergence_figure(
    metrics: Sequence[MetricConvergence], *, labels: Mapping[Arm, str], arms: Sequence[Arm], width: float = 7.2
) -> Figure:
    """Draw a row for each of the first metrics: widths on the left, stability of the ranking on the right.

    `width` in inches; where it is that of a paper's column, the first metric alone is drawn, and the two
    stand below each other.
    """
    narrow = width < 5
    shown, styles = metrics[: 1 if narrow else MOST], arm_styles(arms)
    with styled():
        figure = new_figure(width, (4.0 if narrow else 2.1) * len(shown) + 0.8)
        panels = figure.subplots(len(shown) * (2 if narrow else 1), 1 if narrow else 2, squeeze=False).reshape(-1, 2)
        for (left, right), metric in zip(panels, shown, strict=True):
            plot_widths(left, metric, styles=styles, labels=labels)
            plot_stability(right, metric)
            left.set_title(f"{metric.scores.title}: interval width")
            right.set_title("does the ranking still move?")
            right.set_xlabel(needed_words(metric), fontsize=6.5)
            left.set_xlabel("images", fontsize=6.5)
            if narrow:
                set_small(left)
                set_small(right)
        _key(figure, [left for left, _ in panels], "outside lower center" if narrow else "outside lower left")
        _key(figure, [right for _, right in panels], "outside upper center" if narrow else "outside lower right")
    return figure


def needed_words(metric: MetricConvergence) -> str:
    """Under the panel: what the lines stand for, or why there are none."""
    few, many = metric.needed[0.8], metric.needed[0.95]
    if not math.isfinite(few):
        return "images  ·  the two leading arms do not differ"
    return f"images  ·  would part the leaders: {few:,.0f} (80 % power), {many:,.0f} (95 %)"


def _key(figure: Figure, panels: Sequence[Axes], place: _Place) -> None:
    """Write one key for all panels of a kind."""
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = 3 if len(handles) > 5 else 1
    figure.legend(handles.values(), handles.keys(), loc=place, ncols=columns, fontsize=6.5, handlelength=2.6)


def _count_images(axes: Axes, metric: MetricConvergence) -> Axes:
    """Put the numbers of images on a logarithmic axis that holds the marks."""
    within = [n for n in metric.needed.values() if math.isfinite(n) and n <= BEYOND * metric.n_images]
    axes.set_xscale("log")
    axes.set_xlim(float(metric.found.n[0]), 1.05 * max([float(metric.n_images), *within]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(metric.n_images, color=FAINT, linewidth=0.8)
    return axes
