"""What the corrupted maps say of each metric, in sentences no stronger than their tests."""

from collections.abc import Sequence

from xaibench.report.labels import Arm, spoken
from xaibench.report.trust.corruption import EVERY_STEP, NO_FALL, OVERALL, RISES, UNTESTED, Reaction
from xaibench.report.wording import counted, listed, lowered, p_at_least, p_at_most

_WORDS = {
    EVERY_STEP: ("gets worse at every step", "get worse at every step"),
    OVERALL: ("gets worse overall, though not at every step for sure", "get worse overall, though not at every step for sure"),
    NO_FALL: ("was not shown to get worse", "were not shown to get worse"),
    RISES: ("gets better, as no good metric does", "get better, as no good metric does"),
    UNTESTED: ("cannot be tested", "cannot be tested"),
}  # fmt: skip


def corruption_sentences(found: Sequence[Reaction]) -> list[str]:
    """One sentence for each map that was corrupted: what its metrics do."""
    starts = list(dict.fromkeys(one.start for one in found))
    return [_sentence(start, [one for one in found if one.start == start]) for start in starts]


def _sentence(start: Arm, found: Sequence[Reaction]) -> str:
    n_images = sorted({one.n_images for one in found})
    images = counted(n_images[-1], "image") if len(n_images) == 1 else f"{n_images[0]} to {n_images[-1]} images"
    clauses = []
    for verdict in _WORDS:
        own = [one for one in found if one.verdict == verdict]
        if own:
            names = listed([lowered(one.title) for one in own])
            clauses.append(f"{names} {_WORDS[verdict][len(own) > 1]}{_p(verdict, own)}")
    return f"As more cells of the map of {spoken(start)} change places ({images}), {'; '.join(clauses)}."


def _p(verdict: str, own: Sequence[Reaction]) -> str:
    if verdict == UNTESTED:
        return ""
    if verdict == EVERY_STEP:
        return f" (adjusted {p_at_most([one.steps_p_adjusted for one in own])})"
    trends = [one.trend_p_adjusted for one in own]
    return f" ({p_at_least(trends) if verdict == NO_FALL else f'adjusted {p_at_most(trends)}'})"
