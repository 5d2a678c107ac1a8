"""Cost against quality: each arm's score with its interval against milliseconds an image, and the arms that nobody beats."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.cost.quality import CostQuality
from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm


def plot_pareto(axes: Axes, found: CostQuality, *, styles: Mapping[Arm, ArmStyle], labels: Mapping[Arm, str]) -> Axes:
    """Draw one metric: a mark and interval an arm, filled where the arm is on the front, and the front as steps.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    found : CostQuality
        One metric against cost.
    styles, labels : mapping
        Look and name of each arm.
    """
    front = found.front
    least, end = found.points[0].milliseconds, found.points[-1].milliseconds
    middle = (least + end) / 2
    steps = [(point.milliseconds, point.mean) for point in front]
    costs, means = zip(*steps, (end, steps[-1][1]), strict=True)
    axes.plot(costs, means, drawstyle="steps-post", color=FAINT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    for point in found.points:
        style = styles[point.arm]
        low, high = (point.mean if np.isnan(value) else value for value in (point.low, point.high))
        axes.plot([point.milliseconds] * 2, [low, high], color=style.colour, linewidth=1.4, zorder=2)
        axes.plot(
            point.milliseconds, point.mean, style.marker, color=style.colour, markersize=7, zorder=3,
            markerfacecolor=style.colour if point.on_front else "white",
        )  # fmt: skip
        left = point.milliseconds > middle  # names lie towards the middle, where there is room
        axes.annotate(
            labels[point.arm], (point.milliseconds, point.mean), xytext=(-7 if left else 7, 5),
            textcoords="offset points", ha="right" if left else "left", color=INK, fontsize=7.5,
        )  # fmt: skip
    better = "higher" if found.scores.higher_is_better else "lower"
    axes.set_title(f"{found.scores.title}: {better} is better")
    axes.set_ylabel("mean score")
    axes.grid()
    axes.margins(x=0.12, y=0.08)
    return axes


def pareto_figure(
    found: Sequence[CostQuality], *, order: Sequence[Arm], labels: Mapping[Arm, str], device: str = ""
) -> Figure:
    """Draw each metric against cost; what the cost is, and on which `device`, stands below."""
    styles = arm_styles(order)
    with styled():
        figure = new_figure(3.9 * len(found), 3.3)
        for axes, one in zip(np.ravel(figure.subplots(1, len(found), squeeze=False)), found, strict=True):
            plot_pareto(axes, one, styles=styles, labels=labels)
        about = f"milliseconds an image: {found[0].cost_of}" + (f"  ·  {device}" if device else "")
        figure.supxlabel(
            f"{about}\nfilled: nothing is both cheaper and better by its mean; bars: 95 % intervals",
            fontsize=8,
            color=FAINT,
        )
    return figure
