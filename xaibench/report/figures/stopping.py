"""How a run that may stop early came to its end: the evidence, and the confidence sequence, against images used."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.report.figures.style import FAINT, INK, ArmStyle, arm_styles, new_figure, styled
from xaibench.report.labels import Arm, metric_title
from xaibench.report.stopping import Stopping
from xaibench.report.wording import lowered
from xaibench.statistics.sequential import best_log_e_values

MOST_RIVALS = 6
_LEAST, _MOST = 1e-2, 1e6


def plot_evidence(axes: Axes, of: Stopping, *, labels: Mapping[Arm, str], styles: Mapping[Arm, ArmStyle]) -> Axes:
    """Draw each arm's e-value against its being the best, and the height at which an arm is out.

    The scale ends at 1e-2 and 1e6: what lies beyond says no more.
    """
    looks = of.looks()
    paths = np.exp(np.minimum(best_log_e_values(of.better * of.values.to_numpy(float), width=of.width), 600.0))
    for arm, path in zip(of.arms, paths.T, strict=True):
        style = styles[arm]
        shown = np.clip(path[np.array(looks) - 1], _LEAST, _MOST)
        axes.plot(looks, shown, color=style.colour, linestyle=style.line, label=labels[arm])
        axes.plot(looks[-1], shown[-1], style.marker, color=style.colour, markersize=5)
    out = of.settlement.threshold
    axes.axhline(out, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.text(0.01, out * 1.15, f"out at {out:g}", transform=axes.get_yaxis_transform(), fontsize=7, color=INK)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST / 1.5, max(out * 10, min(float(np.nanmax(paths[-1])) * 3, _MOST * 1.5)))
    axes.set_ylabel("e-value")
    axes.set_title("evidence against being the best")
    return axes


def plot_lead(axes: Axes, of: Stopping, *, rivals: Sequence[Arm], styles: Mapping[Arm, ArmStyle]) -> Axes:
    """Draw the leader's mean lead over each rival with its confidence sequence, as a band with lines at its ends."""
    looks = of.looks()
    for arm in rivals:
        low, high = of.lead_sequence(arm)
        style, means = styles[arm], of.leads(arm).expanding().mean().to_numpy(float)[np.array(looks) - 1]
        axes.fill_between(looks, low, high, color=style.colour, alpha=0.10, linewidth=0)
        for bound in (low, high):
            axes.plot(looks, bound, color=style.colour, linewidth=0.9, linestyle=style.line)
        axes.plot(looks, means, color=style.colour)
        axes.plot(looks[-1], means[-1], style.marker, color=style.colour, markersize=5)
    axes.axhline(0.0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    if of.rule.margin is not None:
        axes.axhline(of.rule.margin, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_ylabel("mean lead")
    return axes


def stopping_figure(of: Stopping, *, arms: Sequence[Arm], labels: Mapping[Arm, str]) -> Figure | None:
    """Draw both panels; the second with the nearest rivals of the leader only. None where no image could be compared.

    Parameters
    ----------
    of : Stopping
    arms : sequence of Arm
        All of the run, so that each keeps its colour.
    labels : mapping
        Of the arms.
    """
    if not of.looks():
        return None
    styles = arm_styles(arms)
    others = sorted((arm for arm in of.arms if arm != of.leader), key=lambda arm: float(of.leads(arm).mean()))
    rivals = others[:MOST_RIVALS]
    with styled():
        figure = new_figure(7.0, 2.9)
        left, right = figure.subplots(1, 2)
        plot_evidence(left, of, labels=labels, styles=styles)
        plot_lead(right, of, rivals=rivals, styles=styles)
        nearest = "" if len(rivals) == len(others) else f" ({len(rivals)} nearest)"
        right.set_title(f"lead of {labels[of.leader]}{nearest}")
        for axes in (left, right):
            axes.grid(axis="y")
            axes.set_xlim(0, max(of.looks()) * 1.03)
            axes.set_xlabel("images compared")
            axes.locator_params(axis="x", integer=True, nbins=6)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=min(4, len(of.arms)))
        figure.supxlabel(_note(of), fontsize=7, color=FAINT)
    return figure


def _note(of: Stopping) -> str:
    when = f"stopped after {of.seen} of {of.total} images" if of.early else f"all {of.seen} images used"
    kept = 100 * (1 - of.rule.alpha)
    return (
        f"{lowered(metric_title(of.rule.metric))}, {when}  ·  bands: {kept:g} % confidence sequences, all pairs and all "
        "looks together, hence wider than the test"
    )
