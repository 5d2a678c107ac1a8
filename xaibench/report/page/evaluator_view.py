"""The section of the page on how the ranking moves with each choice of a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xaibench.report.evaluator.sensitivity import Moved, Sensitivity
from xaibench.report.evaluator.words import sensitivity_sentences
from xaibench.report.figures.evaluator_sensitivity import rank_colour, rank_text, row_labels
from xaibench.report.labels import Arm
from xaibench.report.wording import UNDEFINED, counted, fixed, number


@dataclass(frozen=True)
class RankCell:
    """An arm's rank under a variation: text, ground, whether that is dark, whether it moved, and the mean score."""

    text: str
    colour: str
    dark: bool
    moved: bool
    title: str


@dataclass(frozen=True)
class MatrixView:
    """One group as a table: `rows` hold (label, cells, tau, share of images with another best arm)."""

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[RankCell], str, str]]


@dataclass(frozen=True)
class SensitivityView:
    """What the section shows; empty where the run varies no choice."""

    sentences: list[str]
    matrices: list[MatrixView]


def sensitivity_view(found: Sequence[Sensitivity], *, labels: Mapping[Arm, str]) -> SensitivityView:
    """Lay out the section."""
    return SensitivityView(sensitivity_sentences(found), [_matrix(one, labels) for one in found])


def _matrix(of: Sensitivity, labels: Mapping[Arm, str]) -> MatrixView:
    dropped = f", {counted(of.n_dropped, 'image')} left out as a value is undefined" if of.n_dropped else ""
    caption = (
        f"Ranks by {of.base} and its variations: mean over {counted(of.n_images, 'image')}{dropped}; 1 is the best"
    )
    rows = [
        (label, [_cell(of, row, arm) for arm in of.arms], _tau(row), _share(row))
        for label, row in zip(row_labels(of), of.rows, strict=True)
    ]
    return MatrixView(caption, [labels[arm] for arm in of.arms], rows)


def _cell(of: Sensitivity, row: Moved, arm: Arm) -> RankCell:
    colour, dark = rank_colour(row.ranks[arm], len(of.arms))
    return RankCell(rank_text(row, arm), colour, dark, bool(row.moves.get(arm)), f"mean {number(row.means[arm])}")


def _tau(row: Moved) -> str:
    known = bool(row.moves) and row.tau.estimate == row.tau.estimate
    return f"{fixed(row.tau.estimate)} [{fixed(row.tau.low)}, {fixed(row.tau.high)}]" if known else UNDEFINED


def _share(row: Moved) -> str:
    changes = row.best_changes
    return f"{100 * changes.estimate:.0f} %" if row.moves else UNDEFINED
