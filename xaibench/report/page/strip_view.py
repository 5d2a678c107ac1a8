"""The randomization strip as the page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xaibench.report import overlays
from xaibench.report.figures.strip import module_name, steps_of
from xaibench.report.labels import Arm
from xaibench.report.pictures import Strip

_SIDE = 72


@dataclass(frozen=True)
class StripView:
    """Rows of (arm, [(module, source of its picture, why it is degenerate), …])."""

    image: str
    modules: list[str]
    rows: list[tuple[str, list[tuple[str, str, str]]]]


def strip_view(strip: Strip, *, modules: Sequence[str], labels: Mapping[Arm, str]) -> StripView:
    """Draw a strip's maps as small pictures; `modules` are the names by step."""
    steps = steps_of(strip)
    names = {step: module_name(step, modules) for step in steps}
    picture = overlays.fitted(strip.picture, _SIDE)
    mask = None if strip.mask is None else overlays.fitted_mask(strip.mask, *picture.shape[:2])
    rows = []
    for arm, maps in strip.maps.items():
        cells = []
        for step, values in maps.items():
            drawn = overlays.overlay(picture, values)
            shown = drawn if mask is None else overlays.outlined(drawn, mask)
            cells.append((names[step], overlays.data_uri(shown, quality=70), overlays.degenerate(values)))
        rows.append((labels.get(arm, arm[1]), cells))
    return StripView(strip.name, [names[step] for step in steps], rows)
